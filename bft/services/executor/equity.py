"""Equity of the day: its start, its peak, the loss that flattens.

Source: executor specification, sections 2 (limits_state), 4 and 6.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft import exits
from bft.domain.orders import Reason
from bft.ledger import entries
from bft.risk.losses import day_loss_cap_usd, day_loss_usd, flatten_loss_usd
from bft.services.executor.closing import ALL, Closing
from bft.services.executor.desk import Desk
from bft.services.executor.facts import Facts
from bft.services.executor.opening import loss_halt

PEAK_EVERY_S = 60.0
REPEAT_S = 2.0  # cancels of entries are repeated while the loss lasts
NEAR = Decimal("0.75")
FLATTENED = "day loss at the figure that closes all"


class Equity:
    """Keeps the limits rows and watches the day's loss; a turn a second."""

    def __init__(self, desk: Desk, facts: Facts, closing: Closing) -> None:
        self._desk, self._facts, self._closing = desk, facts, closing
        self._peak_at = self._closed_at = float("-inf")

    def turn(self) -> None:
        """Note a day's first equity and new peaks; act on the loss."""
        equity = self._known()
        if equity is not None:
            self._note(equity)
        self._watch_loss()

    def start_anew(self) -> None:
        """A person ended a drawdown halt: the peak is what the account is worth now."""
        equity = self._known()
        if equity is not None:
            self._tell(equity, first=False, higher=True)

    def _known(self) -> Decimal | None:
        values = self._desk.broker.account_values()
        equity = values.equity_usd if values else None
        usable = equity is not None and equity.is_finite() and equity > 0
        return equity if usable else None

    def _note(self, equity_usd: Decimal) -> None:
        desk, day = self._desk, self._desk.trading_day
        row = desk.state.limits_of("account", desk.account, day, at=desk.now)
        first = row.day_start_equity_usd is None
        higher = row.peak_equity_usd is None or equity_usd > row.peak_equity_usd
        if first or (higher and desk.timer() - self._peak_at >= PEAK_EVERY_S):
            self._peak_at = desk.timer()
            self._tell(equity_usd, first=first, higher=higher)

    def _tell(self, equity_usd: Decimal, *, first: bool, higher: bool) -> None:
        now = self._desk.now
        made = entries.equity(
            now,
            scope=("account", self._desk.account),
            trading_day=self._desk.trading_day,
            day_start_usd=equity_usd if first else None,
            peak_usd=equity_usd if higher else None,
        )
        self._desk.note(made)

    def _watch_loss(self) -> None:
        # what a stale quote tells closes nothing, and keeps nothing else from being closed
        desk, sure_usd = self._desk, self._facts.sure_change_usd()
        book = replace(self._facts.book(""), unrealised_change_usd=sure_usd)
        loss, cap = day_loss_usd(book), day_loss_cap_usd(book, desk.profile)
        flatten = flatten_loss_usd(book, desk.profile)
        if loss is None or cap is None or flatten is None:
            return
        if loss >= cap * NEAR:
            desk.alert("DayLossNear", desk.account, f"day loss {loss:.2f} of {cap:.2f} USD")
        if loss >= flatten:
            with self._desk.together():  # a crash leaves no part of what is held without its exit
                self._flatten(loss)

    def _flatten(self, loss_usd: Decimal) -> None:
        desk = self._desk
        held = {halt.rule for halt in desk.state.active_halts(desk.now)}
        if Reason.DAILY_LOSS.value not in held or not self._flattened():
            halt = loss_halt(Reason.DAILY_LOSS, desk)
            halt_id = f"flatten:{desk.account}:{desk.now.isoformat(timespec='seconds')}"
            desk.note(entries.halt(replace(halt, halt_id=halt_id, reason=FLATTENED)))
            desk.alert("DayLossHalt", desk.account, f"day loss {loss_usd:.2f} USD: all is closed")
        if desk.timer() - self._closed_at >= REPEAT_S:
            self._closed_at = desk.timer()
            # what a person buys afterwards is not fought, by no later process either
            self._closing.close(ALL, exits.Reason.RISK, held_at=min(self._flattened()))

    def _flattened(self) -> list[datetime]:
        """When all was closed for the loss of this trading day: its halts say so."""
        desk = self._desk
        told = (halt.set_at for halt in desk.state.halts.values() if halt.reason == FLATTENED)
        return [at for at in told if desk.day_of(at) == desk.trading_day]
