"""Purged walk-forward folds with edges aligned over time, and combinatorial ones (CPCV).

Purge g = h + 1 sessions, so that no label of a block ends inside a later block; embargo e where
training data follows a block (models specification, section 2). Ranges include both ends.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.errors import ConfigError, DataError
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.runs import Json
from bft.domain.sessions import session

EDGE_SESSIONS = 5  # the newest edge moves by a week
CPCV_GROUPS, CPCV_TEST_GROUPS = 10, 2
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Session ranges of one fold for one horizon; `normalise` is what statistics may see."""

    k: int
    train: tuple[Span, ...]
    valid: tuple[Span, ...]
    test: tuple[Span, ...]
    normalise: tuple[Span, ...]

    def as_json(self) -> Json:
        """What a training task carries: one range as [first, last], several as a list."""
        blocks = {n: getattr(self, n) for n in ("train", "valid", "test", "normalise")}
        return {"k": self.k} | {
            n: [list(s) for s in spans] if len(spans) > 1 else list(spans[0])
            for n, spans in blocks.items()
        }


def purge(horizon: int) -> int:
    """Sessions between the last sample of a block and the first of the next."""
    return horizon + 1


def embargo(horizon: int, sessions_in_sample: int) -> int:
    """Sessions dropped after a block where training data follows it."""
    return max(horizon, math.ceil(0.01 * sessions_in_sample))


def train_start(first: int, newest: int, offset: int) -> int:
    """First training session: `offset` after the first session, or (negative) before the newest."""
    return max(first, first + offset if offset >= 0 else newest + offset)


def walk_forward(
    start: int, newest: int, horizon: int, profile: Mapping[str, Any]
) -> tuple[Fold, ...]:
    """Folds oldest first; `start` is the first training session, `newest` the asof.

    Profile keys: folds, test_sessions, valid_sessions, min_train_sessions.

    Raises:
        DataError: a training block is shorter than `min_train_sessions`; says what is needed.
    """
    longest = max(HORIZONS_DAYS)
    edges = _edges(newest, profile)
    ends = [*(edge - 1 for edge in edges[1:]), newest - purge(horizon)]
    folds = []
    for k, (edge, end) in enumerate(zip(edges, ends, strict=True)):
        train, valid = _before(start, edge, horizon, profile)
        _check(train, longest, start, edge, profile)
        window = _before(start, edge, longest, profile)[0]
        folds.append(
            Fold(k=k, train=(train,), valid=(valid,), test=((edge, end),), normalise=(window,))
        )
    return tuple(folds)


def spare(start: int, newest: int, profile: Mapping[str, Any]) -> int:
    """Sessions that the oldest fold trains on beyond `min_train_sessions`; negative: lacking.

    Of the longest horizon, which leaves the fewest.
    """
    train = _before(start, _edges(newest, profile)[0], max(HORIZONS_DAYS), profile)[0]
    return int(train[1] - train[0] + 1 - profile["min_train_sessions"])


def cpcv(start: int, newest: int, horizon: int, profile: Mapping[str, Any]) -> tuple[Fold, ...]:
    """All 45 splits of 10 groups into 8 to train and 2 to test, purged, with embargo.

    Validation are the last `valid_sessions` of what training may use.

    Raises:
        DataError: too few sessions for a split.

    Source: López de Prado, Advances in Financial Machine Learning (2018), chapters 7 and 12.
    """
    longest = max(HORIZONS_DAYS)
    last = newest - purge(longest)
    edges = np.linspace(start, last + 1, CPCV_GROUPS + 1).round().astype(int)
    groups = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
    chosen = combinations(groups, CPCV_TEST_GROUPS)
    return tuple(
        _combined(k, (start, last), tests, horizon, profile) for k, tests in enumerate(chosen)
    )


def cpcv_paths(tests: Mapping[int, tuple[Span, ...]]) -> list[list[tuple[int, Span]]]:
    """The 9 paths through all groups: per group (k of the split that tested it, its sessions).

    `tests` are the test ranges of each split k.
    """
    groups = sorted({span for spans in tests.values() for span in spans})
    testing = {span: [k for k in sorted(tests) if span in tests[k]] for span in groups}
    count = len(testing[groups[0]])
    return [[(testing[span][path], span) for span in groups] for path in range(count)]


def spans_of(value: Any) -> tuple[Span, ...]:
    """Ranges of a task's block, given as [first, last] or a list of such."""
    pairs = np.asarray(value, dtype=np.int64).reshape(-1, 2)
    return tuple((int(first), int(last)) for first, last in pairs)


def _edges(newest: int, profile: Mapping[str, Any]) -> list[int]:
    """First test session of each fold, oldest first."""
    test = profile["test_sessions"]
    edges = [(newest - max(HORIZONS_DAYS) - test) // EDGE_SESSIONS * EDGE_SESSIONS]
    while len(edges) < profile["folds"]:
        edges.append((edges[-1] - test) // test * test)
    return edges[::-1]


def _before(start: int, edge: int, horizon: int, profile: Mapping[str, Any]) -> tuple[Span, Span]:
    gap = purge(horizon) + 1
    valid_end = edge - gap
    valid_first = valid_end - profile["valid_sessions"] + 1
    return (start, valid_first - gap), (valid_first, valid_end)


def _check(train: Span, longest: int, start: int, edge: int, profile: Mapping[str, Any]) -> None:
    have, need = train[1] - train[0] + 1, profile["min_train_sessions"]
    if have < need:
        more = need - have
        raise DataError(
            f"{max(have, 0)} sessions to train on from {session(start)} before the first test on "
            f"{session(edge)}, {need} are needed: load {more} earlier sessions, take a profile "
            "that asks for less, such as --profile short, or fewer --folds"
        )


def _combined(
    k: int, span: Span, tests: tuple[Span, ...], horizon: int, profile: Mapping[str, Any]
) -> Fold:
    train, valid = _free(span, tests, horizon, profile)
    window = _free(span, tests, max(HORIZONS_DAYS), profile)[0]
    return Fold(k=k, train=train, valid=valid, test=tests, normalise=window)


def _free(
    span: Span, tests: tuple[Span, ...], horizon: int, profile: Mapping[str, Any]
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    first, last = span
    free = np.ones(last - first + 1, dtype=bool)
    after = purge(horizon) + embargo(horizon, len(free))
    for block in tests:
        _drop(free, first, block, before=purge(horizon), after=after)
    usable = np.flatnonzero(free) + first
    need = profile["valid_sessions"] + profile["min_train_sessions"]
    if len(usable) < need:
        raise DataError(f"--cpcv leaves {len(usable)} sessions to train on, needs {need}")
    held = _runs(usable[-profile["valid_sessions"] :])
    for block in held:
        _drop(free, first, block, before=purge(horizon), after=after)
    return _runs(np.flatnonzero(free) + first), held


def _drop(free: NDArray[np.bool_], origin: int, block: Span, *, before: int, after: int) -> None:
    low, high = block[0] - origin - before, block[1] - origin + after
    free[max(low, 0) : max(high + 1, 0)] = False


def _runs(days: NDArray[np.integer[Any]]) -> tuple[Span, ...]:
    if not len(days):
        raise ConfigError("no session is left for training; shorten valid_sessions")
    cuts = np.flatnonzero(np.diff(days) > 1) + 1
    return tuple((int(run[0]), int(run[-1])) for run in np.split(days, cuts))
