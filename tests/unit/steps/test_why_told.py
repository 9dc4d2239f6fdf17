"""The story of a denial, and of which rules an order came nearest to, in few lines."""

from typing import Any

from bft.domain.advice import rooted
from bft.steps.why_told import brief, folded


def rule(number: int, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    told = {"number": number, "rule": f"r{number}", "verdict": verdict}
    return told | {"value": None, "limit": None, "note": ""} | more


def story(*rules: dict[str, Any], allowed: bool) -> dict[str, Any]:
    body = {"rules": list(rules), "reason": None if allowed else "halted", "qty_requested": 0}
    return {
        "signal": {"symbol": "AAPL", "side": "BUY", "strategy_id": "s", "signal_id": "x"},
        "decisions": [{"at": "2026-01-05T14:36:00+00:00", "allowed": allowed, "body": body}],
        **{key: [] for key in ("intents", "executions", "trade")},
    }


def test_denial_names_the_rules_that_failed_with_their_numbers() -> None:
    told = brief(story(rule(1), rule(4, "block", value=3, limit=2, note="halt h"), allowed=False))
    assert told == [
        "AAPL BUY by s, signal x",
        "2026-01-05 14:36:00 UTC denied: halted",
        "  rule 4 r4 3 of 2 (halt h): block",
        "all of it: --full, or --json",
    ]


def test_long_facts_go_on_below_and_lose_nothing() -> None:
    note = " ".join(f"word{number}" for number in range(30))
    told = brief(story(rule(4, "block", value=3, limit=2, note=note), allowed=False))
    lines = "\n".join(map(folded, told)).splitlines()
    assert max(map(len, lines)) <= 80
    assert note in " ".join(line.strip() for line in lines)
    assert [line for line in lines[2:5] if not line.startswith("  ")] == []


def test_what_passed_is_told_by_the_tightest_rules() -> None:
    rules = [
        rule(24, value=1, limit=10),
        rule(26, value="4998.00", limit="5000"),
        rule(28, value="0.5", limit=1),
        rule(29, value=2, limit=100),
        rule(13, value="text", limit=1),
    ]
    told = brief(story(*rules, allowed=True))
    assert told[2:5] == [
        "  rule 26 r26 4998 of 5000",
        "  rule 28 r28 0.5 of 1",
        "  rule 24 r24 1 of 10",
    ]


def test_a_trade_that_is_held_is_open() -> None:
    held = {"is_backfill": False, "outcome": "fill", "exit_reason": "", "pnl_usd": None}
    assert "trade: open" in brief(story(rule(1), allowed=True) | {"trade": [held]})


def test_orders_that_live_are_told_before_those_that_ended() -> None:
    told = story(rule(1), allowed=True)
    told["intents"] = [
        leg("stop", 725, "CANCELLED"),
        leg("target", 500, "ACKED"),
        leg("exit", 225, "FILLED"),
        leg("target", 725, "CANCELLED"),
        leg("stop", 500, "ACKED"),
    ]
    shown = [line.strip() for line in brief(told)]
    assert shown[-5:-1] == [
        "target 500 at 13: ACKED",
        "stop 500 at 13: ACKED",
        "exit 225 at 13: FILLED",
        "and 2 orders more, --full",
    ]


def leg(name: str, qty: int, state: str) -> dict[str, Any]:
    filled = qty if state == "FILLED" else 0
    told = {"leg": name, "qty": qty, "state": state, "filled_qty": filled}
    return told | {"stop_price_usd": "13", "limit_price_usd": None}


def test_sizes_and_prices_have_no_trailing_zeros() -> None:
    """Red: `stop 100.000000 at 93.500000`, and a size of that kind could not be read at all."""
    row = leg("stop", 0, "FILLED") | {"qty": "100.000000", "filled_qty": "100.000000"}
    row |= {"stop_price_usd": "93.500000"}
    told = [line.strip() for line in brief(story(rule(1), allowed=True) | {"intents": [row]})]
    assert "stop 100 at 93.5: FILLED" in told


def test_command_for_the_order_before_stays_whole() -> None:
    """Red: `bft why --root` on one line and its id on the next, with blanks of two foldings."""
    older = {"leg": "entry", "side": "BUY", "qty": 3333, "state": "FILLED", "intent_id": "W" * 26}
    older |= {"created_at": "2025-07-01T13:30:00+00:00"}
    told = brief(story(rule(1), allowed=True) | {"older": older})
    root = "/data/somewhere far away/of a name that is long"
    lines = "\n".join(folded(rooted(line, root)) for line in told).splitlines()
    assert f"  bft why --root '{root}' {'W' * 26}" in lines
    assert not any("  " in line.strip() for line in lines)
