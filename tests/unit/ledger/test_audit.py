"""The audit's checks: what fails a day, what only warns, what there is nothing to say of."""

from typing import Any

import pytest
from books import AT

from bft.ledger.audit import Audit, Evidence, Level, audit


def row(name: str, **changes: Any) -> dict[str, Any]:
    """A row of the trade log that nothing is wrong with."""
    made: dict[str, Any] = {
        "id": name,
        "symbol": "AAPL",
        "side": "BUY",
        "entry_price": "100",
        "stop_price": "95",
        "target_price": "110",
        "created_at": AT.isoformat(),
        "exited_at": None,
        "outcome": "fill",
        "pnl_usd": None,
        "slippage_bps": None,
        "is_backfill": False,
        "features": {},
        "source": "test",
    }
    return made | changes


def judged(*rows: dict[str, Any], **changes: Any) -> Audit:
    return audit(Evidence(at=AT, trades=rows, entries=(), chain=None, **changes))


def told(found: Audit, name: str) -> tuple[Level, str]:
    return next((check.level, check.text) for check in found.checks if check.name == name)


def test_order_of_a_person_without_target_warns_and_fails_nothing() -> None:
    rows = [row("a"), row("b", target_price=None)]
    found = judged(*rows, by_hand=frozenset({"b"}))
    assert told(found, "rr") == (Level.WARN, "0 rows without target; 1 by hand: b")
    assert found.worst is Level.WARN
    assert told(judged(rows[0]), "rr") == (Level.OK, "0 rows without target")


def test_signal_without_target_fails_beside_an_order_by_hand() -> None:
    rows = [row("a", target_price=None), row("b", target_price=None)]
    found = judged(*rows, by_hand=frozenset({"b"}))
    assert told(found, "rr") == (Level.FAIL, "1 rows without target: a; 1 by hand: b")


@pytest.mark.parametrize(
    ("backfill", "level"), [(True, Level.WARN), (False, Level.FAIL)], ids=["told", "traded"]
)
def test_trade_without_stop_fails_unless_a_person_told_it_afterwards(
    backfill: bool, level: Level
) -> None:
    bare = row("a", stop_price=None, is_backfill=backfill)
    assert told(judged(bare, by_hand=frozenset({"a"})), "risk")[0] is level
    assert told(judged(bare), "risk")[0] is Level.FAIL


def test_old_entry_fails_unless_it_was_asked_to_last() -> None:
    rows = [row("a")]
    found = judged(*rows, old_orders=["x", "y"], lasting=frozenset({"y"}))
    text = "1 entries open for over a day: x; 1 asked to last (GTC): y"
    assert told(found, "old orders") == (Level.FAIL, text)
    lasting = judged(*rows, old_orders=["y"], lasting=frozenset({"y"}))
    assert told(lasting, "old orders")[0] is Level.WARN
    assert told(judged(*rows), "old orders") == (Level.OK, "0 entries open for over a day")


def test_shares_of_nothing_are_none() -> None:
    found = judged()
    assert {name: told(found, name) for name in ("backfill", "labelled", "win rate")} == {
        "backfill": (Level.OK, "none: no row"),
        "labelled": (Level.OK, "none: no closed trade"),
        "win rate": (Level.OK, "none: no closed trade"),
    }
    assert told(found, "fill rate") == (Level.OK, "none: no entry has ended")
    assert told(found, "slippage") == (Level.OK, "none: no fill against a reference price")
    assert "%" not in found.markdown


def test_shares_are_told_with_what_they_are_of() -> None:
    won = row("a", exited_at=AT.isoformat(), outcome="target", pnl_usd="10", slippage_bps="12.5")
    lost = row("b", exited_at=AT.isoformat(), outcome="manual_exit", pnl_usd="-5")
    found = judged(won, lost)
    assert told(found, "labelled")[1] == "50% end at target or stop, at least 40%"
    assert told(found, "win rate") == (Level.OK, "50% of 2 closed won, 35% to 65% is usual")
    assert told(found, "slippage") == (Level.WARN, "median 12.5 bps, at most 10")
