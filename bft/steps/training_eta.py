"""How long a training will still take, by what its models were measured to take (ADR 0135)."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bft.domain.runs import Event

MEAN_ALPHA = 0.3  # moving mean of epoch times
_ENDED = frozenset({"done", "failed"})


@dataclass(slots=True, kw_only=True)
class _Model:
    """One model: what it may take (`epochs` of each of `folds`), and what it was measured to.

    `first`: it began before any model had ended, so that its worker was started for it.
    """

    epochs: int
    folds: int
    began: datetime | None = None
    fold: int = 0
    epoch: int = 0
    trained: int = 0
    in_epochs_s: float = 0.0
    epoch_s: float | None = None
    setup_s: float = 0.0
    took_s: float | None = None
    over: bool = False
    first: bool = True

    @property
    def runs(self) -> bool:
        """It has begun and is not over."""
        return not self.over and (self.began is not None or self.epoch_s is not None)

    @property
    def tells(self) -> bool:
        """Its epochs were measured, and are more than what lay before them."""
        return self.epoch_s is not None and self.epoch_s * self.epochs * self.folds > self.setup_s

    def timed(self, event: Event, epoch_s: float) -> None:
        """Learn from an epoch."""
        if self.epoch_s is None:
            since_s = (event.at - self.began).total_seconds() if self.began else 0.0
            self.epoch_s, self.setup_s = epoch_s, max(0.0, since_s - epoch_s)
        self.epoch_s += MEAN_ALPHA * (epoch_s - self.epoch_s)
        self.fold, self.epoch = event.step, event.epoch
        self.trained, self.in_epochs_s = self.trained + 1, self.in_epochs_s + epoch_s

    def epochs_left(self, used_frac: float) -> float:
        """Epochs to come, if each fold uses that share of what it may."""
        of_fold = self.epochs * used_frac
        return max(0.0, of_fold - self.epoch) + max(0, self.folds - 1 - self.fold) * of_fold


class Eta:
    """Time left of all models, those that wait for a place included."""

    def __init__(self, most: Mapping[str, tuple[int, int]]) -> None:
        """`most` has epochs of a fold and folds by model."""
        self._places = 0  # as many as ever ran at once
        self._models = {key: _Model(epochs=e, folds=f) for key, (e, f) in most.items()}

    def over(self, key: str) -> None:
        """Count a model as finished, by an earlier call."""
        self._models[key].over = True

    def note(self, event: Event) -> float | None:
        """Seconds left after an event; None while it cannot be known, or nothing is left."""
        model = self._models[event.key]
        if event.state in _ENDED:
            model.over = True
            if event.state == "done" and model.began and model.trained:
                model.took_s = (event.at - model.began).total_seconds()
        elif event.epoch_s is not None:
            model.timed(event, event.epoch_s)
        elif event.state in {"queued", "running"}:  # anew, where it ran out of device memory
            began = event.at if event.state == "running" else None
            first = not any(one.took_s for one in self._models.values())
            self._models[event.key] = _Model(
                epochs=model.epochs, folds=model.folds, began=began, first=first
            )
        self._places = max(self._places, sum(one.runs for one in self._models.values()))
        return self._left_s()

    def _left_s(self) -> float | None:
        models = self._models.values()
        timed = [model for model in models if model.epoch_s is not None]
        ended = [model for model in models if model.took_s is not None]
        if not timed or not any(not model.over for model in models):
            return None
        if not ended and any(model.runs and not model.tells for model in models):
            return None
        return self._makespan_s(timed, ended)

    def _makespan_s(self, timed: Sequence[_Model], ended: Sequence[_Model]) -> float:
        """Seconds until the last one ends, each waiting one taking the next free place."""
        typical_s = _mean([m.epoch_s for m in timed if m.epoch_s is not None])
        setup_s = _mean([m.setup_s for m in timed if not m.first])
        tail_s = _mean(
            [m.took_s - m.setup_s - m.in_epochs_s for m in ended if m.took_s is not None]
        )
        used_frac = _mean([m.trained / (m.epochs * m.folds) for m in ended]) or 1.0
        lanes: list[float] = []
        waiting_s: list[float] = []
        for model in (one for one in self._models.values() if not one.over):
            begins_s, epoch_s = (
                (setup_s, typical_s) if model.epoch_s is None else (0.0, model.epoch_s)
            )
            rest_s = begins_s + model.epochs_left(used_frac) * epoch_s + tail_s
            (lanes if model.runs else waiting_s).append(rest_s)
        lanes += [0.0] * (self._places - len(lanes))
        heapq.heapify(lanes)
        for rest_s in waiting_s:
            heapq.heapreplace(lanes, lanes[0] + rest_s)
        return max(lanes)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
