"""Account figures as the gateway tells them, tag by tag."""

from dataclasses import replace
from datetime import datetime

from bft.adapters.broker.ib.contracts import decimal_of
from bft.domain.broker import AccountValues

EQUITY = "NetLiquidation"
_FIELDS = {
    EQUITY: "equity_usd",
    "TotalCashValue": "cash_usd",
    "AvailableFunds": "available_usd",
}
SIMULATED = "SIMULATED"


class Values:
    """Newest figures of one account; rows in other currencies and tags are not for bft."""

    def __init__(self, account: str) -> None:
        self._account = account
        self.newest: AccountValues | None = None

    def take(self, tag: str, value: str, currency: str, at: datetime) -> bool:
        """Take a row; returns whether it is one of ours."""
        held = self.newest or AccountValues(account=self._account, at=at)
        if tag == "AccountType":
            self.newest = replace(held, at=at, account_type=value)
        elif tag in _FIELDS and currency == "USD":
            equity_at = at if tag == EQUITY else held.equity_at
            told = {_FIELDS[tag]: decimal_of(value)}
            self.newest = replace(held, at=at, equity_at=equity_at, **told)  # type: ignore[arg-type]
        else:
            return False
        return True
