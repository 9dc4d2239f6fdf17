"""Names of one instrument, as an order writes them."""

from dataclasses import replace

from bft.domain.instruments import parted
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
