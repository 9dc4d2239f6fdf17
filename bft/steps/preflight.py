"""What can be known before a night begins: do the prices of a file suffice for the profile?

Asked by `bft run` in its first moments, so that nobody waits for a pull and a gold table to learn
that training has too little to learn from.
"""

import argparse
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain import origin, sessions
from bft.domain.advice import learned_anew
from bft.domain.delivery import Answer, Skips, Want
from bft.domain.errors import DataError, UnfitError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.gold import INPUTS
from bft.domain.runs import Json
from bft.domain.symbols import renamed
from bft.ports import Ports, RunRequest
from bft.steps import preflight_rows, pull, record, registry, source_change

if TYPE_CHECKING:
    from bft.features.gaps import Gaps

MARKET_FUND, MARKET_MEMBERS = "SPY", 20
"""The fund that stands for the market, and the symbols that may stand in for it."""
FACTS = ("fundamentals", "statements", "earnings", "actions")
"""Tables of the root that feed inputs, whichever source filled them."""
ACTED = frozenset({"vendor_adjusted_close", "dividend_amount"})
"""Columns of bars from which dividends are known."""
FITTING = ("realdata", "short")
"""Shipped profiles for files of prices, the more demanding one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Days with a bar of each symbol up to asof and its newest, both ends of all, the columns.

    `gaps` are the sessions between them that lack; `after` is the first day beyond asof with a bar;
    `answer` is what the file gave.
    """

    asof: date

    rows: Mapping[str, int]
    newest: Mapping[str, date]
    gaps: "Gaps"
    first: date
    last: date
    after: date | None
    columns: tuple[str, ...]
    answer: Answer

    @property
    def words(self) -> str:
        """How much there is, for people."""
        gaps = self.gaps
        of = f"{gaps.held} of {gaps.span}" if gaps.missing else str(gaps.span)
        many = f"{len(self.rows)} symbol{'s' if len(self.rows) != 1 else ''}"
        return f"{many}, {self.first} to {self.last} ({of} sessions)"

    @property
    def market(self) -> bool:
        """Whether there is a market: its fund, or members enough to stand in for it."""
        return _is_market(self.rows)


def _is_market(symbols: Collection[str]) -> bool:
    return MARKET_FUND in symbols or len(symbols) >= MARKET_MEMBERS


def look(
    ports: Ports,
    asked: RunRequest,
    *,
    profiles_dir: str,
    seen: dict[str, History] | None = None,
) -> tuple[str, ...]:
    """Sentences about what a file holds and what the profile needs; none for other sources.

    Of a root whose models are in production nothing is trained, so only its end is asked for (a
    profile that is new to the root and not theirs is judged: they are to be trained by it); and
    of a night whose pull from this source will not run again, neither its end nor what the source
    needs.

    Raises:
        ConfigError: an unknown profile, key or value; a source that is none, lacks its key, is a
            simulator that does not listen, or a file of other symbols than the root's.
        DataError: the file holds rows that cannot be stored (too many, or two of one day that
            differ), does not reach asof, or has too few sessions, rows or kinds of facts to train.
        UnfitError: so it is, and another profile would do.
    """
    source, profile = asked.source, asked.profile
    wanted, trained, told = dict[str, Json](), True, source_change.words(ports.store, source)
    if profile is not None:
        production = ports.state.pointer("production").set_digest
        known = production is not None and _is_known(ports, profile)
        wanted = {} if known else _wanted(profile, profiles_dir)
        relabelled = _other_profile(ports, production, asked)
        trained = production is not None and (known or not relabelled)
        told += relabelled
    new = not _is_pulled(ports, asked)
    if new:
        ports.source(source).check()
        before = origin.remembered(ports.store)
        if before and before.world:
            pull.check_world(ports, ports.source(source))
    if profile is None or source.partition(":")[0] != "files" or (trained and not new):
        return told
    held = history(ports, source, asked.asof, seen)
    odd = preflight_rows.odd(held.answer, source, asked.asof)
    source_change.check(ports.store, source, held.rows, fresh=asked.fresh)
    judge = _Judge(ports=ports, held=held, asked=asked, profiles_dir=profiles_dir, odd=odd)
    if held.last < asked.asof:
        raise judge.too_old({} if trained else wanted)
    if new:
        _check_traded(ports, held, asked)
    return (*told, *(() if trained else judge.suffices(wanted)))


def _other_profile(ports: Ports, production: str | None, asked: RunRequest) -> tuple[str, ...]:
    """That the models in production are of other profiles than the one asked for, if so."""
    profile = asked.profile or ""
    others = [name for name in origin.learned_by(ports.store, production) if name != _stem(profile)]
    if not others:
        return ()
    return (
        f"models in production are of profile {', '.join(others)}; {profile} takes effect when "
        f"they are trained again: {learned_anew(asked.asof, profile)}",
    )


def _stem(profile: str) -> str:
    """The name that models bear of a profile, which may be a file of one's own."""
    return Path(profile).stem if origin.training_of(profile, Path.cwd()).path else profile


def history(
    ports: Ports, source: str, asof: date, seen: dict[str, History] | None = None
) -> History:
    """Bars of a file up to asof; what one call has `seen` of a source is not read again.

    Up to any day from its last bar to its own asof a history is the same.

    Raises:
        DataError: the file is unreadable, or has no bar at or before asof.
    """
    known = None if seen is None else seen.get(source)
    if known is None or not known.last <= asof <= known.asof:
        known = _read(ports, source, asof)
    if seen is not None:
        seen[source] = known
    return known


def _read(ports: Ports, source: str, asof: date) -> History:
    import pyarrow.compute as pc

    from bft.features.gaps import gaps_in

    wants = [Want(topic="bars")]
    (answer,) = ports.source(source).fetch(wants, asof=asof, fresh=False, tick=lambda *_: None)
    whole = answer.tables["bars"]
    bars = whole.select(["symbol", "date"]).filter(pc.less_equal(whole["date"], asof))
    beyond = whole["date"].filter(pc.greater(whole["date"], asof))
    if not bars.num_rows:
        first = pc.min(whole["date"]).as_py()
        raise DataError(
            f"{source} has no bar at or before {asof}; its first is of {first}: give a later --asof"
        )
    span = pc.min_max(bars["date"]).as_py()
    each = bars.group_by("symbol").aggregate([("date", "count"), ("date", "max")]).to_pylist()
    return History(
        rows={str(row["symbol"]): int(row["date_count"]) for row in each},
        newest={str(row["symbol"]): row["date_max"] for row in each},
        asof=asof,
        gaps=gaps_in(bars.to_pandas(date_as_object=False)),
        first=span["min"],
        last=span["max"],
        after=pc.min(beyond).as_py(),
        columns=tuple(whole.column_names),
        answer=answer,
    )


def _check_traded(ports: Ports, held: History, asked: RunRequest) -> None:
    """Look for symbols that ended early, as the pull would find them.

    Raises:
        DataError: too few of those who trade have a bar of the session.
    """
    from bft.steps import pull_bulk

    source, skips = ports.source(asked.source), Skips()
    wants = [Want(topic="universe")] if "universe" in source.topics else []
    answers = source.fetch(wants, asof=asked.asof, fresh=False, tick=lambda *_: None)
    listed = [row for one in answers for row in one.tables["universe"].to_pylist()]
    universe = pull_bulk.universe_listed(listed, asof=asked.asof, skips=skips)
    newest: dict[str, date] = {}
    for symbol, day in held.newest.items():
        name = renamed(symbol, universe.renames, asof=asked.asof)
        newest[name] = max(day, newest.get(name, day))
    coverage = pull_bulk.covered(universe, newest, asked.asof)
    if coverage.active and not coverage.whole:
        told = pull_bulk.end_told(coverage, source.digests())
        raise DataError(f"{asked.source}: {asked.asof}: {coverage.words}; {told}")


def unknown_inputs(ports: Ports, held: History, asked: RunRequest) -> tuple[str, ...]:
    """Model inputs that no row can have, by what lies beside the bars and in the root."""
    import pyarrow.compute as pc

    from bft.features.unfed import Beside, unfed

    source, store = ports.source(asked.source), ports.store
    beside = [Want(topic=topic) for topic in ("macro", "universe") if topic in source.topics]
    answers = source.fetch(beside, asof=asked.asof, fresh=False, tick=lambda *_: None)
    found = {answer.want.topic: answer.tables for answer in answers}
    topics = {*source.topics, *(name for name in FACTS if store.manifest(name) is not None)}

    def words(topic: str, column: str) -> set[str]:
        tables = [store.read(topic, columns=[column]), *found.get(topic, {}).values()]
        return {
            str(word) for table in tables for word in pc.unique(table[column]).to_pylist() if word
        }

    return unfed(
        Beside(
            topics=topics,
            series=words("macro", "series"),
            sectors=bool(words("universe", "sector") | words("fundamentals", "sector")),
            dividends="actions" in topics or bool(ACTED & set(held.columns)),
            market=held.market or _is_market(words("bars", "symbol") | held.rows.keys()),
        )
    )


def _is_pulled(ports: Ports, asked: RunRequest) -> bool:
    """Whether asof was pulled from the source asked for, by the code and of the files of today.

    Raises:
        DataError: a file is gone; its pull would run again and could but fail.
    """
    held, made = origin.remembered(ports.store), record.pull_of(ports.store, asked.asof)
    if held is None or asked.source != held.spec(Path.cwd()):
        return False
    if not made or made["code"] != record.code_digest(("domain", *pull.STEP.code)):
        return False
    read = pull.STEP.inputs(
        ports, argparse.Namespace(source=asked.source, universe=None, watchlist=None)
    )
    return bool(made["inputs"] == read)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Of a file up to the session that was asked for: what it is fit for; `odd` rows, in words."""

    ports: Ports
    held: History
    asked: RunRequest
    profiles_dir: str
    odd: str

    def suffices(self, wanted: Mapping[str, Json]) -> tuple[str, ...]:
        """What there is and what the profile needs; `wanted` is what it says of each model."""
        held, asked = self.held, self.asked
        told = f"{asked.source}: {held.words}; profile {asked.profile}"
        lacking = unknown_inputs(self.ports, held, asked)
        if why := _why_not(held, lacking, wanted):
            name = self._fitting(lacking)
            if name is None:
                raise DataError(f"{told} {why}")
            instead = f"{asked.again} --asof {asked.asof} --profile {name}"
            raise UnfitError(f"{told} {why}; or take --profile {name}: {instead}", instead=instead)
        odd = (f"rows: {self.odd}",) if self.odd else ()
        gaps = (f"gaps: {held.gaps.words}",) if held.gaps.words else ()
        return (f"{told} needs {_most_needed(held, wanted)}", *odd, *gaps, *_no_market(held))

    def too_old(self, wanted: Mapping[str, Json]) -> DataError:
        """The fault of prices that lack the session; nothing is `wanted`: none is trained."""
        from bft.features.gaps import end_told

        held, asked = self.held, self.asked
        instead = f"{asked.again} --asof {sessions.on_or_before(held.last)}"
        lacking = unknown_inputs(self.ports, held, asked) if wanted else ()
        name = asked.profile
        if wanted and _why_not(held, lacking, wanted):
            name = self._fitting(lacking) or name
        if name and not _is_known(self.ports, name):
            instead += f" --profile {shlex.quote(name)}"
        told = end_told(asked.source, asked.asof, last=held.last, after=held.after)
        load = "load that day" if held.after else "load newer prices"
        return UnfitError(f"{told}; {load}, or run: {instead}", instead=instead)

    def _fitting(self, lacking: Sequence[str]) -> str | None:
        """The first shipped profile that the file suffices for."""
        folder = registry.data_folder(self.profiles_dir, "profiles")
        for name in (name for name in FITTING if (folder / f"{name}.yaml").exists()):
            if not _why_not(self.held, lacking, _wanted(name, self.profiles_dir)):
                return name
        return None


def _why_not(held: History, lacking: Sequence[str], wanted: Mapping[str, Json]) -> str:
    """What a file lacks that a profile needs, and what to do; empty: nothing."""
    need = _most_needed(held, wanted)
    begin = sessions.shift(sessions.on_or_before(held.last), 1 - need)
    if held.first > begin:
        return f"needs {need} sessions, {begin} to {held.last}: load them"
    least, most = max(int(b["symbol_min_rows"]) for b in wanted.values()), max(held.rows.values())
    if most < least:
        return f"needs {least} days of a symbol, most is {most}"
    # Without min_names a day there is no RankIC, and no gate passes what was not measured.
    fewest = max(int(b[key]) for b in wanted.values() for key in ("min_symbols", "min_names"))
    if len(held.rows) < fewest:
        return f"needs {fewest} symbols"
    dead = min(int(b["max_dead_features"]) for b in wanted.values())
    if len(lacking) <= dead:
        return ""
    return (
        f"trains with at most {dead} of the {len(INPUTS)} inputs unknown, {len(lacking)} are "
        f"({', '.join(lacking)}): load what they are made of (docs/sources.md)"
    )


def ends_on(
    ports: Ports, source: str, asof: date, seen: dict[str, History] | None = None
) -> date | None:
    """Last session with a price in a file, up to asof; None for other sources.

    Raises:
        DataError: the file is unreadable, or has no bar at or before asof.
    """
    if source.partition(":")[0] != "files":
        return None
    return sessions.on_or_before(history(ports, source, asof, seen).last)


def _wanted(profile: str, profiles_dir: str) -> dict[str, Json]:
    """What a profile says of each model."""
    from bft.models.profiles import effective

    folder = registry.data_folder(profiles_dir, "profiles")
    return {name: effective(profile, name, (), folder) for name in MODEL_NAMES}


def _is_known(ports: Ports, profile: str) -> bool:
    """A root remembers the profile of a run: what it does not know yet may be a slip of the pen."""
    return origin.training_of(profile, Path.cwd()) == origin.trained_by(ports.store)


def _most_needed(held: History, wanted: Mapping[str, Json]) -> int:
    """Sessions up to the last day that the folds of every model take in all."""
    from bft.dataset import splits

    days = sessions.sessions(held.first, held.last)
    first, last = sessions.number(days[0]), sessions.number(days[-1])
    return max(
        len(days) - splits.spare(first + max(0, int(body["train_start_offset"])), last, body)
        for body in wanted.values()
    )


def _no_market(held: History) -> tuple[str, ...]:
    if held.market:
        return ()
    return (
        f"{len(held.rows)} symbols are no market ({MARKET_MEMBERS} are, or {MARKET_FUND}): beta "
        "and the three market inputs stay unknown",
    )
