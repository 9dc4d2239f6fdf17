"""Account figures as the gateway tells them, tag by tag."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from bft.adapters.broker.ib.contracts import decimal_of
from bft.domain.broker import AccountValues

EQUITY = "NetLiquidation"
_FIELDS = {
    EQUITY: "equity_usd",
    "TotalCashValue": "cash_usd",
    "AvailableFunds": "available_usd",
}
_INSTANTS = {EQUITY: "equity_at", "AvailableFunds": "available_at"}
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
            told: dict[str, Any] = {_FIELDS[tag]: decimal_of(value)}
            told |= {_INSTANTS[tag]: at} if tag in _INSTANTS else {}
            self.newest = replace(held, at=at, **told)
        else:
            return False
        return True
