"""Rules 1 to 16: each passes, blocks and misses an input; verdicts by hand from the table."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from risk_cases import (
    AT,
    OPTION,
    PRE_OPEN,
    STOCK,
    D,
    context,
    future_context,
    future_order,
    option_context,
    option_order,
    order,
    quoted,
    with_,
)

from bft.domain.broker import SessionState
from bft.domain.orders import Decision, OrderType, Side, Verdict
from bft.domain.trading import ExitPolicy, Instrument, SignalKind
from bft.risk.context import Context, Halt
from bft.risk.decide import evaluate

NAN, INF = D("NaN"), D("Infinity")
LIVE = {"mode__mode": "live", "mode__account": "U1", "mode__connected_account": "U1"}
LIVE |= {"account__account": "U1"}
GATED = {"profile__require_model_gate": True}
DIGEST = {"set_digest": "d" * 64}
INTRADAY = {"close_decided": False, "decided_at": AT - timedelta(seconds=60)}
MARKET = {"order_type": OrderType.MARKET, "limit_price_usd": None}
FALLEN = {"ref_price_usd": D("50.80"), "limit_price_usd": D("50.90")}  # decided at a close of 50.80
AT_MARKET = MARKET | {"is_signal": False, "qty": 10}  # no collar makes a limit of it


def decided(orders: dict[str, Any], contexts: dict[str, Any]) -> Decision:
    return evaluate(order(**orders), with_(context(), **contexts))


BLOCKS: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    (1, {}, {"fences__kill_latched": True}),
    (2, {}, {"mode__problem": "live lock expired"}),
    (2, {}, {"mode__connected_account": "DU9"}),
    (2, {}, {"mode__requested_mode": "live"}),
    (2, {"paper": False}, {}),
    (2, {"paper": True}, LIVE),
    (2, {}, LIVE | {"mode__account_type": "SIMULATED"}),
    (2, {}, LIVE | {"mode__broker": "paper"}),
    (2, {}, LIVE | {"profile__modes": ("paper",)}),
    (2, {}, {"profile__simulated_only": True}),
    (2, DIGEST, LIVE | {"mode__set_paper_only": True}),
    (3, {}, {"session__state": SessionState.LOST}),
    (3, {}, {"session__restart_window": True}),
    (3, {}, {"session__reconciled": False}),
    (3, {}, {"session__lease_held": False}),
    (3, {}, {"session__monitor_age_s": 10.1}),
    (3, {}, {"session__writable": False}),
    (4, {}, {"fences__halts": (Halt(scope="account", key="DU1"),)}),
    (4, {}, {"fences__halts": (Halt(scope="profile", key="equities"),)}),
    (4, {}, {"fences__halts": (Halt(scope="strategy", key="bollinger"),)}),
    (4, {}, {"fences__halts": (Halt(scope="symbol", key="AAPL"),)}),
    (4, {}, {"fences__unknown_symbols": ("AAPL",)}),
    (5, {}, {"fences__roles": ("viewer",)}),
    (6, {}, {"fences__entry_exists": True}),
    (6, {}, {"fences__twin_exists": True}),
    (7, {}, {"symbol__in_universe": False}),
    (7, {}, {"symbol__restricted": True}),
    (7, {}, {"symbol__contract_matches": 2}),
    (7, {}, {"symbol__action_open": True}),
    (7, {}, {"symbol__halted": True}),
    (7, {}, {"symbol__suspected_split": True}),
    (7, {}, {"quote": quoted(STOCK, "49.99", "50.01", halted=True)}),
    (7, {}, {"profile__max_price_usd": D("49.99")}),
    (7, {}, {"profile__min_price_usd": D("50.01")}),
    (8, {"limit_price_usd": NAN}, {}),
    (8, {"limit_price_usd": INF}, {}),
    (8, {"limit_price_usd": D(0)}, {}),
    (8, {"limit_price_usd": D(-1)}, {}),
    (8, {"ref_price_usd": NAN}, {}),
    (8, {"stop_price_usd": D(50)}, {}),
    (8, {"stop_price_usd": D(51)}, {}),
    (8, {"target_price_usd": D(50)}, {}),
    (8, {"target_price_usd": D(49)}, {}),
    (8, AT_MARKET | {"target_price_usd": D("50.00")}, {}),  # half way between bid and ask
    (8, {"exits": ExitPolicy(stop_frac=float("nan"))}, {}),
    (8, {"exits": ExitPolicy(stop_frac=1.0)}, {}),
    (8, {"exits": ExitPolicy(activation_frac=float("inf"))}, {}),
    (8, {"side": Side.SELL}, {}),
    (8, {"kind": SignalKind.EXIT}, {}),
    (8, {"instrument": Instrument.CALL}, {}),
    (8, {"qty": -1}, {}),
    (8, {"qty": 0, "is_signal": False}, {}),
    (8, {"qty": 10, "is_signal": False, "limit_price_usd": D("50.001")}, {}),
    (8, {"qty": 10, "is_signal": False, "stop_price_usd": D("47.501")}, {}),
    (8, {"order_type": OrderType.STOP, "limit_price_usd": None}, {}),
    (8, {"order_type": OrderType.STOP_LIMIT}, {}),
    (9, {}, {"at": datetime(2025, 6, 7, 14, 0, tzinfo=UTC)}),
    (9, {}, {"at": datetime(2025, 7, 4, 14, 0, tzinfo=UTC)}),
    (10, {}, {"skews_s": (2.1, -2.1, 2.1)}),
    (11, {"expires_at": AT}, {}),
    (11, {"asof": date(2025, 6, 2)}, {}),
    (11, {}, {"data__gold_asof": date(2025, 6, 2)}),
    (11, {}, {"data__forecast_asof": date(2025, 6, 2)}),
    (11, INTRADAY | {"asof": date(2024, 6, 3)}, {}),
    (11, INTRADAY | {"asof": date(2025, 6, 2)}, {}),  # two sessions ago
    (11, INTRADAY | {"asof": date(2025, 6, 5)}, {}),
    (11, INTRADAY | {"asof": date(2031, 6, 3)}, {}),
    (11, INTRADAY | {"decided_at": AT - timedelta(seconds=301)}, {}),
    (11, INTRADAY | {"decided_at": AT + timedelta(seconds=6)}, {}),
    (11, INTRADAY, {"data__uses_bars": True, "data__bar_age_s": 121.0}),
    (11, INTRADAY, {"data__uses_features": True, "data__feature_age_s": 301.0}),
    (12, {}, {"quote": quoted(STOCK, "49.99", "50.01", at=AT - timedelta(seconds=6))}),
    (12, {}, {"quote": quoted(STOCK, "0", "50.01")}),
    (12, {}, {"quote": quoted(STOCK, "50.02", "50.01")}),
    (12, {}, {"quote": quoted(STOCK, "49.99", "50.01", frozen=True)}),
    (12, {}, {"quote": quoted(STOCK, "49.99", "50.01", delayed=True)}),
    (12, {}, {"symbol__last_close_usd": D("30")}),  # 50 / 30 - 1 = 67 %
    # a fill is allowed up to there, but the market is below the stop: it would sell at once
    (13, AT_MARKET | {"stop_price_usd": D("50.10")}, {}),
    (13, {"limit_price_usd": D("50.90"), "stop_price_usd": D("50.50")}, {}),
    (13, FALLEN | {"stop_price_usd": D("50.50")}, {}),
    (13, {"limit_price_usd": D("51.01"), "is_signal": False, "qty": 1}, {}),  # mid 50.00, 2 %
    (14, {}, {"quote": quoted(STOCK, "49.70", "50.30")}),  # 0.60 / 50.00 = 1.2 %
    (14, {}, {"symbol__adv_20": D(499_999)}),
    (15, {"confidence": D("0.59")}, {}),
    (15, {"confidence": D("1.01")}, {}),
    (16, {"model_score": D("0.54")}, GATED),
    (16, {"model_score": D("1.01")}, GATED),
    (16, {"model_age_days": 91}, GATED),
]

MISSES: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    (1, {}, {"fences__kill_latched": None}),
    (2, {}, {"mode__mode": None}),
    (2, {}, {"mode__problem": None}),
    (2, {}, {"mode__connected_account": None}),
    (2, DIGEST, LIVE),
    (3, {}, {"session__state": None}),
    (3, {}, {"session__restart_window": None}),
    (3, {}, {"session__reconciled": None}),
    (3, {}, {"session__lease_held": None}),
    (3, {}, {"session__monitor_age_s": None}),
    (3, {}, {"session__monitor_age_s": float("nan")}),
    (3, {}, {"session__writable": None}),
    (4, {}, {"fences__halts": None}),
    (4, {}, {"fences__unknown_symbols": None}),
    (5, {}, {"fences__roles": None}),
    (6, {}, {"fences__entry_exists": None}),
    (6, {}, {"fences__twin_exists": None}),
    (7, {}, {"symbol__in_universe": None}),
    (7, {}, {"symbol__restricted": None}),
    (7, {}, {"symbol__contract_matches": None}),
    (7, {}, {"symbol__action_open": None}),
    (7, {}, {"symbol__halted": None}),
    (7, {}, {"symbol__suspected_split": None}),
    (8, {}, {"symbol__contract": None}),
    (8, {"exits": None}, {"symbol__atr_14_usd": None}),
    (8, {"exits": None}, {"symbol__atr_14_usd": NAN}),
    (8, {"exits": ExitPolicy(stop_frac=None, stop_atr=2)}, {"symbol__atr_14_usd": D(0)}),
    (8, MARKET, {"quote": None}),
    (9, {}, {"at": datetime(2037, 6, 4, 14, 0, tzinfo=UTC)}),
    (10, {}, {"skews_s": ()}),
    (10, {}, {"skews_s": (0.0, 0.0, float("nan"))}),
    (11, {"asof": None}, {}),
    (11, {}, {"data__gold_asof": None}),
    (11, DIGEST, {"data__forecast_asof": None}),
    (11, {}, GATED | {"data__forecast_asof": None}),
    (11, INTRADAY, {"data__uses_bars": True}),
    (11, INTRADAY, {"data__uses_features": True, "data__feature_age_s": float("nan")}),
    (12, {}, {"quote": None}),
    (12, {}, {"quote__bid_usd": None}),
    (12, {}, {"quote__ask_usd": NAN}),
    (12, {}, {"quote__at": AT + timedelta(seconds=3)}),
    (13, {}, {"quote": None}),
    (13, {}, {"at": PRE_OPEN, "symbol__last_close_usd": None}),
    (14, {}, {"symbol__adv_20": NAN}),
    (14, {}, {"quote": None}),
    (15, {"confidence": None}, {}),
    (15, {"confidence": NAN}, {}),
    (16, {"model_score": None}, GATED),
    (16, {"model_score": NAN}, GATED),
    (16, {"model_age_days": None}, GATED | {"data__model_age_days": None}),
]

PASSES: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    *((number, {}, {}) for number in range(1, 17)),
    (2, {"paper": True}, {}),
    (2, {"paper": False}, LIVE),
    (2, {}, {"mode__requested_mode": "paper"}),
    (2, DIGEST, LIVE | {"mode__set_paper_only": False}),
    (2, {}, {"mode__connected_account": None, "session__state": SessionState.DOWN}),
    (3, {}, {"session__monitor_age_s": 10.0}),
    (4, {}, {"fences__halts": (Halt(scope="symbol", key="MSFT"),)}),
    (4, {}, {"fences__halts": (Halt(scope="strategy", key="low_bounce"),)}),
    (4, {}, {"fences__unknown_symbols": ("MSFT",)}),
    (8, AT_MARKET | {"target_price_usd": D("50.10")}, {}),  # though 51 is allowed for
    (8, {"exits": None}, {}),  # 2 x ATR
    (
        8,
        {"limit_price_usd": D("49.60"), "stop_price_usd": D("49.50")},
        {},
    ),  # below the market
    (8, {"limit_price_usd": D("50.001")}, {}),  # a signal's price is rounded
    (10, {}, {"skews_s": (2.0, 2.1, 2.1)}),
    (10, {}, {"skews_s": (2.1, 2.1)}),
    (11, INTRADAY | {"decided_at": AT - timedelta(seconds=300)}, {}),
    (11, INTRADAY | {"asof": date(2025, 6, 3)}, {}),
    (11, INTRADAY | {"asof": date(2025, 6, 4)}, {}),
    (  # 17:30 Chicago: the next trading day of a future
        11,
        INTRADAY
        | {"instrument": Instrument.FUTURE, "asof": date(2025, 6, 5), "expires_at": None}
        | {"decided_at": datetime(2025, 6, 4, 22, 30, tzinfo=UTC)},
        {"at": datetime(2025, 6, 4, 22, 30, tzinfo=UTC)},
    ),
    (11, {}, {"data__forecast_asof": None}),  # rules without forecasts
    (12, {}, {"at": PRE_OPEN, "quote": None}),
    (13, {"limit_price_usd": D("51.00"), "is_signal": False, "qty": 1}, {}),
    (13, {"limit_price_usd": D("40.00"), "is_signal": False, "qty": 1}, {}),  # not adverse
    (14, {}, {"at": PRE_OPEN, "quote": None}),
    (15, {"confidence": D("0.60")}, {}),
    (15, {"confidence": None}, {"profile__min_confidence": None}),
    (16, {"model_score": D("0.55"), "model_age_days": 90}, GATED),
    (16, {"model_score": None}, {}),
]


@pytest.mark.parametrize(("number", "orders", "contexts"), BLOCKS)
def test_rule_blocks(number: int, orders: dict[str, Any], contexts: dict[str, Any]) -> None:
    decision = decided(orders, contexts)
    assert decision.rules[number - 1].verdict is Verdict.BLOCK
    assert not decision.allowed
    assert decision.rules[number - 1].note


@pytest.mark.parametrize(("number", "orders", "contexts"), MISSES)
def test_rule_misses_an_input(
    number: int, orders: dict[str, Any], contexts: dict[str, Any]
) -> None:
    decision = decided(orders, contexts)
    assert decision.rules[number - 1].verdict is Verdict.MISSING
    assert not decision.allowed


@pytest.mark.parametrize(("number", "orders", "contexts"), PASSES)
def test_rule_passes(number: int, orders: dict[str, Any], contexts: dict[str, Any]) -> None:
    assert decided(orders, contexts).rules[number - 1].verdict is Verdict.PASS


def verdict(number: int, asked: Any, seen: Context) -> Verdict:
    return evaluate(asked, seen).rules[number - 1].verdict


def test_futures_take_the_roots_of_their_profile() -> None:
    assert verdict(7, future_order(), future_context()) is Verdict.PASS
    assert verdict(7, future_order(), future_context(symbol__underlying="ES")) is Verdict.BLOCK


def test_futures_may_be_sold_short() -> None:
    sale = future_order(side=Side.SELL, stop_price_usd=D("20010.00"))
    assert evaluate(sale, future_context()).allowed


def test_futures_spread_counts_ticks() -> None:
    four = quoted(STOCK, "19999.00", "20000.00")
    five = quoted(STOCK, "19998.75", "20000.00")
    assert verdict(14, future_order(), future_context(quote=four)) is Verdict.PASS
    assert verdict(14, future_order(), future_context(quote=five)) is Verdict.BLOCK


def test_market_order_is_held_against_its_signals_price_on_both_sides() -> None:
    """Mid 19,999.875: 0.5 % above 19,900.37, 0.5 % below 20,099.87."""
    bounds = (("19900.00", False), ("19901.00", True), ("20099.00", True), ("20100.00", False))
    for ref, near in bounds:
        expected = Verdict.PASS if near else Verdict.BLOCK
        asked = future_order(order_type=OrderType.MARKET, limit_price_usd=None)
        asked = with_(asked, ref_price_usd=D(ref))
        assert verdict(13, asked, future_context()) is expected


@pytest.mark.parametrize(
    ("ref", "limit", "expected"),
    [
        ("50.99", None, Verdict.PASS),  # mid 50.00: 1.98 % above
        ("51.01", None, Verdict.BLOCK),
        ("45.00", None, Verdict.PASS),  # the limit of 45.90 rests
        ("50.00", "51.00", Verdict.PASS),
        ("50.00", "51.01", Verdict.BLOCK),
        ("51.01", "51.01", Verdict.BLOCK),
        (None, "51.00", Verdict.PASS),
        (None, "51.01", Verdict.BLOCK),
    ],
)
def test_signal_is_measured_by_its_reference(
    ref: str | None, limit: str | None, expected: Verdict
) -> None:
    asked = order(
        ref_price_usd=None if ref is None else D(ref),
        limit_price_usd=None if limit is None else D(limit),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
    )
    assert verdict(13, asked, context()) is expected


def test_options_are_bought_never_sold_to_open() -> None:
    assert verdict(8, option_order(side=Side.SELL), option_context()) is Verdict.BLOCK


@pytest.mark.parametrize(
    ("kind", "volume", "interest", "expected"),
    [
        ("swing_trade", 10, 100, Verdict.PASS),
        ("swing_trade", 9, 100, Verdict.BLOCK),
        ("day_trade", 99, 100, Verdict.BLOCK),
        ("day_trade", 100, 100, Verdict.PASS),
        ("swing_trade", 100, 99, Verdict.BLOCK),
        ("swing_trade", None, 100, Verdict.MISSING),
        ("swing_trade", 100, None, Verdict.MISSING),
    ],
)
def test_option_liquidity_by_strategy_type(
    kind: str, volume: int | None, interest: int | None, expected: Verdict
) -> None:
    seen = option_context(option__volume=volume, option__open_interest=interest)
    assert verdict(14, option_order(strategy_type=kind), seen) is expected


def test_option_quote_may_be_two_minutes_old() -> None:
    for age_s, expected in ((120, Verdict.PASS), (121, Verdict.BLOCK)):
        quote = quoted(OPTION, "1.97", "2.03", at=AT - timedelta(seconds=age_s))
        assert verdict(12, option_order(), option_context(quote=quote)) is expected


def test_pre_open_says_so_and_measures_from_the_last_close() -> None:
    seen = context(at=PRE_OPEN, account=with_(context().account, at=PRE_OPEN))
    asked = order(created_at=PRE_OPEN, is_signal=False, qty=10)
    decision = evaluate(asked, seen)
    assert [decision.rules[n - 1].note for n in (12, 14)] == ["pre_open", "pre_open"]
    assert verdict(13, with_(asked, limit_price_usd=D("50.79")), seen) is Verdict.PASS
    assert verdict(13, with_(asked, limit_price_usd=D("50.80")), seen) is Verdict.BLOCK


def test_every_rule_of_the_first_half_is_covered() -> None:
    for table in (BLOCKS, MISSES, PASSES):
        assert {number for number, _, _ in table} == set(range(1, 17))


@pytest.mark.parametrize(
    ("paper", "contexts", "meant"), [(True, LIVE, "paper"), (False, {}, "live")]
)
def test_order_for_the_other_money_is_told_where_to_go(
    paper: bool, contexts: dict[str, Any], meant: str
) -> None:
    assert decided({"paper": paper}, contexts).detail.endswith(f"send it to a {meant} server")


def test_no_profile_sells_options_to_open() -> None:
    """Not even one that admits shorts: a short option of bft's own is nowhere reckoned with."""
    given = with_(option_context(), profile__short_allowed=True)
    made = evaluate(option_order(side=Side.SELL), given)
    assert (made.reason, made.detail[:15]) == ("validation", "selling to open")


@pytest.mark.parametrize(
    ("contexts", "value", "limit", "note"),
    [
        ({"quote": quoted(STOCK, "0", "50.01")}, D(0), 0, "bid or ask not above zero"),
        ({"quote": quoted(STOCK, "50.02", "50.01")}, D("50.02"), D("50.01"), "quote crossed"),
        (
            {"symbol__last_close_usd": D("25")},  # 50 / 25 - 1
            D(1),
            D("0.40"),
            "quote 50 more than 40 % from the last close 25",
        ),
    ],
)
def test_unusable_quote_is_told_with_its_numbers(
    contexts: dict[str, Any], value: D, limit: D, note: str
) -> None:
    told = decided({}, contexts).rules[11]
    assert (told.verdict, told.value, told.limit, told.note) == (Verdict.BLOCK, value, limit, note)
