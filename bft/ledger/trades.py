"""Rows of the trade log: an entry's order and the lots it opened, added up.

Source: executor specification, sections 2 and 13; decision record 23.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Intent, IntentState, Side
from bft.domain.ticks import micro
from bft.ledger.records import ZERO, Close, Lot, Trade, TradeFacts, TradeOutcome

TRAIL = "trail"
"""Reason of a stop whose level was the trail's."""
TIMED = frozenset({"time", "timeout", "max_hold", "flatten", "end_of_day", "eod", "expiry"})
"""Reasons of exits that the clock decided."""
_BY_LEVEL = {
    **dict.fromkeys(("target", "target_gap"), TradeOutcome.TARGET),
    **dict.fromkeys(("stop", "stop_gap", TRAIL, "trail_gap"), TradeOutcome.STOP),
}
"""Outcomes of exits at a level. Reasons: strategies specification, section 3.3."""


def opened(intent: Intent, facts: TradeFacts, *, at: datetime) -> Trade:
    """The row of an entry that was committed."""
    return Trade(
        id=intent.intent_id,
        order_id=intent.intent_id,
        symbol=intent.contract.symbol,
        side=intent.side,
        qty=Decimal(intent.qty),
        ordered_qty=Decimal(intent.qty),
        stop_price=facts.stop_price_usd,
        target_price=facts.target_price_usd,
        ref_price=facts.ref_price_usd,
        created_at=intent.created_at or at,
        features=facts.features,
        notes=facts.notes,
        model_score=facts.model_score,
        model_version=facts.model_version,
        strategy_id=intent.strategy_id,
        profile=facts.profile,
        mode=intent.mode,
        simulated=facts.simulated,
        source=facts.source,
        signal_id=intent.signal_id,
        account=intent.account,
        con_id=intent.contract.con_id,
    )


def unasked(lot: Lot, intent: Intent | None, *, source: str, mode: str) -> Trade:
    """The row of a lot that no entry asked for: a fill by hand, an overfill, an adjustment."""
    return Trade(
        id=lot.trade_id,
        order_id=intent.intent_id if intent else "",
        symbol=lot.symbol,
        side=Side.BUY if lot.direction > 0 else Side.SELL,
        qty=lot.qty,
        created_at=lot.opened_at,
        strategy_id=intent.strategy_id if intent else "manual",
        mode=intent.mode if intent else mode,
        source=source,
        signal_id=intent.signal_id if intent else "",
        account=lot.account,
        con_id=lot.con_id,
    )


def derived(trade: Trade, intent: Intent | None, lots: Sequence[Lot]) -> Trade:
    """The row again, from the order's state and the lots it opened."""
    ordered = [(close, lot) for lot in lots for close in lot.closes]
    closes = sorted((close for close, _ in ordered), key=lambda close: (close.at, close.event_id))
    filled = sum((lot.qty for lot in lots), ZERO)
    open_qty = sum((lot.open_qty for lot in lots), ZERO)
    outcome = _outcome(intent, closes, filled=filled, open_qty=open_qty)
    done = outcome is not None and outcome.closed
    entry_price = _mean((lot.qty, lot.price_usd) for lot in lots)
    made = replace(
        trade,
        qty=filled or trade.ordered_qty,
        entry_price=entry_price,
        submitted_at=intent.sent_at if intent else trade.submitted_at,
        entered_at=min((lot.opened_at for lot in lots), default=None),
        exited_at=closes[-1].at if done else None,
        exit_price=_mean((close.qty, close.price_usd) for close in closes),
        pnl_usd=sum((close.pnl_usd for close in closes), ZERO) if closes else None,
        outcome=outcome,
        fees_usd=sum((lot.fee_usd for lot in lots), ZERO)
        + sum((close.fee_usd for close in closes), ZERO),
        slippage_bps=_slippage(trade, entry_price),
        exit_reason=closes[-1].reason if closes else _unfilled(intent),
        closed_qty=sum((close.qty for close in closes), ZERO),
    )
    return replace(made, r_multiple=_r_multiple(made, lots))


def _outcome(
    intent: Intent | None, closes: Sequence[Close], *, filled: Decimal, open_qty: Decimal
) -> TradeOutcome | None:
    if not filled:
        return _without_fill(intent)
    if open_qty:
        return TradeOutcome.PARTIAL if closes else TradeOutcome.FILL
    reason = closes[-1].reason
    timed = TradeOutcome.TIMEOUT if reason in TIMED else TradeOutcome.MANUAL_EXIT
    return _BY_LEVEL.get(reason, timed)


def _without_fill(intent: Intent | None) -> TradeOutcome | None:
    if intent is None or not intent.state.terminal:
        return None
    rejected = intent.state is IntentState.REJECTED
    return TradeOutcome.ERROR if rejected else TradeOutcome.CANCELLED


def _unfilled(intent: Intent | None) -> str:
    return (
        intent.state.lower() if intent and intent.state.terminal and not intent.filled_qty else ""
    )


def _mean(parts: Iterable[tuple[Decimal, Decimal]]) -> Decimal | None:
    total = units = ZERO
    for qty, price in parts:
        total, units = total + qty * price, units + qty
    return micro(total / units) if units else None


def _slippage(trade: Trade, entry_price: Decimal | None) -> Decimal | None:
    """Entry against the reference price in basis points; positive is worse."""
    if entry_price is None or not trade.ref_price:
        return None
    return micro((entry_price - trade.ref_price) * trade.side.sign / trade.ref_price * 10_000)


def _r_multiple(trade: Trade, lots: Sequence[Lot]) -> Decimal | None:
    """P&L per closed unit over the distance of the first stop."""
    if trade.pnl_usd is None or trade.entry_price is None or trade.stop_price is None:
        return None
    risk = abs(trade.entry_price - trade.stop_price) * trade.closed_qty * lots[0].multiplier
    return micro(trade.pnl_usd / risk) if risk else None
