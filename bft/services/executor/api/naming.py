"""Whether the executor knows what a body names: positions to close, scopes to halt.

Source: executor specification, sections 1.1 (404: unknown id) and 9.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bft.domain.orders import Contract, Leg, Reason
from bft.services.executor.api.problems import Problem
from bft.services.executor.api.service import Service
from bft.services.executor.closing import NOBODY, Selection
from bft.services.executor.contracts import name_of
from bft.services.executor.naming import Naming

SHOWN = 20
Target = tuple[Contract, str]
"""A contract, and the strategy whose units of it there are."""


def unheld(service: Service, selection: Selection, *, part: bool) -> tuple[str, ...]:
    """The named symbols of which there is nothing; of a `part` pending entries do not count."""
    exact, naming = part and selection.instrument is None, service.executor.closing.naming()
    there = [*_positions(service), *(() if part else _entries(service))]
    alone = (
        (name, replace(selection, symbols=(name,), con_ids=naming.meant((name,), exact=exact)))
        for name in selection.symbols
    )
    return tuple(symbol for symbol, one in alone if not _meets(one, there))


def nothing_of(service: Service, selection: Selection, *, part: bool) -> Problem:
    """404: of all that is named there is nothing to close; says what is held."""
    words = [", ".join(selection.symbols)] if selection.symbols else []
    words += [f"strategy {selection.strategy}"] if selection.strategy else []
    words += [f"instrument {selection.instrument}"] if selection.instrument else []
    held = sorted({name_of(p.contract) for p in service.desk.state.positions.values()})
    lacks = "no position" if part else "no position and no pending entry"
    text = f"{' of '.join(words)}: {lacks}; held: {_listed(held)}"
    return Problem(404, Reason.SYMBOL if selection.symbols else Reason.OTHER, text)


def names_in(naming: Naming, contract: Contract) -> dict[str, list[str]]:
    """By which names a close means a position, those it bears now first."""
    roots = naming.names(contract)
    own = [name_of(replace(contract, symbol=root)) for root in roots]
    return {"names": own, "underlyings": roots}


def _meets(selection: Selection, there: Iterable[Target]) -> bool:
    return any(selection.takes(contract, strategy) for contract, strategy in there)


def _positions(service: Service) -> Iterator[Target]:
    """Whose the units of each position are: their entries' strategies, or nobody's."""
    guard = service.executor.guard
    for position in service.desk.state.positions.values():
        covers = [cover for cover in guard.of(position.con_id) if cover.open_qty]
        yield from ((position.contract, cover.strategy_id) for cover in covers)
        if abs(position.qty) > sum(cover.open_qty for cover in covers):
            yield position.contract, NOBODY


def _entries(service: Service) -> Iterator[Target]:
    live = service.desk.state.live_intents()
    return ((i.contract, i.strategy_id) for i in live if i.leg is Leg.ENTRY)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}" if names else "nothing"


def halt_warning(service: Service, scope: str, key: str) -> str | None:
    """What a person should know of a halt whose key nobody has met; it is in force all the same.

    A halt in vain costs nothing; one refused may be the fence before a purchase.
    """
    held = "the halt is in force all the same; resume it if another was meant"
    state = service.desk.state
    if scope == "strategy":
        known = sorted({i.strategy_id for i in state.intents.values()})
        met = key in known
        return None if met else f"no order of strategy {key} so far, of {_listed(known)}; {held}"
    told = unmet(service, key) if scope == "symbol" else None
    return f"{told}; {held}" if told else None


def unmet(service: Service, key: str) -> str | None:
    """That nobody has met a symbol: no position, no pending entry, no member of the universe."""
    state, universe = service.desk.state, service.desk.reference.universe
    near = [p.contract for p in state.positions.values()]
    near += [i.contract for i in state.live_intents()]
    names = {name for contract in near for name in (contract.symbol, name_of(contract))}
    if key in names or key in universe:
        return None
    night = f"the night's universe of {len(universe):,} symbols" if universe else "a universe"
    return f"{key} is not held, has no pending entry and is not in {night}"
