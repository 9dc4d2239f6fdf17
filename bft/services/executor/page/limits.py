"""How much of each limit of the day is used.

Source: executor specification, section 4 (table of limits).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bft.reports.shown import number, pct, usd
from bft.risk.context import BookFacts
from bft.risk.losses import capital_base_usd, day_loss_cap_usd, day_loss_usd, drawdown_frac
from bft.services.executor.desk import Desk

LOSSES_ONLY = "losses alone: realised with open fees, and unrealised; a gain in one offsets nothing"
NEAR_FRAC = 0.75  # of the day loss; the alert DayLossNear uses the same share


def used(desk: Desk, book: BookFacts) -> list[dict[str, Any]]:
    """A bar for each limit the profile sets: what is used, of what, and the share in percent."""
    return [*_counts(desk, book), *_money(desk, book)]


def _counts(desk: Desk, book: BookFacts) -> Iterator[dict[str, Any]]:
    profile = desk.profile
    held = len(book.positions or ()) + len(book.pending or ())
    rows: list[tuple[str, int | None, int | None]] = [
        ("Positions and pending", held, profile.max_positions),
        ("Entries today", book.entries_today, profile.max_entries_per_day),
        ("Orders today", book.orders_today, profile.max_orders_per_day),
        ("Losses in a row", book.loss_streak, profile.streak.halt),
    ]
    for name, on, limit in rows:
        if limit:
            yield _bar(name, on, limit, lambda value: number(value, 0))


def _money(desk: Desk, book: BookFacts) -> Iterator[dict[str, Any]]:
    profile, values = desk.profile, desk.broker.account_values()
    equity = values.equity_usd if values else None
    base = capital_base_usd(equity, profile) if equity else None
    risk = _sum([held.risk_usd for held in (*(book.positions or ()), *(book.pending or ()))])
    loss = _bar("Day loss", day_loss_usd(book), day_loss_cap_usd(book, profile), usd)
    yield loss | {"note": LOSSES_ONLY}
    fallen = drawdown_frac(equity, book.peak_equity_usd)
    yield _bar("Drawdown", _percent(fallen), 100 * profile.drawdown_frac, _pct)
    caps = [base * profile.open_risk_frac] if base and profile.open_risk_frac else []
    caps += [profile.open_risk_usd] if profile.open_risk_usd else []
    yield _bar("Open risk", risk, min(caps, default=None), usd)
    if base is not None and profile.opening_per_day_frac:
        opened, cap = book.opening_notional_today_usd, base * profile.opening_per_day_frac
        yield _bar("Opened", opened, cap, usd)


def _bar(name: str, on: Any, limit: Any, shown: Any) -> dict[str, Any]:
    """`percent` None: unknown, so the limit blocks."""
    share = None if on is None or not limit else float(on) / float(limit)
    return {
        "name": name,
        "note": "",
        "on": shown(on),
        "limit": shown(limit),
        "percent": None if share is None else round(min(100.0, max(0.0, 100 * share)), 1),
        "level": "unknown" if share is None else _level(share),
    }


def _level(share: float) -> str:
    return "full" if share >= 1 else "near" if share >= NEAR_FRAC else "free"


def _pct(value: Any) -> str:
    return pct(value, 1, sign=False)


def _percent(frac: Decimal | None) -> Decimal | None:
    return None if frac is None else 100 * frac


def _sum(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
