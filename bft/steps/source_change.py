"""What another file would change on a root: whose prices it holds, and whose come instead.

A file that knows few of a root's symbols would end the others unasked, and the models of the old
ones would score the new ones. A newer export of the same symbols is the daily use.
"""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from bft.domain import origin
from bft.domain.errors import BftError, ConfigError
from bft.domain.symbols import newest_entries
from bft.ports import Store

SHARED_FRAC = 0.5
"""Least share of a root's symbols that a file must hold, to be another edition of its prices."""


def check(store: Store, spec: str, symbols: Collection[str], *, fresh: bool) -> None:
    """Refuse a file that lacks most of the symbols a root holds; `fresh` takes it nevertheless.

    Raises:
        ConfigError: fewer than half of the root's symbols are in it.
    """
    held, mine = origin.remembered(store), set() if fresh else _members(store)
    shared = mine & set(symbols)
    if not held or not mine or len(shared) >= SHARED_FRAC * len(mine):
        return
    raise ConfigError(
        f"root {store.root} holds {held.source} ({len(mine)} symbols); {spec} shares "
        f"{len(shared) or 'none'} of them: give another --root for it, or --fresh to go on here "
        "with its symbols alone"
    )


def words(store: Store, spec: str) -> tuple[str, ...]:
    """That the root's source changes, if it does."""
    held = origin.remembered(store)
    if held is None:
        return ()
    made = origin.origin_of(spec, Path.cwd(), simulated=origin.is_simulated(spec))
    same = made.path == held.path if made.path and held.path else spec == held.source
    return () if same else (f"source changes from {held.source} to {spec}",)


def _members(store: Store) -> set[str]:
    """Symbols that a root holds and that have no end; none where its tables are broken."""
    with suppress(BftError):  # a reader names the broken object; a pull may be what mends it
        rows = store.read("universe", columns=["symbol", "from", "to", "revision"]).to_pylist()
        return {row["symbol"] for row in newest_entries(rows) if row["to"] is None}
    return set()
