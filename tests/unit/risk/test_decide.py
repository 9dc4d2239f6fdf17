"""Order of the rules, codes, what a decision carries; replay and fuzz of all inputs."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_cases import (
    AT,
    D,
    context,
    future_context,
    future_order,
    holding,
    option_context,
    option_order,
    order,
    with_,
)

from bft.domain.encoding import decode, encode
from bft.domain.journal import canonical_json
from bft.domain.orders import Decision, OrderRequest, OrderType, Side, Verdict
from bft.domain.trading import ExitPolicy
from bft.risk.context import Context, Cooldown, Halt
from bft.risk.decide import RULES, evaluate
from bft.risk.profiles import PROFILES, Entry

# section 4; kill and halted end with what holds them, so they are T (ADR 0080)
SPEC = """
kill 423 T | mode 403 | not_armed 503 T | halted 423 T | auth 403 | duplicate 409 | symbol 400
validation 400 | session 400 T | clock 503 T | stale_data 400 T | stale_data 400 T
price_collar 400 T | liquidity 400 T | confidence 400 | model_gate 409 | ticker_limit 400
cooldown 400 | rate 429 T | daily_trades 400 | daily_loss 423 L | drawdown 423 L
loss_streak 423 L | max_positions 400 | size 400 | max_position 400 | daily_volume 400
exposure 400 | open_risk 400 | cash 400 | options 400 | margin 400 T
""".strip().replace("\n", " | ")

BREAKS: dict[int, dict[str, Any]] = {
    1: {"fences__kill_latched": True},
    2: {"mode__problem": "lock"},
    3: {"session__writable": False},
    4: {"fences__unknown_symbols": ("AAPL",)},
    5: {"fences__roles": ()},
    6: {"fences__entry_exists": True},
    7: {"symbol__restricted": True},
    8: {"profile__instruments": ()},
    9: {"profile__times__before_close_min": 600},
    10: {"skews_s": (3.0, 3.0, 3.0)},
    11: {"data__gold_asof": date(2025, 6, 2)},
    12: {"quote__frozen": True},
    13: {"profile__entry": Entry.AS_GIVEN, "profile__collar_frac": D("-0.01")},
    14: {"profile__min_adv_20": D(9_000_000)},
    15: {"profile__min_confidence": D("0.9")},
    17: {"book__entries_today_symbol": 2},
    18: {"book__cooldowns": (Cooldown(symbol="AAPL", until_asof=date(2025, 7, 1)),)},
    19: {"book__orders_1s": 10},
    20: {"book__orders_today": 20},
    21: {"book__realised_usd": D(-2000)},
    22: {"book__peak_equity_usd": D(200_000)},
    23: {"book__loss_streak": 10},
    24: {"profile__max_positions": 0},
    25: {"profile__risk_frac": D("0.00001")},
    26: {"book__positions": (holding("AAPL", qty=10_000, notional_usd=D(1)),)},
    27: {"book__opening_notional_today_usd": D(100_000)},
    28: {"profile__sector_frac": D(0)},
    29: {"profile__open_risk_frac": D(0)},
    30: {"account__available_usd": D(1)},
    32: {"profile__what_if": True, "what_if": None},
}


def decide(**changes: Any) -> Decision:
    return evaluate(order(), with_(context(), **changes))


def test_rules_stand_in_the_order_and_with_the_codes_of_the_table() -> None:
    found = [f"{r.reason} {r.code}{' T' * r.transient}{' L' * r.latches}" for r in RULES]
    assert found == SPEC.split(" | ")
    assert [r.number for r in RULES] == list(range(1, 33))


@pytest.mark.parametrize("number", sorted(BREAKS))
def test_first_block_sets_reason_code_and_transience(number: int) -> None:
    """All rules from `number` on are broken together; `number` is named, all are recorded."""
    later: dict[str, Any] = {}
    for other in sorted(BREAKS, reverse=True):
        if other >= number and other != 8:
            later |= BREAKS[other]
    later |= BREAKS[number]
    decision = decide(**later)
    rule = RULES[number - 1]
    assert (decision.reason, decision.http_code) == (rule.reason, rule.code)
    assert decision.transient is rule.transient
    assert len(decision.rules) == 32
    verdicts = {r.number: r.verdict for r in decision.rules}
    broken = [n for n in BREAKS if n >= number and n != 8]
    assert all(verdicts[n] is not Verdict.PASS for n in broken)


def test_model_gate_answers_409() -> None:
    seen = with_(context(), profile__require_model_gate=True)
    decision = evaluate(order(model_score=None), seen)
    assert (decision.reason, decision.http_code) == (RULES[15].reason, 409)


def test_a_decision_carries_sizes_prices_and_risk() -> None:
    decision = evaluate(order(qty=500), context())
    assert (decision.allowed, decision.http_code, decision.reason) == (True, 201, None)
    assert (decision.qty_requested, decision.qty) == (500, 100)
    assert decision.limit_price_usd == D("50.00")
    assert decision.stop_price_usd == D("47.50")
    assert decision.risk_usd == D("250.00")


def test_market_signal_becomes_a_collar_limit_around_its_price() -> None:
    asked = order(order_type=OrderType.MARKET, limit_price_usd=None, ref_price_usd=D("49.80"))
    assert evaluate(asked, context()).limit_price_usd == D("50.79")  # 50.796 down


def test_collar_limit_never_lies_beyond_the_collar_of_the_market() -> None:
    """The market fell to 49.00 since 49.80, 1.6 %: 49.98, not 50.79, and rule 13 passes."""
    asked = order(order_type=OrderType.MARKET, limit_price_usd=None, ref_price_usd=D("49.80"))
    seen = with_(context(), quote__bid_usd=D("48.99"), quote__ask_usd=D("49.01"))
    decision = evaluate(asked, seen)
    assert decision.limit_price_usd == D("49.98")
    assert decision.rules[12].verdict is Verdict.PASS


def test_short_signal_rounds_up_and_stops_above() -> None:
    asked = future_order(
        side=Side.SELL,
        limit_price_usd=D("19999.80"),
        stop_price_usd=None,
        exits=ExitPolicy(stop_frac=0.0005),
    )
    decision = evaluate(asked, future_context())
    assert decision.limit_price_usd == D("20000.00")
    assert decision.stop_price_usd == D("20010.00")  # 20,000 x 1.0005, on the tick


def test_option_signal_goes_out_at_the_mid() -> None:
    decision = evaluate(option_order(), option_context(quote__ask_usd=D("2.04")))
    assert decision.limit_price_usd == D("2.00")  # mid 2.005, down
    assert decision.stop_price_usd == D("0.80")  # the guard at -60 %


CASES = ((order, context), (future_order, future_context), (option_order, option_context))

ODD_DECIMALS = st.sampled_from(
    [
        None,
        D("NaN"),
        D("sNaN"),
        D("Infinity"),
        D("-Infinity"),
        D(0),
        D("-0"),
        D(-1),
        D("1E-999999"),
        D("1E+999999"),
        D("1E-9"),
        D("9.9E15"),
        D("0.01"),
        D(50),
        D(10**9),
    ]
)
ODD = {
    Decimal: ODD_DECIMALS,
    float: st.sampled_from([None, float("nan"), float("inf"), -1.0, 0.0, 1e300, 1e-300, 5.0]),
    int: st.sampled_from([None, -1, 0, 1, 100, 10**30]),
    bool: st.sampled_from([None, True, False]),
    str: st.sampled_from(["", "AAPL", "live", "paper", "SIMULATED", "day_trade"]),
    datetime: st.sampled_from([None, AT - timedelta(days=9), AT, AT + timedelta(days=400)]),
    date: st.sampled_from([None, AT.date(), date(2000, 1, 1), date(2036, 12, 31)]),
}


def admits_none(hint: Any) -> bool:
    return get_origin(hint) is UnionType and type(None) in get_args(hint)


def kind_of(hint: Any) -> Any:
    return (
        next(iter(a for a in get_args(hint) if a is not type(None))) if admits_none(hint) else hint
    )


def leaves(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Paths of every field whose value tests may replace, with its annotation."""
    found: list[tuple[str, Any]] = []
    hints = get_type_hints(type(value))
    for f in fields(value):
        hint, inner = hints[f.name], getattr(value, f.name)
        kind = kind_of(hint)
        if is_dataclass(inner):
            found += leaves(inner, f"{prefix}{f.name}__")
        if kind in ODD or admits_none(hint):
            found.append((prefix + f.name, hint))
    return [(path, hint) for path, hint in found if not path.startswith("profile")]


def odd_values(draw: st.DrawFn, value: Any) -> Any:
    paths = leaves(value)
    chosen = draw(st.lists(st.sampled_from(paths), max_size=6, unique_by=lambda p: p[0]))
    # deeper paths first, so that none reaches into what another made None
    for path, hint in sorted(chosen, key=lambda p: -p[0].count("__")):
        kind = kind_of(hint)
        new = draw(ODD[kind]) if kind in ODD else None
        if new is not None or admits_none(hint):
            value = with_(value, **{path: new})
    return value


@st.composite
def odd_cases(draw: st.DrawFn) -> tuple[OrderRequest, Context]:
    make_order, make_context = draw(st.sampled_from(CASES))
    seen = make_context()
    held = holding(notional_usd=draw(ODD_DECIMALS), risk_usd=draw(ODD_DECIMALS))
    if draw(st.booleans()):
        seen = with_(seen, book__positions=(held,), book__pending=(held,))
    if draw(st.booleans()):
        seen = with_(seen, fences__halts=(Halt(scope="symbol", key="MSFT"),))
    if draw(st.booleans()):
        seen = with_(seen, profile=draw(st.sampled_from(list(PROFILES.values()))))
    return odd_values(draw, make_order(is_signal=draw(st.booleans()))), odd_values(draw, seen)


@settings(max_examples=400, deadline=None)
@given(odd_cases())
def test_odd_inputs_never_raise_and_stored_ones_replay(case: tuple[OrderRequest, Context]) -> None:
    asked, seen = case
    decision = evaluate(asked, seen)
    assert len(decision.rules) == 32
    assert decision.allowed is all(r.verdict is Verdict.PASS for r in decision.rules)
    stored = json.loads(canonical_json(encode({"order": asked, "context": seen})))
    again = evaluate(decode(OrderRequest, stored["order"]), decode(Context, stored["context"]))
    assert canonical_json(encode(again)) == canonical_json(encode(decision))


@settings(max_examples=200, deadline=None)
@given(odd_cases())
def test_nothing_unusable_is_ever_allowed(case: tuple[OrderRequest, Context]) -> None:
    asked, seen = case
    decision = evaluate(asked, seen)
    if decision.allowed:
        assert seen.account is not None
        assert seen.account.equity_usd is not None
        assert seen.account.equity_usd.is_finite()
        assert decision.qty >= 1
        assert decision.stop_price_usd is not None
        assert decision.stop_price_usd.is_finite()
        assert decision.risk_usd is not None
        assert decision.risk_usd > 0


@pytest.mark.parametrize(("make_order", "make_context"), CASES)
def test_equal_inputs_give_equal_decisions(make_order: Any, make_context: Any) -> None:
    assert evaluate(make_order(), make_context()) == evaluate(make_order(), make_context())
