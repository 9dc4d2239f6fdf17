"""The words of the exit engine: fills, bars and the state of one position."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.errors import DataError
from bft.domain.trading import Direction, ExitPolicy


class Reason(StrEnum):
    """Why a position, or a part of it, was left.

    Source: strategies specification, 3.3; `flatten`: end of day, and executor specification, 6.
    """

    FLATTEN = "flatten"
    STOP = "stop"
    STOP_GAP = "stop_gap"
    TRAIL = "trail"
    TRAIL_GAP = "trail_gap"
    TARGET = "target"
    TARGET_GAP = "target_gap"
    PARTIAL = "partial"
    RISK = "risk"
    MANUAL = "manual"
    TIME = "time"
    FLIP = "flip"
    RULE = "rule"


class Ordering(StrEnum):
    """Which came first where a bar reached both the protective level and a target."""

    WORST = "worst"
    BEST = "best"


class Moment(StrEnum):
    """When in its bar an exit fills; costs differ."""

    OPEN = "open"
    INSIDE = "inside"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Raw prices in USD of one bar; a live quote is a bar with four equal prices.

    `bar_key` is unique per symbol; `ends_at` is aware UTC. A bar without volume is a missing bar:
    it is never shown to the engine.

    Raises:
        DataError: a price that is not positive and finite, or a high or low that is none.
    """

    bar_key: str
    session: date
    ends_at: datetime
    open_usd: Decimal
    high_usd: Decimal
    low_usd: Decimal
    close_usd: Decimal

    def __post_init__(self) -> None:
        prices = (self.open_usd, self.high_usd, self.low_usd, self.close_usd)
        finite = all(price.is_finite() for price in prices)
        if not (finite and 0 < self.low_usd == min(prices) and self.high_usd == max(prices)):
            shown = ", ".join(map(str, prices))
            raise DataError(f"bar {self.bar_key}: O H L C {shown} is no bar; treat it as missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFill:
    """An entry as filled: price with slippage, quantity, and the bar it fell into.

    `at_open`: filled at the open of that bar (market, collar, gap), else inside it (limit, stop).
    `tick_usd` None is the rule of US stocks, 0.01 and below 1 USD 0.0001; 0 is no rounding.
    `qty_step` is the smallest quantity traded. `stop_usd` and `target_usd` are prices that the
    order named; they take the place of the policy's.
    """

    direction: Direction
    price_usd: Decimal
    qty: Decimal
    bar_key: str
    session: date
    at: datetime
    at_open: bool
    tick_usd: Decimal | None = None
    qty_step: Decimal = Decimal(1)
    stop_usd: Decimal | None = None
    target_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A resting limit order for a part of the position."""

    level_usd: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitFill:
    """An exit at its base price, before costs; `session` and `at` are those of its bar."""

    qty: Decimal
    price_usd: Decimal
    reason: Reason
    moment: Moment
    bar_key: str
    session: date
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitState:
    """Everything the exits of one position depend on; made by `opened`, stored as JSON.

    Prices are USD per share on today's split basis. `entry.price_usd` and `initial_stop_usd` are
    the ones of P&L and R; `reference_usd`, the price gains are measured from, `best_usd` and the
    levels also follow special dividends. `partials` are those not yet filled, nearest first.
    `held_days` counts sessions completed. `scheduled` leaves at the next open. `seen_key` and
    `seen_at` are those of the last bar checked, `closed_at` the end of the last bar closed.
    `actions` are the keys of corporate actions applied.
    """

    entry: EntryFill
    policy: ExitPolicy
    atr_usd: Decimal | None
    reference_usd: Decimal
    initial_stop_usd: Decimal
    stop_usd: Decimal
    target_usd: Decimal | None
    trail_usd: Decimal | None
    best_usd: Decimal
    armed: bool
    open_qty: Decimal
    partials: tuple[Partial, ...]
    held_days: int
    scheduled: Reason | None
    flatten_at: datetime | None
    seen_key: str | None
    seen_at: datetime
    closed_at: datetime | None
    actions: tuple[str, ...]

    @property
    def sign(self) -> int:
        """1 for a long position, -1 for a short one."""
        return 1 if self.entry.direction is Direction.LONG else -1

    @property
    def is_open(self) -> bool:
        """Whether anything is left to exit."""
        return self.open_qty > 0


def tighter(a: Decimal, b: Decimal, *, sign: int) -> Decimal:
    """The one of two protective levels that is nearer to the price."""
    return max(a, b) if sign > 0 else min(a, b)
