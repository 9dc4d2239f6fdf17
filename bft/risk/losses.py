"""The day's loss and what it is held against; also for the monitor that flattens.

Source: executor specification, section 4 (day loss) and section 6 (flatten figure).
"""

from decimal import Decimal

from bft.risk.context import BookFacts
from bft.risk.numbers import ZERO, number, positive
from bft.risk.profiles import Profile


def capital_base_usd(equity_usd: Decimal, profile: Profile) -> Decimal:
    """Net liquidation, or the profile's ceiling of it."""
    cap = profile.base_cap_usd
    return equity_usd if cap is None else min(equity_usd, cap)


def day_loss_usd(book: BookFacts) -> Decimal | None:
    """Realised loss net of fees plus loss of open positions since the prior close.

    Gains of one never offset the other. None while either is unknown.
    """
    realised, change = number(book.realised_usd), number(book.unrealised_change_usd)
    if realised is None or change is None:
        return None
    return max(ZERO, -realised) + max(ZERO, -change)


def day_loss_cap_usd(book: BookFacts, profile: Profile) -> Decimal | None:
    """The tighter of the absolute cap and the fraction of the day's first capital base."""
    start = positive(book.day_start_equity_usd)
    if start is None:
        return None
    base = capital_base_usd(start, profile)
    return min(profile.daily_loss_cap_usd, base * profile.daily_loss_frac)


def flatten_loss_usd(book: BookFacts, profile: Profile) -> Decimal | None:
    """Day loss at which everything is closed and the account halted."""
    start = positive(book.day_start_equity_usd)
    return start and capital_base_usd(start, profile) * profile.flatten_loss_frac


def drawdown_frac(equity_usd: Decimal | None, peak_usd: Decimal | None) -> Decimal | None:
    """How far equity lies below its peak, 0 at or above it; None while either is unknown."""
    equity, peak = positive(equity_usd), positive(peak_usd)
    return None if equity is None or peak is None else max(ZERO, (peak - equity) / peak)
