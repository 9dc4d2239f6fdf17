"""What predict reads: the set's models, verified, and gold as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.domain.errors import DataError, StaleDataError
from bft.domain.forecast import MODELS, ModelName
from bft.models.model_set import AGES_DAYS, EXPIRES_DAYS, ModelSet, read_set
from bft.ports import Ports
from bft.steps.gold_tables import macro_read
from bft.steps.lacking import instead, need

if TYPE_CHECKING:
    from pathlib import Path

    from bft.models.artifact import Model
    from bft.models.infer import Market

SPARE_SESSIONS = 60  # read beyond window and warm-up, for symbols with missing sessions
LOOKBACK_MIN = 20
COLUMNS = ("adjusted_open", "row_flags")
"""Gold columns that labels and checks need besides those of the inputs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """A model and the session from which it is out of sample."""

    first_test: int
    created: datetime
    model: "Model"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedSet:
    """A set with its usable models, folds newest first; `missing` says why others are not."""

    digest: str
    manifest: ModelSet
    folds: dict[ModelName, list[Fold]]
    missing: dict[ModelName, str]
    warnings: list[str]

    @property
    def lookback(self) -> int:
        """Longest window."""
        lookbacks = (fold.model.spec["lookback"] for own in self.folds.values() for fold in own)
        return max(lookbacks, default=LOOKBACK_MIN)

    def on(self, day: int) -> list[Fold]:
        """For each name the newest fold that is out of sample on `day`, else its oldest."""
        return [
            next((fold for fold in own if fold.first_test <= day), own[-1])
            for own in self.folds.values()
        ]


def load_set(ports: Ports, digest: str, *, expires_at: datetime | None, older: bool) -> LoadedSet:
    """Read a set and its artifacts; `older` also the models of older folds.

    A model trained more than 90 days before `expires_at` (None: no such limit) is missing.

    Raises:
        DataError: the set is absent, altered or not one of nine.
    """
    manifest = read_set(ports.store, digest)
    loaded = LoadedSet(digest=digest, manifest=manifest, folds={}, missing={}, warnings=[])
    for name in MODELS:
        found = manifest.entry(str(name)).digest
        if found is None:
            loaded.missing[name] = "absent from the set"
            continue
        try:
            folds = _folds(ports, found, older=older)
        except DataError as error:
            loaded.missing[name] = str(error)
            continue
        age = (expires_at - folds[0].created).days if expires_at else 0
        if age > EXPIRES_DAYS:
            loaded.missing[name] = f"trained {age} days ago, limit {EXPIRES_DAYS}"
        else:
            loaded.folds[name] = folds
            loaded.warnings.extend([f"{name} was trained {age} days ago"] * (age > AGES_DAYS))
    return loaded


def load_market(
    ports: Ports, asof: date, *, first: date, lookback: int, past: bool
) -> tuple["Market", str]:
    """Gold of the sessions that forecasts from `first` to `asof` look at, and its digest.

    Raises:
        StaleDataError: there is no gold of asof (not `past`: or its newest row is older).
        DataError: gold breaks its contract.
    """
    from bft.dataset.arrays import from_gold
    from bft.features import inputs
    from bft.models.infer import market_of

    manifest = ports.store.manifest("gold", asof=asof) if past else None
    manifest = manifest or need(ports, "gold", asof)
    since = sessions.shift(first, -(lookback + inputs.HISTORY_ROWS + SPARE_SESSIONS))
    columns = sorted({*inputs.COLUMNS, *COLUMNS})
    parts = [ref.partition for ref in manifest.objects if _reaches(ref.partition, since)]
    gold = ports.store.read("gold", asof=asof, columns=columns, since=since, partitions=parts)
    values = inputs.model_inputs(gold, macro=macro_read(ports.store, manifest.asof))
    arrays = from_gold(gold, values, asof=asof, gold_digest=manifest.digest)
    newest = sessions.session(int(arrays.dates.max()))
    if newest != asof and not past:
        raise StaleDataError(f"gold {asof} ends at {newest}; {instead(ports, 'gold', asof)}")
    return market_of(arrays), manifest.digest


def quarantined(ports: Ports, days: Sequence[date]) -> dict[date, frozenset[str]]:
    """Symbols that `validate` put aside, by day."""
    rows = ports.store.read(
        "quality", asof=days[-1], columns=["asof", "symbol", "severity"], since=days[0]
    )
    held: dict[date, set[str]] = {day: set() for day in days}
    for row in rows.to_pylist():
        if row["severity"] == "quarantine" and row["symbol"] and row["asof"] in held:
            held[row["asof"]].add(row["symbol"])
    return {day: frozenset(names) for day, names in held.items()}


def _reaches(partition: str, since: date) -> bool:
    """Whether a day's or month's partition may hold rows from `since` on."""
    text = partition.partition("=")[2]
    return text >= since.isoformat()[: len(text)]


def _folds(ports: Ports, digest: str, *, older: bool) -> list[Fold]:
    home = ports.store.path(f"models/{digest}")
    folds = [_fold(home, digest)]
    inner = sorted((home / "folds").glob("*"), key=lambda path: int(path.name)) if older else []
    return folds + [_fold(path, None) for path in reversed(inner)]


def _fold(folder: "Path", digest: str | None) -> Fold:
    from bft.models import artifact

    model = artifact.load(folder, digest=digest)
    first = date.fromisoformat(model.spec["split"]["test"][0][0])
    return Fold(
        first_test=sessions.number(first),
        created=datetime.fromisoformat(model.spec["created_utc"]),
        model=model,
    )
