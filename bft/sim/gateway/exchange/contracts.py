"""Contracts: stocks, options, index futures, and the index that is only looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b

ZERO = Decimal(0)


class SecType(StrEnum):
    """Kinds of contract that are simulated."""

    STOCK = "STK"
    OPTION = "OPT"
    FUTURE = "FUT"
    INDEX = "IND"
    COMBO = "BAG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One contract of a combination: how many of it for each, and on which side."""

    con_id: int
    ratio: int
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One contract; `expiry` is YYYYMMDD, empty for stocks. Prices and strike in USD.

    `legs` are those of a combination.
    """

    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    primary: str
    local_symbol: str
    trading_class: str
    name: str
    rule: int
    expiry: str = ""
    strike: Decimal = ZERO
    right: str = ""
    multiplier: int = 1
    legs: tuple[Leg, ...] = ()

    @property
    def increments(self) -> Sequence[tuple[Decimal, Decimal]]:
        """Market rule: (from this price on, increment)."""
        return MARKET_RULES[self.rule]

    def on_tick(self, price: Decimal) -> bool:
        """Whether a price conforms to the minimum price variation."""
        return price % self.increment(price) == 0

    def increment(self, price: Decimal) -> Decimal:
        """Minimum price variation at a price."""
        return [step for low, step in self.increments if low <= max(price, ZERO)][-1]

    def rounded(self, price: float) -> Decimal:
        """Nearest valid price, at least one increment."""
        exact = Decimal(repr(round(price, 6)))
        step = self.increment(exact)
        return max(step, (exact / step).to_integral_value() * step).normalize() + Decimal("0.00")


MARKET_RULES: dict[int, Sequence[tuple[Decimal, Decimal]]] = {
    26: ((ZERO, Decimal("0.0001")), (Decimal(1), Decimal("0.01"))),  # Regulation NMS, rule 612
    67: ((ZERO, Decimal("0.25")),),  # CME equity index futures
    110: ((ZERO, Decimal("0.01")), (Decimal(3), Decimal("0.05"))),  # penny-interval options
}


def con_id(key: str) -> int:
    """Contract id of a name such as `STK:AAPL`: 30 bits of its hash, never 0."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big") % (2**30 - 1) + 1


def stock(symbol: str, *, name: str = "", primary: str = "NASDAQ") -> Contract:
    """A stock; share classes are written with a space."""
    return Contract(
        con_id=con_id(f"STK:{symbol}"),
        symbol=symbol,
        sec_type=SecType.STOCK,
        exchange="SMART",
        primary=primary,
        local_symbol=symbol,
        trading_class="NMS",
        name=name or symbol,
        rule=26,
    )


def option(under: Contract, expiry: str, right: str, strike: Decimal) -> Contract:
    """An option on a stock, 100 shares; the local symbol is the OCC one."""
    local = f"{under.symbol:<6}{expiry[2:]}{right}{int(strike * 1000):08d}"
    return Contract(
        con_id=con_id(f"OPT:{local}"),
        symbol=under.symbol,
        sec_type=SecType.OPTION,
        exchange="SMART",
        primary="",
        local_symbol=local,
        trading_class=under.symbol,
        name=under.name,
        rule=110,
        expiry=expiry,
        strike=strike,
        right=right,
        multiplier=100,
    )


INDICES = {"VIX": "CBOE Volatility Index"}


def index(symbol: str) -> Contract:
    """An index of the CBOE."""
    return Contract(
        con_id=con_id(f"IND:{symbol}"),
        symbol=symbol,
        sec_type=SecType.INDEX,
        exchange="CBOE",
        primary="",
        local_symbol=symbol,
        trading_class=symbol,
        name=INDICES[symbol],
        rule=26,
    )


def combo(under: Contract, legs: Sequence[Leg]) -> Contract:
    """A combination of contracts on a stock, as it is named in orders."""
    parts = ",".join(
        f"{leg.con_id}|{leg.ratio * (1 if leg.action == 'BUY' else -1)}" for leg in legs
    )
    return Contract(
        con_id=con_id(f"BAG:{parts}"),
        symbol=under.symbol,
        sec_type=SecType.COMBO,
        exchange="SMART",
        primary="",
        local_symbol=parts,
        trading_class="COMB",
        name=under.name,
        rule=26,
        legs=tuple(legs),
    )


FUTURES = {"NQ": 20, "MNQ": 2, "ES": 50, "MES": 5}
"""Root -> USD per point (CME contract specifications)."""
_MONTH_LETTERS = {3: "H", 6: "M", 9: "U", 12: "Z"}


def future(root: str, expiry: str) -> Contract:
    """A quarterly index future of the CME."""
    local = f"{root}{_MONTH_LETTERS[int(expiry[4:6])]}{expiry[3]}"
    return Contract(
        con_id=con_id(f"FUT:{root}{expiry}"),
        symbol=root,
        sec_type=SecType.FUTURE,
        exchange="CME",
        primary="",
        local_symbol=local,
        trading_class=root,
        name=f"{root} index future",
        rule=67,
        expiry=expiry,
        multiplier=FUTURES[root],
    )
