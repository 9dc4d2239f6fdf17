"""The figures of an account, in the broker's tags."""

from collections.abc import Iterator
from decimal import Decimal

from bft.sim.gateway.exchange import accounts
from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.contracts import ZERO, SecType

Row = tuple[str, str, str]
"""Tag, value, currency."""
_MARGINS = ("InitMarginReq", "MaintMarginReq", "AvailableFunds", "ExcessLiquidity")


def unrealised(books: Books, account: str) -> Decimal:
    """Open profit of an account in USD."""
    return accounts.total(
        accounts.unrealised(p, books.mark(p)) for p in books.held(account)
    ).quantize(accounts.CENT)


def daily(books: Books, account: str) -> Decimal:
    """Change of equity since the day began, in USD."""
    return (books.equity(account) - books.accounts[account].day_start).quantize(accounts.CENT)


def rows(books: Books, account: str) -> list[Row]:
    """All tags, the ledger's included."""
    return [*_plain(books, account), *_money(books, account), *ledger(books, account)]


def _plain(books: Books, account: str) -> Iterator[Row]:
    equity = books.equity(account)
    spare = equity - books.margin(account, initial=False)
    gross = _value(books, account, absolute=True)
    yield "AccountCode", account, ""
    yield "AccountType", "SIMULATED", ""
    yield "AccountReady", "true", ""
    yield "Cushion", _ratio(spare, equity), ""
    yield "Leverage-S", _ratio(gross, equity), ""
    yield "Leverage", _ratio(gross, equity), ""
    yield "LookAheadNextChange", "0", ""
    yield "HighestSeverity", "0", ""
    for day in ("", "T+1", "T+2", "T+3", "T+4"):
        yield f"DayTradesRemaining{day}", "-1", ""


def _money(books: Books, account: str) -> Iterator[Row]:
    equity, held = books.equity(account), books.accounts[account]
    initial, maintenance = (books.margin(account, initial=first) for first in (True, False))
    figures = {
        "NetLiquidation": equity,
        "TotalCashValue": held.cash,
        "SettledCash": held.cash,
        "AccruedCash": ZERO,
        "BuyingPower": 2 * max(equity - initial, ZERO),
        "EquityWithLoanValue": equity,
        "PreviousDayEquityWithLoanValue": held.day_start,
        "GrossPositionValue": _value(books, account, absolute=True),
        "RegTEquity": equity,
        "RegTMargin": initial,
        "SMA": max(equity - initial, ZERO),
    }
    margins = (initial, maintenance, equity - initial, equity - maintenance)
    for prefix in ("", "Full", "LookAhead"):
        figures |= {f"{prefix}{name}": x for name, x in zip(_MARGINS, margins, strict=True)}
    for tag, figure in figures.items():
        yield tag, usd(figure), "USD"


def ledger(books: Books, account: str) -> Iterator[Row]:
    """What `$LEDGER:ALL` brings: once for USD, once for the base currency."""
    held = books.accounts[account]
    figures = {
        "CashBalance": held.cash,
        "TotalCashBalance": held.cash,
        "StockMarketValue": _value(books, account, kind=SecType.STOCK),
        "OptionMarketValue": _value(books, account, kind=SecType.OPTION),
        "NetLiquidationByCurrency": books.equity(account),
        "UnrealizedPnL": unrealised(books, account),
        "RealizedPnL": held.realised,
    }
    for currency in ("BASE", "USD"):
        yield "Currency", currency, currency
        yield "ExchangeRate", "1.00", currency
        for tag, figure in figures.items():
            yield tag, usd(figure), currency


def usd(figure: Decimal) -> str:
    """Dollars to the cent."""
    return f"{figure:.2f}"


def _value(
    books: Books, account: str, *, kind: SecType | None = None, absolute: bool = False
) -> Decimal:
    values = (
        accounts.value(p, books.mark(p))
        for p in books.held(account)
        if kind in {None, p.contract.sec_type}
    )
    return accounts.total(map(abs, values) if absolute else values)


def _ratio(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.4f}" if whole else "0"
