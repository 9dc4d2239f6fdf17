"""What can be known before a night begins: do the prices of a file suffice for the profile?

Asked by `bft run` in its first moments, so that nobody waits for a pull and a gold table to learn
that training has too little to learn from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bft.domain import origin, sessions
from bft.domain.delivery import Want
from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.ports import Ports
from bft.steps import registry

MARKET = ("SPY", 20)
"""The fund that stands for the market, and the symbols that may stand in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Days with a bar of each symbol up to asof, and the first and last day of all."""

    rows: Mapping[str, int]
    first: date
    last: date

    @property
    def words(self) -> str:
        """How much there is, for people."""
        days = len(sessions.sessions(self.first, self.last))
        return f"{len(self.rows)} symbols, {self.first} to {self.last} ({days} sessions)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose prices are to train which profile (None: nothing is trained), up to which session."""

    source: str
    profile: str | None
    asof: date
    profiles_dir: str


def look(ports: Ports, asked: Asked) -> tuple[str, ...]:
    """Sentences about what a file holds and what the profile needs; none for other sources.

    Of a root whose models are in production nothing is trained, so only its end is asked for; and
    of a night that was pulled before from this source, neither its end nor what the source needs.

    Raises:
        ConfigError: an unknown profile, key or value; a source that is none, or lacks its key.
        DataError: the file does not reach asof, or holds too few sessions or rows to train.
    """
    source, profile = asked.source, asked.profile
    new = ports.store.digest(f"lineage/pull/{asked.asof}.json") is None or _is_other(ports, source)
    if new:
        ports.source(source)
    if profile is None:
        return ()
    trained = ports.state.pointer("production").set_digest is not None
    wanted = {} if trained and _is_known(ports, profile) else _wanted(profile, asked.profiles_dir)
    if source.partition(":")[0] != "files" or (trained and not new):
        return ()
    held = _history(ports, source, asked.asof)
    _reaches(held, source, asked.asof)
    return () if trained else _suffices(held, source, profile, wanted)


def _is_other(ports: Ports, source: str) -> bool:
    """Whether a source is not the one that the root remembers."""
    held = origin.remembered(ports.store)
    return held is None or source != held.spec(Path.cwd())


def _suffices(
    held: History, source: str, profile: str, wanted: Mapping[str, Json]
) -> tuple[str, ...]:
    told = f"{source}: {held.words}"
    need = max(_needed(held, body) for body in wanted.values())
    begin = sessions.shift(sessions.on_or_before(held.last), 1 - need)
    if held.first > begin:
        raise DataError(
            f"{told}; profile {profile} needs {need} sessions, {begin} to {held.last}: "
            f"load them{_less(profile)}"
        )
    least, most = max(int(b["symbol_min_rows"]) for b in wanted.values()), max(held.rows.values())
    if most < least:
        raise DataError(f"{told}; profile {profile} needs {least} days of a symbol, most is {most}")
    # Without min_names a day there is no RankIC, and no gate passes what was not measured.
    fewest = max(int(b[key]) for b in wanted.values() for key in ("min_symbols", "min_names"))
    if len(held.rows) < fewest:
        raise DataError(f"{told}; profile {profile} needs {fewest} symbols{_less(profile)}")
    return (f"{told}; profile {profile} needs {need}", *_no_market(held.rows))


def ends_on(ports: Ports, source: str, asof: date) -> date | None:
    """Last session with a price in a file, up to asof; None for other sources.

    Raises:
        DataError: the file is unreadable, or has no bar at or before asof.
    """
    if source.partition(":")[0] != "files":
        return None
    return sessions.on_or_before(_history(ports, source, asof).last)


def _wanted(profile: str, profiles_dir: str) -> dict[str, Json]:
    """What a profile says of each model."""
    from bft.models.profiles import effective

    folder = registry.data_folder(profiles_dir, "profiles")
    return {name: effective(profile, name, (), folder) for name in MODEL_NAMES}


def _is_known(ports: Ports, profile: str) -> bool:
    """A root remembers the profile of a run: what it does not know yet may be a slip of the pen."""
    return origin.training_of(profile, Path.cwd()) == origin.trained_by(ports.store)


def _history(ports: Ports, source: str, asof: date) -> History:
    import pyarrow.compute as pc

    wants = [Want(topic="bars")]
    answers = ports.source(source).fetch(wants, asof=asof, fresh=False, tick=lambda *_: None)
    (bars,) = (answer.tables["bars"].select(["symbol", "date"]) for answer in answers)
    bars = bars.filter(pc.less_equal(bars["date"], asof))
    if not bars.num_rows:
        raise DataError(f"{source} has no bar at or before {asof}; give a later --asof")
    span = pc.min_max(bars["date"]).as_py()
    counts = pc.value_counts(bars["symbol"]).to_pylist()
    rows = {str(row["values"]): int(row["counts"]) for row in counts}
    return History(rows=rows, first=span["min"], last=span["max"])


def _reaches(held: History, source: str, asof: date) -> None:
    if held.last < asof:
        day = sessions.on_or_before(held.last)
        raise DataError(
            f"{source} ends {held.last}, before {asof}; load newer prices, or use --asof {day}"
        )


def _needed(held: History, profile: Json) -> int:
    """Sessions up to the last day that a profile's folds take in all."""
    from bft.dataset import splits

    days = sessions.sessions(held.first, held.last)
    start = sessions.number(days[0]) + max(0, int(profile["train_start_offset"]))
    return len(days) - splits.spare(start, sessions.number(days[-1]), profile)


def _less(profile: str) -> str:
    return "" if profile == "short" else ", or take one that needs less (--profile short)"


def _no_market(rows: Mapping[str, int]) -> tuple[str, ...]:
    names, (fund, members) = len(rows), MARKET
    if names >= members or fund in rows:
        return ()
    return (
        f"{names} symbols are no market ({members} are, or {fund}): beta and the three market "
        "inputs stay unknown",
    )
