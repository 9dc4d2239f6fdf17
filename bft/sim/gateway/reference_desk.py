"""Requests about contracts, rules, accounts' names and the time."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.sim.gateway import catalogue
from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import MARKET_RULES, Contract, SecType
from bft.sim.gateway.session import About, Session
from bft.sim.gateway.wire.contract_fields import details
from bft.sim.gateway.wire.reader import Reader

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

NO_DEFINITION = "No security definition has been found for the request"
_MATCHES = 16  # most symbol samples in an answer (TWS API)
_DAYS_SHOWN = 6


class ReferenceDesk:
    """Static answers."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.handlers = {
            9: self.contract_details,
            17: self.managed_accounts,
            49: self.current_time,
            78: self.option_chain,
            81: self.matching_symbols,
            91: self.market_rule,
        }

    def forget(self, session: Session) -> None:
        """Nothing is kept for a client."""

    def contract_details(self, session: Session, fields: list[str]) -> None:
        """Every contract that fits, then the end; none: 200."""
        reader = Reader(fields, skip=2)
        req_id, wanted = reader.number(), reader.wanted()
        found = self.gateway.market.find(wanted, self.gateway.now())
        if not found:
            session.error(req_id, 200, NO_DEFINITION)
            return
        for contract in found:
            under = self.gateway.market.catalogue.stock(contract.symbol)
            is_option = contract.sec_type is SecType.OPTION
            under_id = under.con_id if under is not None and is_option else 0
            shown = details(contract, _hours(contract, self.gateway.now()), under_id)
            session.send((10, req_id, *shown), About(contract.symbol))
        session.send((52, 1, req_id))

    def managed_accounts(self, session: Session, _fields: list[str]) -> None:
        """Names of the accounts."""
        session.send((15, 1, ",".join(self.gateway.account_names) + ","))

    def current_time(self, session: Session, _fields: list[str]) -> None:
        """The gateway's clock."""
        session.send((49, 1, int(self.gateway.now().timestamp() + self.gateway.board.skew_s)))

    def option_chain(self, session: Session, fields: list[str]) -> None:
        """Expiries and strikes of an underlying."""
        reader = Reader(fields, skip=1)
        req_id, symbol, _exchange, sec_type = (reader.number(), *reader.texts(3))
        con_id = reader.number()
        at = self.gateway.now()
        under = self.gateway.market.catalogue.by_id(con_id)
        near = None
        if under is not None and under.symbol == symbol and sec_type == SecType.STOCK:
            near = self.gateway.market.reference(under, at)
        if near is not None:
            ends = catalogue.expirations(at.astimezone(sessions.NEW_YORK).date())
            levels = [float(level) for level in catalogue.strikes(near)]
            for exchange in ("SMART", "CBOE"):
                head = (75, req_id, exchange, con_id, symbol, 100)
                session.send((*head, len(ends), *ends, len(levels), *levels))
        session.send((76, req_id))

    def matching_symbols(self, session: Session, fields: list[str]) -> None:
        """Stocks whose symbol or name begins with a pattern."""
        reader = Reader(fields, skip=1)
        req_id, pattern = reader.number(), reader.text().upper()
        by_symbol = [c for c in self.gateway.market.catalogue.stocks if _begins(c, pattern)]
        shown = by_symbol[:_MATCHES] if pattern else []
        samples: list[object] = []
        for one in shown:
            samples += [one.con_id, one.symbol, one.sec_type, one.primary, "USD"]
            samples += [1, "OPT", one.name, ""]
        session.send((79, req_id, len(shown), *samples))

    def market_rule(self, session: Session, fields: list[str]) -> None:
        """Price increments of a rule."""
        number = Reader(fields, skip=1).number()
        rule = MARKET_RULES.get(number)
        if rule is None:
            session.error(-1, 321, f"Error validating request: no market rule {number}")
            return
        steps: list[Decimal] = [part for pair in rule for part in pair]
        session.send((93, number, len(rule), *steps))


def _begins(contract: Contract, pattern: str) -> bool:
    return contract.symbol.startswith(pattern) or contract.name.upper().startswith(pattern)


def _hours(contract: Contract, at: datetime) -> str:
    """Hours of today and the next sessions: `20261120:0930-20261120:1600;...`."""
    day, shown = at.astimezone(sessions.NEW_YORK).date(), []
    for _ in range(_DAYS_SHOWN):
        if sessions.is_session(day):
            ends = (hours.opens_at(contract, day), hours.closes_at(contract, day))
            first, last = (f"{end.astimezone(sessions.NEW_YORK):%Y%m%d:%H%M}" for end in ends)
            shown.append(f"{first}-{last}")
        else:
            shown.append(f"{day:%Y%m%d}:CLOSED")
        day = day.fromordinal(day.toordinal() + 1)
    return ";".join(shown)
