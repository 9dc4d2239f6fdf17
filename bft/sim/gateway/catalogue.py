"""Which contracts there are: listed stocks, their option chains, index futures, the VIX."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources

from bft.domain import sessions
from bft.domain.symbols import read_list
from bft.sim.gateway.exchange.contracts import (
    FUTURES,
    INDICES,
    Contract,
    SecType,
    future,
    index,
    option,
    stock,
)

_STEPS = ("0.5", "1", "2.5", "5", "10", "25", "50", "100")
_EXCHANGES = frozenset(["", "SMART", "ISLAND", "NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "IEX"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A contract as a client describes it; empty and 0 mean: any."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: Decimal = Decimal(0)
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


class Catalogue:
    """All contracts by id; options come into being when someone asks for them."""

    def __init__(self, names: Sequence[tuple[str, str]]) -> None:
        self._by_id: dict[int, Contract] = {}
        self._stocks: dict[str, Contract] = {}
        self._indices = [self.know(index(symbol)) for symbol in INDICES]
        for symbol, name in names:
            made = self.know(stock(symbol, name=name))
            self._stocks[symbol] = made

    @property
    def stocks(self) -> Sequence[Contract]:
        """Stocks in order of listing."""
        return list(self._stocks.values())

    def know(self, contract: Contract) -> Contract:
        """Keep a contract so that its id is found."""
        return self._by_id.setdefault(contract.con_id, contract)

    def by_id(self, con_id: int) -> Contract | None:
        """Contract of an id."""
        return self._by_id.get(con_id)

    def stock(self, symbol: str) -> Contract | None:
        """Stock of a symbol."""
        return self._stocks.get(symbol)

    def rename(self, old: str, new: str) -> Contract:
        """Give a stock another symbol; its id stays."""
        known = self._stocks.pop(old)
        made = replace(known, symbol=new, local_symbol=new)
        self._stocks[new] = self._by_id[known.con_id] = made
        return made

    def find(self, wanted: Wanted, *, today: date, near: Decimal | None = None) -> list[Contract]:
        """Contracts that fit; `near` is the price of the underlying, for strikes."""
        if wanted.con_id:
            known = self._by_id.get(wanted.con_id)
            return [known] if known is not None else []
        if wanted.currency not in {"", "USD"}:
            return []
        if wanted.sec_type == SecType.STOCK:
            known = self._stocks.get(wanted.symbol or wanted.local_symbol)
            return [known] if known is not None and wanted.exchange in _EXCHANGES else []
        if wanted.sec_type in {SecType.FUTURE, SecType.INDEX}:
            listed = self._indices if wanted.sec_type == SecType.INDEX else _futures(today)
            return [self.know(one) for one in listed if _fits(one, wanted)]
        if wanted.sec_type == SecType.OPTION and near is not None:
            return [self.know(one) for one in self._options(wanted, today, near)]
        return []

    def _options(self, wanted: Wanted, today: date, near: Decimal) -> Iterator[Contract]:
        under = self._stocks.get(wanted.symbol or wanted.local_symbol[:6].strip())
        if under is None:
            return
        levels = [wanted.strike] if wanted.strike else strikes(near)
        valid = [level for level in levels if level in set(strikes(near))]
        for expiry in expirations(today):
            if not expiry.startswith(wanted.expiry):
                continue
            for right in "CP":
                made = (option(under, expiry, right, level) for level in valid)
                yield from (one for one in made if _fits(one, wanted))


def expirations(today: date) -> list[str]:
    """The next 8 Fridays, then 4 third Fridays (the session before, where closed): YYYYMMDD."""
    friday = today + timedelta(days=(4 - today.weekday()) % 7)
    weeks = [friday + timedelta(weeks=n) for n in range(44)]
    monthly = [day for day in weeks[8:] if 15 <= day.day <= 21][:4]
    found = {max(today, sessions.on_or_before(day)) for day in (*weeks[:8], *monthly)}
    return [f"{day:%Y%m%d}" for day in sorted(found)]


def strikes(near: Decimal) -> list[Decimal]:
    """Strikes from about half to twice a price, on a step that suits it."""
    step = min(map(Decimal, _STEPS), key=lambda one: abs(one - near / 50))
    first, last = int(near / 2 / step), int(near * 2 / step) + 1
    return [step * n for n in range(max(first, 1), last)]


@cache
def listed() -> tuple[tuple[str, str], ...]:
    """(symbol, company) of the lists shipped with bft; classes with a space, as the broker does."""
    found: dict[str, str] = {}
    for name in ("watchlist.csv", "sp500.csv"):
        text = (resources.files("bft") / "universe" / name).read_text(encoding="utf-8")
        for member in read_list(text, origin=name).members:
            found.setdefault(member.symbol.replace("-", " "), member.name or member.symbol)
    return tuple(found.items())


def read_csv(text: str) -> list[dict[str, str]]:
    """Rows of a CSV with a header, names in lower case."""
    rows = csv.DictReader(text.removeprefix("\ufeff").splitlines())
    return [{str(k).strip().lower(): (v or "").strip() for k, v in row.items()} for row in rows]


def _futures(today: date) -> Iterator[Contract]:
    for root in FUTURES:
        for n in range(15):
            month = (today.month - 1 + n) % 12 + 1
            year = today.year + (today.month - 1 + n) // 12
            third = date(year, month, 1) + timedelta(days=(4 - date(year, month, 1).weekday()) % 7)
            third += timedelta(weeks=2)
            if month % 3 == 0 and third >= today:
                yield future(root, f"{sessions.on_or_before(third):%Y%m%d}")


def _fits(one: Contract, wanted: Wanted) -> bool:
    exchange = wanted.exchange in {"", "SMART", one.exchange} or one.sec_type is SecType.OPTION
    return exchange and all(
        (
            wanted.symbol in {"", one.symbol},
            one.expiry.startswith(wanted.expiry),
            wanted.strike in {0, one.strike},
            wanted.right in {"", one.right, {"C": "CALL", "P": "PUT"}.get(one.right)},
            wanted.multiplier in {"", str(one.multiplier)},
            wanted.local_symbol in {"", one.local_symbol},
            wanted.trading_class in {"", one.trading_class},
        )
    )
