"""Names of one instrument, as an order writes them; and what a name means of what is held."""

from collections.abc import Iterable
from dataclasses import replace

from bft.domain.instruments import names_of, parted
from bft.domain.orders import Contract
from bft.services.executor.contracts import name_of
from bft.services.executor.desk import Desk


class Spelling:
    """Writes every name of one underlying as an order writes it; other names stay as they are."""

    def __init__(self, desk: Desk, underlying: str, contract: Contract | None = None) -> None:
        self._underlying = underlying
        self.names = desk.aliases(underlying, contract)

    def symbol(self, name: str) -> str:
        """A name of a stock, of an option or of an underlying."""
        root, tail = parted(name)
        return self._underlying + tail if root in self.names else name

    def contract(self, contract: Contract) -> str:
        """The name of a contract."""
        return name_of(replace(contract, symbol=self.symbol(contract.symbol)))


class Naming:
    """Which contracts a name means, of those that are held or that an order works in.

    A share bears the broker's name for it, else the book's. What it is called elsewhere, or was
    called, means it only where no other share bears that name: a freed ticker is another company's.
    """

    def __init__(self, desk: Desk, more: Iterable[Contract] = ()) -> None:
        state, links = desk.state, desk.links()
        known = [*more, *(intent.contract for intent in state.live_intents())]
        known += [position.contract for position in state.positions.values()]
        self._contracts = {contract.con_id: contract for contract in known}
        told = {c: n for c, n in desk.told_names.items() if c in self._contracts}
        self._now = {con_id: c.symbol for con_id, c in self._contracts.items()} | told
        seen = [(contract.con_id, contract.symbol) for contract in known]
        lines = (line.contract for line in state.lines.values())
        seen += [(c.con_id, c.symbol) for c in lines if c.con_id in self._now]
        self._ever = {
            con_id: names_of(
                name,
                told=[(con_id, name), *(pair for pair in seen if pair[0] == con_id)],
                links=links,
            )
            for con_id, name in self._now.items()
        }

    def meant(self, names: Iterable[str], *, exact: bool) -> frozenset[int]:
        """Con ids of contracts that bear one of these names; unless `exact`, of an underlying."""
        held = self._contracts.values()
        found = (c.con_id for n in names for c in held if self._is(c, n, exact=exact))
        return frozenset(found)

    def names(self, contract: Contract) -> list[str]:
        """The names that mean the underlying of a contract, the one it bears now first."""
        con_id = contract.con_id
        if contract.sec_type == "FUT":
            return [contract.symbol]
        now = self._now[con_id]
        others = sorted(self._ever[con_id] - {now})
        return [name for name in (now, *others) if self._bears(contract, name)]

    def _is(self, contract: Contract, name: str, *, exact: bool) -> bool:
        if contract.sec_type == "FUT":
            return name == name_of(contract) or (name == contract.symbol and not exact)
        root, tail = parted(name)
        if root not in self._ever[contract.con_id]:
            return False
        whole = tail == parted(name_of(contract))[1]
        return (whole or not (tail or exact)) and self._bears(contract, root)

    def _bears(self, contract: Contract, root: str) -> bool:
        owners, now = self._owners(root), self._now[contract.con_id]
        if contract.sec_type == "STK":
            return contract.con_id in owners
        if now == root:
            return True
        same = not owners or not owners.isdisjoint(self._owners(now))
        return root in self._ever[contract.con_id] and same

    def _owners(self, root: str) -> set[int]:
        """Shares that bear a name now; where there is none, those that ever did."""
        shares = [con_id for con_id, c in self._contracts.items() if c.sec_type == "STK"]
        bear = {con_id for con_id in shares if self._now[con_id] == root}
        return bear or {con_id for con_id in shares if root in self._ever[con_id]}
