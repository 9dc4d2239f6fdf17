"""Equity of the day: its start, its peak, the loss that flattens.

Source: executor specification, sections 2 (limits_state), 4 and 6.
"""

from decimal import Decimal

from bft import exits
from bft.domain.orders import Reason
from bft.ledger import entries
from bft.ledger.days import trading_day
from bft.risk.losses import day_loss_cap_usd, day_loss_usd, flatten_loss_usd
from bft.services.executor.desk import Desk
from bft.services.executor.facts import Facts
from bft.services.executor.guard import Guard
from bft.services.executor.opening import loss_halt

PEAK_EVERY_S = 60.0
NEAR = Decimal("0.75")


class Equity:
    """Keeps the limits rows and watches the day's loss; a turn a second."""

    def __init__(self, desk: Desk, facts: Facts, guard: Guard) -> None:
        self._desk, self._facts, self._guard = desk, facts, guard
        self._peak_at = float("-inf")

    def turn(self) -> None:
        """Note a day's first equity and new peaks; act on the loss."""
        values = self._desk.broker.account_values()
        equity = values.equity_usd if values else None
        if equity is not None and equity.is_finite() and equity > 0:
            self._note(equity)
        self._watch_loss()

    def _note(self, equity_usd: Decimal) -> None:
        desk, day = self._desk, trading_day(self._desk.now)
        row = desk.state.limits_of("account", desk.account, day, at=desk.now)
        first = row.day_start_equity_usd is None
        higher = row.peak_equity_usd is None or equity_usd > row.peak_equity_usd
        if first or (higher and desk.timer() - self._peak_at >= PEAK_EVERY_S):
            self._peak_at = desk.timer()
            made = entries.equity(
                desk.now,
                scope=("account", desk.account),
                trading_day=day,
                day_start_usd=equity_usd if first else None,
                peak_usd=equity_usd if higher else None,
            )
            desk.note(made)

    def _watch_loss(self) -> None:
        desk, book = self._desk, self._facts.book("")
        loss, cap = day_loss_usd(book), day_loss_cap_usd(book, desk.profile)
        flatten = flatten_loss_usd(book, desk.profile)
        if loss is None or cap is None or flatten is None:
            return
        if loss >= cap * NEAR:
            desk.alert("DayLossNear", desk.account, f"day loss {loss:.2f} of {cap:.2f} USD")
        if loss >= flatten:
            self._flatten(loss)

    def _flatten(self, loss_usd: Decimal) -> None:
        desk = self._desk
        held = {halt.rule for halt in desk.state.active_halts(desk.now)}
        if Reason.DAILY_LOSS.value not in held:
            desk.note(entries.halt(loss_halt(Reason.DAILY_LOSS, desk.account, desk.now)))
            desk.alert("DayLossHalt", desk.account, f"day loss {loss_usd:.2f} USD: all is closed")
        for cover in list(self._guard.covers.values()):
            self._guard.schedule(cover, exits.Reason.RISK)
