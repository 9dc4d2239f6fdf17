"""Raw tables as known at asof, as `features.build` takes them."""

from datetime import date
from typing import TYPE_CHECKING

from bft.domain import market, sessions
from bft.domain.errors import DataError, StaleDataError
from bft.ports import Ports, Store
from bft.steps.lacking import instead
from bft.steps.record import reading

if TYPE_CHECKING:
    import pyarrow as pa

READS = (
    *("bars", "actions", "options_summary", "macro", "earnings", "statements"),
    *("fundamentals", "universe"),
)
SCHEMAS = {table.name: table for table in market.RAW_TABLES}


def digests(store: Store, asof: date, names: tuple[str, ...] = READS) -> dict[str, str]:
    """Manifest digests of the raw tables that gold of asof is made of, or of some of them."""
    manifests = {name: store.manifest(name, asof=reading(store, asof)) for name in names}
    return {name: m.digest if m else "absent" for name, m in manifests.items()}


def known_tables(store: Store, asof: date, *, history_start: str) -> dict[str, "pa.Table"]:
    """Tables by the names of `features.build.TABLES`, of which every row was known at asof.

    `history_start` cuts the bars of vendors; files count from their first bar.
    """
    from bft.features.facts import as_known, expected_actions, refused_actions
    from bft.features.renames import known_renames, under_new_names

    day = reading(store, asof)
    columns = [name for name in market.BARS.names if name != "known_at"]
    bars = _since(store.read("bars", asof=day, columns=columns), date.fromisoformat(history_start))
    facts = known_facts(store, asof, tuple(name for name in READS if name != "bars"))
    renames = known_renames(facts["universe"])
    bars = under_new_names(bars, market.BARS, renames)
    actions = under_new_names(store.read("actions", asof=day), market.ACTIONS, renames)
    return {
        "bars": as_known(bars, market.BARS, asof=asof),
        "refused_actions": refused_actions(actions, asof=asof),
        "expected_actions": expected_actions(actions, asof=asof),
        **facts,
    }


def known_facts(store: Store, asof: date, names: tuple[str, ...]) -> dict[str, "pa.Table"]:
    """Accepted rows of some raw tables as known at asof, under the names known then."""
    from bft.features.facts import as_known
    from bft.features.renames import known_renames, under_new_names

    day = reading(store, asof)
    listed = as_known(store.read("universe", asof=day), market.UNIVERSE, asof=asof)
    renames = known_renames(listed)
    found = {"universe": listed}
    for name in (name for name in names if name != "universe"):
        rows = under_new_names(store.read(name, asof=day), SCHEMAS[name], renames)
        found[name] = as_known(rows, SCHEMAS[name], asof=asof)
    return {name: found[name] for name in names}


def known_universe(store: Store, asof: date) -> "pa.Table":
    """Entries of the universe as known at asof, all revisions."""
    return known_facts(store, asof, ("universe",))["universe"]


def macro_read(store: Store, asof: date) -> "pa.Table":
    """The raw table of macro figures that gold of asof was made of, as `model_inputs` takes it."""
    return store.read("macro", asof=reading(store, asof))


def check_current(ports: Ports, bars: "pa.Table", asof: date) -> None:
    """Check that the newest bar is of asof.

    Raises:
        StaleDataError: it is older; names what to run.
        DataError: there is no bar up to asof.
    """
    import pyarrow.compute as pc

    newest = pc.max(bars["date"]).as_py()
    if newest == asof:
        return
    next_step = instead(ports, "bars", asof)
    if newest is None:
        raise DataError(f"no bar is known at {asof}; {next_step}")
    behind = sessions.number(asof) - sessions.number(newest)
    raise StaleDataError(f"bars end {newest}, {behind} sessions before {asof}; {next_step}")


def check_history(ports: Ports, bars: "pa.Table", asof: date) -> None:
    """Check that asof is not before the first bar.

    Raises:
        DataError: it is; names the first bar.
    """
    if bars.num_rows:
        return
    import pyarrow.compute as pc

    first = pc.min(ports.store.read("bars", columns=["date"])["date"]).as_py()
    if first is not None and first > asof:
        again = ports.commands.again(first)
        raise DataError(f"--asof {asof} is before the first bar, of {first}; run: {again}")


def _since(bars: "pa.Table", first: date) -> "pa.Table":
    import pyarrow.compute as pc

    early = pc.and_(pc.less(bars["date"], first), pc.not_equal(bars["source"], "files"))
    return bars.filter(pc.invert(early)) if pc.any(early).as_py() else bars
