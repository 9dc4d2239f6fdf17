"""Limits that count a whole day or the whole book: rules 20 to 24, and when 27 is used up.

They need no order, so that people can be told what would deny the next one.
Source: executor specification, section 4.
"""

from collections.abc import Callable
from decimal import Decimal

from bft.domain.orders import Verdict
from bft.risk.context import BookFacts
from bft.risk.finding import PASSED, Finding, blocked, judged, missing
from bft.risk.losses import capital_base_usd, day_loss_cap_usd, day_loss_usd, drawdown_frac
from bft.risk.numbers import number, positive
from bft.risk.profiles import Profile


def shut(book: BookFacts, profile: Profile, *, equity_usd: Decimal | None) -> list[str]:
    """Limits that deny every entry at this instant, in words that name the rule, or none."""
    found: tuple[tuple[int, Callable[[], Finding]], ...] = (
        (20, lambda: trades(book, profile)),
        (21, lambda: loss(book, profile)),
        (22, lambda: below_peak(book, profile, equity_usd)),
        (23, lambda: losses_in_row(book, profile)),
        (24, lambda: positions(book, profile)),
        (27, lambda: notional_left(book, profile, equity_usd)),
    )
    told = ((number_, check()) for number_, check in found)
    return [_words(number_, finding) for number_, finding in told if finding[0] is not Verdict.PASS]


def trades(book: BookFacts, profile: Profile) -> Finding:
    """Entries or opening orders today at the limit."""
    if book.entries_today is None:
        return missing("entries today", profile.max_entries_per_day)
    if book.entries_today >= profile.max_entries_per_day:
        return blocked("entries today", book.entries_today, profile.max_entries_per_day)
    most = profile.max_orders_per_day
    if most is None:
        return PASSED
    if book.orders_today is None:
        return missing("opening orders today", most)
    return judged(book.orders_today < most, book.orders_today, most, "opening orders today")


def loss(book: BookFacts, profile: Profile) -> Finding:
    """The day's loss reached its cap."""
    lost, cap = day_loss_usd(book), day_loss_cap_usd(book, profile)
    if lost is None:
        return missing("day loss", cap, why="; ".join(book.unpriced))
    if cap is None:
        return missing("equity at the day's start")
    return judged(lost < cap, lost, cap, "day loss at the cap")


def below_peak(book: BookFacts, profile: Profile, equity_usd: Decimal | None) -> Finding:
    """Equity lies below its peak by the cap."""
    found, cap = drawdown_frac(equity_usd, book.peak_equity_usd), profile.drawdown_frac
    if found is None:
        return missing("equity or its peak", cap)
    return judged(found < cap, found, cap, "drawdown at the cap")


def losses_in_row(book: BookFacts, profile: Profile) -> Finding:
    """Losing trades in a row at the halt number, whoever ended them."""
    losses, halt = book.loss_streak, profile.streak.halt
    if losses is None:
        return missing("losing streak", halt)
    return judged(halt is None or losses < halt, losses, halt, "losing streak at the halt number")


def positions(book: BookFacts, profile: Profile) -> Finding:
    """Open and pending positions at the limit."""
    limit = profile.max_positions
    if book.positions is None or book.pending is None:
        return missing("positions", limit)
    count = len({holding.symbol for holding in (*book.positions, *book.pending)})
    return judged(count < limit, count, limit, "positions at the limit")


def notional_left(book: BookFacts, profile: Profile, equity_usd: Decimal | None) -> Finding:
    """Opening notional of the day leaves no room for the smallest order."""
    fraction, equity = profile.opening_per_day_frac, positive(equity_usd)
    if fraction is None:
        return PASSED
    spent = number(book.opening_notional_today_usd)
    if spent is None or equity is None:
        return missing("opening notional today or equity")
    cap = capital_base_usd(equity, profile) * fraction
    note = "opening notional of the day at the cap"
    return judged(spent + profile.min_order_usd <= cap, spent, cap, note)


def _words(rule: int, finding: Finding) -> str:
    _, value, limit, note = finding
    if value is None:
        return f"{note} (rule {rule})"
    return f"{note}, {_short(value)} of {_short(limit)} (rule {rule})"


def _short(value: object) -> str:
    if not isinstance(value, Decimal):
        return str(value)
    return f"{value.quantize(Decimal('0.0001')).normalize():f}"
