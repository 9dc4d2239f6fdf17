"""Symbols in which nothing opens until a person has looked."""

from bft.ledger import entries
from bft.ledger.records import Halt
from bft.services.executor.desk import Desk


def fence(desk: Desk, symbol: str, *, rule: str, why: str, alert: str) -> None:
    """Refuse entries in a symbol until a person resumes; told once."""
    now = desk.now
    held = (halt for halt in desk.state.active_halts(now) if halt.scope == "symbol")
    if any(halt.key == symbol and halt.rule == rule for halt in held):
        return
    made = Halt(
        halt_id=f"{rule}:{symbol}:{now.isoformat(timespec='seconds')}",
        scope="symbol",
        key=symbol,
        rule=rule,
        reason=why,
        set_by="executor",
        set_at=now,
    )
    desk.note(entries.halt(made))
    desk.alert(alert, symbol, why)
