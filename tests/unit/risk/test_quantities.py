"""Sizes of the executor by hand, caps as properties against exact fractions, one sizer for all."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_cases import (
    ACCOUNT,
    AT,
    OPTION,
    PRE_OPEN,
    STOCK,
    D,
    context,
    future_context,
    future_order,
    holding,
    option_context,
    option_order,
    order,
    quoted,
    with_,
)

from bft.domain.broker import AccountValues
from bft.domain.orders import Contract, OrderType, Reason, Side
from bft.domain.trading import ExitPolicy, Instrument
from bft.risk.decide import evaluate
from bft.risk.profiles import EQUITIES, PAPER_SMALL
from bft.risk.sizing import Account, Setup, Sizing, Terms, size

WIDE = {"exits": None, "stop_price_usd": D("37.50")}  # 12.50 away: 500 / 12.50 = 40 shares

STOCKS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({}, {}, 100),  # 500 / 2.50 = 200; 5 % of 100,000 / 50 = 100
    (WIDE, {}, 40),
    (WIDE, {"book__loss_streak": 3}, 30),  # x 0.75
    (WIDE, {"book__loss_streak": 5}, 20),  # x 0.5
    ({"exits": None}, {"symbol__atr_14_usd": D("12.50")}, 20),  # 2 x ATR = 25 away
    (WIDE | {"qty": 7}, {}, 7),
    ({}, {"account__available_usd": D(1_000)}, 19),  # 995 / 50
    ({}, {"book__pending": (holding(cost_usd=D(99_000)),)}, 19),
    ({}, {"symbol__adv_20": D(500_000), "account__equity_usd": D(10_000_000)}, 1000),  # 50,000 / 50
    ({}, {"account__equity_usd": D(10_000_000)}, 1000),
    ({}, {"book__opening_notional_today_usd": D(98_000)}, 40),
    ({}, {"book__positions": (holding("AAPL", notional_usd=D(3_000)),)}, 40),
    ({}, {"book__positions": (holding("MSFT", notional_usd=D(28_000)),)}, 40),
    ({}, {"book__positions": (holding("XOM", notional_usd=D(98_000), sector="ENERGY"),)}, 40),
    ({}, {"book__positions": (holding(risk_usd=D(9_900)),)}, 40),  # 100 / 2.50
    ({}, {"profile": PAPER_SMALL}, 20),  # base 10,000: 50 / 2.50 = 20; 1,000 / 50 = 20
]


@pytest.mark.parametrize(("orders", "contexts", "qty"), STOCKS)
def test_stock_sizes_by_hand(orders: dict[str, Any], contexts: dict[str, Any], qty: int) -> None:
    decision = evaluate(order(**orders), with_(context(), **contexts))
    assert (decision.allowed, decision.qty) == (True, qty)


def test_collared_entry_is_sized_to_the_stop_that_leaves_with_it() -> None:
    """Limit 51.00 (mid 50 + 2 %), stop 25 % below 50 = 37.50: 500 / 13.50 = 37 shares, 499.50."""
    asked = order(
        limit_price_usd=None, ref_price_usd=D(50), exits=ExitPolicy(stop_frac=0.25), qty=0
    )
    decision = evaluate(asked, context())
    assert (decision.limit_price_usd, decision.stop_price_usd) == (D(51), D("37.50"))
    assert (decision.qty, decision.risk_usd) == (37, D("499.50"))


def test_price_below_a_dollar_meets_the_share_cap_and_participation() -> None:
    """0.50 USD, stop 0.475: 500 / 0.025 = 20,000; 5,000 / 0.50 = 10,000; 1 % of 700,000 = 7,000."""
    penny = {
        "symbol__contract__tick_usd": D("0.0001"),
        "symbol__last_close_usd": D("0.50"),
        "quote__bid_usd": D("0.4999"),
        "quote__ask_usd": D("0.5001"),
    }
    asked = order(limit_price_usd=D("0.50"))
    assert evaluate(asked, with_(context(), **penny)).qty == 10_000
    thin = with_(context(), **penny, symbol__adv_20=D(700_000))
    assert evaluate(asked, thin).qty == 7_000


MNQ = Contract(con_id=4, symbol="MNQM5", sec_type="FUT", multiplier=D(2), tick_usd=D("0.25"))
MARKET: dict[str, Any] = {"order_type": OrderType.MARKET, "limit_price_usd": None}


@pytest.mark.parametrize(
    ("side", "stop", "qty", "risk"),
    [(Side.BUY, "19990.00", 1, 220), (Side.SELL, "20010.00", 1, "220.49750")],
)
def test_market_order_is_sized_half_a_percent_beyond_the_touch(
    side: Side, stop: str, qty: int, risk: object
) -> None:
    """20,000 x 1.005 = 20,100, 110 points to the stop, 220 USD a MNQ: one for 300.

    Sold at 19,999.75 x 0.995 = 19,899.75125: 110.24875 points, 220.4975 USD.
    """
    asked = future_order(**MARKET, side=side, stop_price_usd=D(stop))
    decision = evaluate(asked, future_context(symbol__contract=MNQ))
    assert (decision.qty, decision.limit_price_usd) == (qty, None)
    assert decision.risk_usd == D(str(risk))


@pytest.mark.parametrize(
    ("changes", "seen", "risk"),
    [
        # ask 50.01 x 1.005 = 50.26005, 10.26005 above 40
        ({"trigger_price_usd": D("49.50")}, {}, "102.60050"),
        ({"trigger_price_usd": D("50.50")}, {}, "107.52500"),  # 50.7525 - 40
        # before the open the close of 49.80: 50.049 - 40; the quote of the night tells nothing
        (
            {"trigger_price_usd": D("49.50"), "created_at": PRE_OPEN},
            {"at": PRE_OPEN, "account__at": PRE_OPEN, "quote": quoted(STOCK, "1.00", "90.00")},
            "100.49000",
        ),
    ],
)
def test_stop_entry_is_sized_from_the_worse_of_trigger_and_market(
    changes: dict[str, Any], seen: dict[str, Any], risk: str
) -> None:
    asked = order(order_type=OrderType.STOP, limit_price_usd=None, qty=10, **changes)
    decision = evaluate(with_(asked, stop_price_usd=D(40), exits=None), with_(context(), **seen))
    assert (decision.allowed, decision.qty, decision.risk_usd) == (True, 10, D(risk))


@pytest.mark.parametrize(
    ("stop", "losses", "qty"),
    [("19997.00", 0, 5), ("19996.00", 0, 3), ("19990.00", 2, 1), ("19985.00", 0, 1)],
)
def test_futures_by_risk_amount(stop: str, losses: int, qty: int) -> None:
    """300 / (3 x 20) = 5; / (4 x 20) = 3.75; / 200 = 1.5; / 300 = 1."""
    asked = future_order(stop_price_usd=D(stop))
    rich = future_context(book__loss_streak=losses, account__available_usd=D(1_000_000))
    decision = evaluate(asked, rich)
    assert (decision.allowed, decision.qty) == (True, qty)


def test_futures_take_the_brokers_margin_or_a_tenth_of_notional() -> None:
    """20,000 x 20 / 10 = 40,000 of 99,500: two; at a margin of 30,000: three."""
    asked = future_order(stop_price_usd=D("19997.00"))
    assert evaluate(asked, future_context()).qty == 2
    assert evaluate(asked, future_context(symbol__margin_usd=D(30_000))).qty == 3


def test_a_contract_that_risks_more_than_the_amount_is_denied() -> None:
    """15.25 points of a NQ are 305 USD."""
    decision = evaluate(future_order(stop_price_usd=D("19984.75")), future_context())
    assert (decision.qty, decision.reason) == (0, Reason.SIZE)
    assert decision.detail == "1 contract risks 305.00 USD, a trade may risk 300.00"


def test_denied_market_order_is_told_what_is_reckoned_with() -> None:
    """110 points of a NQ are 2,200 USD: at the market no stop fits 300 there."""
    decision = evaluate(future_order(**MARKET, stop_price_usd=D("19990.00")), future_context())
    assert (decision.qty, decision.reason) == (0, Reason.SIZE)
    assert decision.detail == (
        "1 contract risks 2200.00 USD, a trade may risk 300.00; "
        "a fill at 20100.00, 0.5 % from the touch, is allowed for: give a limit"
    )


def test_denied_share_is_told_the_risk_that_losses_have_scaled() -> None:
    """0.5 % of 900 USD, halved after five losses, is 2.25; a share risks 50.00 - 47.50."""
    poor = with_(context(), account__equity_usd=D(900), book__loss_streak=5)
    poor = with_(poor, book__peak_equity_usd=D(900), book__day_start_equity_usd=D(900))
    decision = evaluate(order(), poor)
    assert decision.detail == "1 share risks 2.50 USD, a trade may risk 2.25"


@pytest.mark.parametrize(
    ("vix", "age_s", "qty"),
    [
        ("11.9", 60, 8),  # 1,200 / 120 = 10 x 0.8, of risk 1,200
        ("15", 60, 10),
        ("20", 60, 5),
        ("30", 60, 2),
        ("40", 60, 0),
        ("15", 86_400, 10),
        ("15", 86_401, 5),
        ("11.9", 86_401, 5),
        ("35", 86_401, 2),  # age never loosens what was known (ADR 0146)
        ("45", 86_401, 0),
    ],
)
def test_vix_scales_option_sizes(vix: str, age_s: int, qty: int) -> None:
    """Equity 60,000: 2 % is 1,200; a contract at 2.00 risks 120."""
    seen = option_context(
        option__vix=D(vix), option__vix_age_s=float(age_s), account__equity_usd=D(60_000)
    )
    seen = with_(seen, book__peak_equity_usd=D(60_000))
    assert evaluate(option_order(), seen).qty == qty


@pytest.mark.parametrize(
    ("available", "qty"),
    [("2000", 1), ("2000.01", 3), ("5000", 3), ("5000.01", 5), ("25000", 5), ("25000.01", 10)],
)
def test_buying_power_caps_contracts(available: str, qty: int) -> None:
    seen = option_context(account__available_usd=D(available))
    assert evaluate(option_order(), seen).qty == qty


@pytest.mark.parametrize(
    ("kind", "qty"),
    [("close", 9), ("day_trade", 14), ("swing_trade", 33)],
)
def test_option_budgets_by_strategy_type(kind: str, qty: int) -> None:
    """Premium 0.60, ask 0.62: 2 %, 3 %, 10 % of 30,000 are 600, 900, 3,000; cap 10 contracts."""
    seen = option_context(
        quote=quoted(OPTION, "0.58", "0.62"), account__equity_usd=D(30_000), profile__max_units=99
    )
    seen = with_(seen, book__peak_equity_usd=D(30_000))
    assert evaluate(option_order(strategy_type=kind), seen).qty == min(10, qty)


def test_cut_signal_records_both_sizes_and_a_manual_order_above_is_denied() -> None:
    cut = evaluate(order(qty=150), context())
    assert (cut.allowed, cut.qty_requested, cut.qty) == (True, 150, 100)
    manual = evaluate(order(qty=101, is_signal=False), context())
    assert (manual.reason, manual.http_code) == (Reason.MAX_POSITION, 400)
    assert evaluate(order(qty=100, is_signal=False), context()).allowed


@pytest.mark.parametrize(
    ("contexts", "reason"),
    [
        ({"book__opening_notional_today_usd": D(99_950)}, Reason.DAILY_VOLUME),
        ({"book__positions": (holding("MSFT", notional_usd=D(29_950)),)}, Reason.EXPOSURE),
        ({"book__positions": (holding(risk_usd=D(9_999)),)}, Reason.OPEN_RISK),
        ({"account__available_usd": D(99)}, Reason.CASH),
        ({"book__positions": (holding("AAPL", notional_usd=D(4_950)),)}, Reason.MAX_POSITION),
        ({"account__equity_usd": D(900), "book__peak_equity_usd": D(900)}, Reason.SIZE),
    ],
)
def test_the_exhausted_cap_names_the_denial(contexts: dict[str, Any], reason: Reason) -> None:
    assert evaluate(order(), with_(context(), **contexts)).reason is reason


MONEY = st.decimals("20000", "5000000", places=2)
SMALL = st.decimals("0", "4000", places=2)


@st.composite
def markets(draw: st.DrawFn) -> tuple[Any, Any]:
    price = draw(st.decimals("5.10", "199", places=2))
    frac = draw(st.floats(0.01, 0.5))
    equity, available = draw(MONEY), draw(MONEY)
    held = [
        holding(name, notional_usd=draw(SMALL), risk_usd=draw(st.decimals("0", "200", places=2)))
        for name in draw(st.lists(st.sampled_from(["AAPL", "MSFT", "XOM"]), max_size=3))
    ]
    pending = tuple(held[:1])
    seen = with_(
        context(),
        account=AccountValues(account=ACCOUNT, at=AT, equity_usd=equity, available_usd=available),
        book__peak_equity_usd=equity,
        book__positions=tuple(held[1:]),
        book__pending=pending,
        book__loss_streak=draw(st.integers(0, 5)),
        book__opening_notional_today_usd=draw(SMALL),
        symbol__last_close_usd=price,
        symbol__adv_20=draw(st.decimals("500000", "9000000", places=0)),
        quote__bid_usd=price - D("0.01"),
        quote__ask_usd=price + D("0.01"),
        profile=draw(st.sampled_from([EQUITIES, PAPER_SMALL])),
    )
    qty = draw(st.integers(0, 20_000))
    asked = order(
        limit_price_usd=price,
        exits=ExitPolicy(stop_frac=frac),
        qty=qty,
        is_signal=draw(st.booleans()) or qty == 0,
    )
    return asked, seen


@settings(max_examples=300, deadline=None)
@given(markets())
def test_what_is_allowed_stays_under_every_cap(case: tuple[Any, Any]) -> None:
    """Oracle: the table's caps once more, in exact fractions."""
    asked, seen = case
    decision = evaluate(asked, seen)
    if not decision.allowed:
        return
    p, profile, account = seen.profile, seen.profile, seen.account
    price, qty = Fraction(asked.limit_price_usd), decision.qty
    base = Fraction(min(account.equity_usd, p.base_cap_usd or account.equity_usd))
    every = (*seen.book.positions, *seen.book.pending)
    cost, risk = price * qty, (price - Fraction(decision.stop_price_usd)) * qty
    on = sum((Fraction(h.notional_usd) for h in every), Fraction(0))
    same = sum((Fraction(h.notional_usd) for h in every if h.symbol == "AAPL"), Fraction(0))
    held_units = sum(h.qty for h in every if h.symbol == "AAPL")
    on_risk = sum((Fraction(h.risk_usd) for h in every), Fraction(0))
    spent = sum((Fraction(h.cost_usd) for h in seen.book.pending), Fraction(0))
    today = Fraction(seen.book.opening_notional_today_usd)
    assert 1 <= qty <= (asked.qty or qty)
    assert risk <= base * Fraction(profile.risk_frac)
    assert on_risk + risk <= base * Fraction(profile.open_risk_frac)
    assert same + cost <= min(base * Fraction(profile.position_frac), profile.position_cap_usd)
    assert same + cost <= base * Fraction(profile.symbol_frac)
    assert on + cost <= base * Fraction(profile.sector_frac)  # all of one sector
    assert on + cost <= base * Fraction(profile.gross_frac)
    assert today + cost <= base * Fraction(profile.opening_per_day_frac)
    assert cost <= Fraction(199, 200) * (Fraction(account.available_usd) - spent)
    assert held_units + qty <= profile.max_units
    assert qty <= Fraction(seen.symbol.adv_20) / 100
    assert cost >= profile.min_order_usd


@given(
    st.sampled_from(list(Sizing)),
    st.decimals("0.05", "40", places=2),
    st.decimals("0.05", "40", places=2),
    st.decimals("5", "500", places=2),
    st.sampled_from([D(1), D(20), D(100)]),
)
def test_a_wider_stop_never_buys_more(
    mode: Sizing, one: Decimal, other: Decimal, price: Decimal, multiplier: Decimal
) -> None:
    account = Account(equity_usd=D(500_000), cash_usd=D(400_000), risk_headroom_usd=D(9_000))
    terms = Terms(mode=mode, cap_usd=D(45_000), max_units=900)

    def qty(stop: Decimal) -> int:
        setup = Setup(
            ref_price_usd=price,
            stop_distance_usd=stop,
            atr_14_usd=D(1),
            volatility_frac=D("0.3"),
            multiplier=multiplier,
        )
        return size(setup, account, terms).qty

    assert qty(max(one, other)) <= qty(min(one, other))


def test_one_sizer_serves_backtest_and_executor() -> None:
    """The same figures by hand through `size`: what `evaluate` gave for WIDE."""
    setup = Setup(ref_price_usd=D(50), stop_distance_usd=D("12.50"), atr_14_usd=D(1))
    account = Account(equity_usd=D(100_000), cash_usd=D(100_000))
    sized = size(setup, account, Terms(mode=Sizing.RISK, max_weight_frac=D("0.05")))
    assert (sized.qty, sized.wanted, sized.cap) == (40, 40, None)
    assert evaluate(order(**WIDE), context()).qty == sized.qty


def test_short_futures_are_sized_like_long_ones() -> None:
    asked = future_order(side=Side.SELL, stop_price_usd=D("20010.00"))
    assert evaluate(asked, future_context()).qty == 1
    assert asked.instrument is Instrument.FUTURE
