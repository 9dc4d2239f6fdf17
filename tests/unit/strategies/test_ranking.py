from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panels import ASOF

from bft.domain.trading import Direction, ExitPolicy, Instrument, Signal, SignalKind
from bft.strategies.ranking import Book, Ranked, ranked

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
BOOK = Book(equity_usd=100_000, min_confidence={Instrument.STOCK: 0.60, Instrument.CALL: 0.70})


def entry(symbol: str, **changes: Any) -> Signal:
    values: dict[str, Any] = {
        "signal_id": symbol.ljust(32, "0"),
        "kind": SignalKind.ENTRY,
        "direction": Direction.LONG,
        "strategy_id": "bollinger",
        "strategy_type": "nightly",
        "strategy_version": 1,
        "params_digest": "p",
        "set_digest": None,
        "source": "close",
        "symbol": symbol,
        "asof": ASOF,
        "bar_key": str(ASOF),
        "decided_at": AT,
        "provisional": False,
        "instrument": Instrument.STOCK,
        "confidence": 0.7,
        "confidence_kind": "prior",
        "strength": 0.5,
        "horizon_days": 10,
        "expires_at": AT,
        "reason": "because",
        "ref_price_usd": 100.0,
        "entry_order": "collar",
        "exits": ExitPolicy(),
    }
    return Signal(**{**values, **changes})


def facts(**by_symbol: dict[str, Any]) -> pd.DataFrame:
    calm = {
        "adv_20_usd": 1e8,
        "atr_frac": 0.02,
        "round_trip_cost_frac": 0.001,
        "sector": "ENERGY",
        "is_etf": False,
        "leveraged": False,
        "ret_1d_frac": 0.0,
        "ret_5d_frac": 0.0,
        "ret_20d_frac": 0.0,
        "expected_return_3d": np.nan,
        "expected_return_10d": 0.02,
        "expected_return_30d": np.nan,
    }
    return pd.DataFrame({name: calm | row for name, row in by_symbol.items()}).T


def run(
    signals: list[Signal], rows: pd.DataFrame, book: Book = BOOK, **options: Any
) -> list[Ranked]:
    returns = options.pop("returns", pd.DataFrame())
    return ranked(signals, rows, returns, book=book, top_n=options.pop("top_n", 5), **options)


def tags(rows: list[Ranked]) -> dict[str, tuple[str, str | None]]:
    return {row.signal.symbol: (row.tag, row.tag_reason) for row in rows}


def test_score_by_hand() -> None:
    (row,) = run([entry("A")], facts(A={}))
    edge = 0.5 + (0.02 - 0.001) / 0.10
    liquidity, calm = (8 - 6) / 3, 1 - 0.02 / 0.06
    expected = 35 * 0.7 + 15 * 0.5 + 20 * edge + 10 * liquidity + 10 * 0.5 + 10 * calm
    assert row.score == pytest.approx(expected)
    assert row.edge == pytest.approx(edge)


def test_edge_is_half_without_a_forecast_and_mirrored_for_shorts() -> None:
    (row,) = run([entry("A", horizon_days=3)], facts(A={}))
    assert row.edge == 0.5
    short = entry("A", direction=Direction.SHORT)
    (row,) = run([short], facts(A={}), replace(BOOK, allow_short=frozenset({"bollinger"})))
    assert row.edge == pytest.approx(0.5 + (-0.02 - 0.001) / 0.10)


def test_trigger_beyond_the_drift_takes_no_other_entry_along() -> None:
    """A symbol's best signal waits too far off: the next one is sent, not merged into it."""
    far = entry("A", confidence=0.9, entry_order="stop", stop_price_usd=103.0)
    made = [far, entry("A", strategy_id="low_bounce")]
    book = replace(BOOK, drift_frac={"bollinger": 0.02, "low_bounce": 0.02})
    found = {r.signal.strategy_id: (r.tag, r.tag_reason) for r in run(made, facts(A={}), book)}
    assert found == {"bollinger": ("watch", "drift"), "low_bounce": ("execute", None)}


@pytest.mark.parametrize(
    ("direction", "stop", "tag"),
    [
        (Direction.LONG, 102.0, ("execute", None)),
        (Direction.LONG, 102.01, ("watch", "drift")),
        (Direction.SHORT, 98.0, ("execute", None)),
        (Direction.SHORT, 97.99, ("watch", "drift")),
    ],
)
def test_trigger_beyond_the_drift_allowed_is_watched(
    direction: Direction, stop: float, tag: tuple[str, str | None]
) -> None:
    """The executor's collar would deny it (rule 13)."""
    made = entry("A", direction=direction, entry_order="stop", stop_price_usd=stop)
    short = frozenset({"bollinger"})
    book = replace(BOOK, drift_frac={"bollinger": 0.02}, allow_short=short)
    assert tags(run([made], facts(A={}), book)) == {"A": tag}


def test_record_counts_from_thirty_trades() -> None:
    plain = run([entry("A")], facts(A={}))[0].score
    few = run([entry("A")], facts(A={}), replace(BOOK, records={"bollinger": (29, 1.0)}))[0].score
    many = run([entry("A")], facts(A={}), replace(BOOK, records={"bollinger": (30, 1.0)}))[0].score
    assert few == plain
    assert many == pytest.approx(plain + 5.0)


def test_agreeing_strategies_merge_into_the_best_with_a_bonus() -> None:
    best, other = entry("A", confidence=0.8), entry("A", strategy_id="low_bounce")
    rows = run([other, best], facts(A={}))
    alone = run([best], facts(A={}))[0].score
    assert [(r.signal.strategy_id, r.tag) for r in rows] == [
        ("bollinger", "execute"),
        ("low_bounce", "merged"),
    ]
    assert rows[0].score == pytest.approx(alone + 5)
    assert rows[0].agreeing == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cooling": frozenset({("A", "bollinger")})}, "cooldown"),
        ({"shown_only": {"bollinger": "intraday_entries"}}, "intraday_entries"),
        (
            {"places": {"bollinger": 1}, "open_by": frozenset({("Z", "bollinger")})},
            "max_positions",
        ),
    ],
)
def test_strategy_that_may_not_enter_takes_no_agreeing_one_along(
    changes: dict[str, Any], reason: str
) -> None:
    """After a target its own strategy rests, others go on (3.3), even those it would outrank."""
    best, other = entry("A", confidence=0.8), entry("A", strategy_id="low_bounce")
    rows = run([best, other], facts(A={}), replace(BOOK, **changes))
    told = {row.signal.strategy_id: (row.tag, row.tag_reason) for row in rows}
    assert told == {"low_bounce": ("execute", None), "bollinger": ("watch", reason)}
    assert rows[0].agreeing == 1
    alone = run([best], facts(A={}), replace(BOOK, **changes))
    assert tags(alone) == {"A": ("watch", reason)}


def test_bonus_of_agreeing_strategies_ends_at_ten() -> None:
    """5 per further agreeing strategy, at most 10 (section 6)."""
    names = ("bollinger", "low_bounce", "oversold_bounce", "oversold_reversal")
    alone = run([entry("A")], facts(A={}))[0].score
    for count, bonus in ((2, 5), (3, 10), (4, 10)):
        best = run([entry("A", strategy_id=name) for name in names[:count]], facts(A={}))[0]
        assert (best.score, best.agreeing) == (pytest.approx(alone + bonus), count - 1)


@pytest.mark.parametrize(
    ("row", "points"),
    [
        ({"adv_20_usd": 1e6, "atr_frac": 0.06, "expected_return_10d": -0.049}, 0.0),
        ({"adv_20_usd": 1e5, "atr_frac": 0.09, "expected_return_10d": -0.20}, 0.0),  # no less
        ({"adv_20_usd": np.nan, "atr_frac": np.nan, "expected_return_10d": -0.2}, 0.0),
        ({"adv_20_usd": 1e9, "atr_frac": 0.0, "expected_return_10d": 0.051}, 40.0),
        ({"adv_20_usd": 1e11, "atr_frac": 0.0, "expected_return_10d": 0.30}, 40.0),  # no more
    ],
)
def test_terms_of_the_score_are_clipped(row: dict[str, Any], points: float) -> None:
    """Edge 20, liquidity 10, calm 10; 35 x 0.7, 15 x 0.5 and 10 x 0.5 of the record beside them."""
    assert run([entry("A")], facts(A=row))[0].score == pytest.approx(37.0 + points)


@pytest.mark.parametrize(("mean_r", "points"), [(-3.0, 0.0), (-0.5, 2.5), (0.4, 7.0), (2.0, 10.0)])
def test_record_is_half_and_half_the_mean_r(mean_r: float, points: float) -> None:
    plain = run([entry("A")], facts(A={}))[0].score
    book = replace(BOOK, records={"bollinger": (30, mean_r)})
    assert run([entry("A")], facts(A={}), book)[0].score == pytest.approx(plain - 5 + points)


@pytest.mark.parametrize(("common", "tag"), [(39, "execute"), (40, "watch")])
def test_correlation_counts_from_forty_common_days(common: int, tag: str) -> None:
    moves = pd.DataFrame({"A": np.sin(np.arange(60)), "B": np.sin(np.arange(60))})
    moves.loc[: 59 - common, "B"] = np.nan
    found = tags(run([entry("A", confidence=0.9), entry("B")], facts(A={}, B={}), returns=moves))
    assert found["B"][0] == tag


def test_opposite_directions_cancel_both() -> None:
    pair = [entry("A"), entry("A", direction=Direction.SHORT)]
    may = replace(BOOK, allow_short=frozenset({"bollinger"}))
    assert [row.tag for row in run(pair, facts(A={}), may)] == ["conflict", "conflict"]


def test_short_that_cannot_be_sold_cancels_no_long() -> None:
    """Strategies specification, 2.4: it is `watch`, `short_not_allowed`, and nothing else."""
    pair = [entry("A", direction=Direction.SHORT, confidence=0.9), entry("A")]
    rows = run(pair, facts(A={}))
    told = {str(row.signal.direction): (row.tag, row.tag_reason) for row in rows}
    assert told == {"long": ("execute", None), "short": ("watch", "short_not_allowed")}
    alone = run([entry("A", direction=Direction.SHORT)], facts(A={}))
    assert [(row.tag, row.tag_reason) for row in alone] == [("watch", "short_not_allowed")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"ret_1d_frac": -0.10}, "falling_knife"),
        ({"ret_1d_frac": 90 / 100 - 1}, "falling_knife"),  # -0.09999999999999998
        ({"ret_5d_frac": -0.15}, "falling_knife"),
        ({"ret_20d_frac": -0.30}, "falling_knife"),
        ({"leveraged": True, "is_etf": True}, "leveraged_fund"),
    ],
)
def test_gate_refuses_with_its_reason(row: dict[str, Any], reason: str) -> None:
    assert tags(run([entry("A")], facts(A=row)))["A"] == ("watch", reason)


@pytest.mark.parametrize(
    ("row", "tag"),
    [
        ({"ret_1d_frac": 0.10}, "watch"),
        ({"ret_5d_frac": 0.15}, "watch"),
        ({"ret_20d_frac": 0.30}, "watch"),
        ({"ret_1d_frac": 0.0999, "ret_5d_frac": 0.1499, "ret_20d_frac": 0.2999}, "execute"),
        ({"ret_1d_frac": -0.5}, "execute"),
    ],
)
def test_knife_of_a_short_is_mirrored(row: dict[str, Any], tag: str) -> None:
    book = replace(BOOK, allow_short=frozenset({"bollinger"}))
    (found,) = run([entry("A", direction=Direction.SHORT)], facts(A=row), book)
    assert found.tag == tag


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"confidence": 0.599}, "conf_min"),
        ({"confidence": 0.699, "instrument": Instrument.CALL}, "conf_min"),
        ({"direction": Direction.SHORT}, "short_not_allowed"),
    ],
)
def test_own_limits_refuse(changes: dict[str, Any], reason: str) -> None:
    assert tags(run([entry("A", **changes)], facts(A={})))["A"] == ("watch", reason)


@pytest.mark.parametrize("confidence", [0.60, 0.70])
def test_confidence_at_the_minimum_suffices(confidence: float) -> None:
    kind = Instrument.STOCK if confidence == 0.60 else Instrument.CALL
    made = entry("A", confidence=confidence, instrument=kind)
    assert tags(run([made], facts(A={})))["A"] == ("execute", None)


def test_gates_are_told_in_the_order_of_the_specification() -> None:
    """Section 6, 1 to 4: a row that fails them all, mended one gate after the other."""
    made = entry("A", confidence=0.5, entry_order="stop", stop_price_usd=103.0)
    moves = pd.DataFrame({"A": np.sin(np.arange(60)), "B": np.sin(np.arange(60))})
    fallen = {"ret_1d_frac": -0.2, "leveraged": True}
    book = replace(
        BOOK,
        open_usd={"A": 0.0, "B": 29_000.0},
        cooling=frozenset({("A", "")}),
        drift_frac={"bollinger": 0.02},
        open_by=frozenset({("A", "bollinger"), ("B", "bollinger")}),
        places={"bollinger": 2},
        notional_usd={made.signal_id: 2_000.0},
    )
    told = []

    def judge(row: dict[str, Any]) -> None:
        found = run([made], facts(A=row, B={"sector": "ENERGY"}), book, returns=moves)
        told.append(found[0].tag_reason)

    judge(fallen)
    judge({"leveraged": True})
    judge({})
    book = replace(book, notional_usd={made.signal_id: 1_000.0})  # 30,000 in all
    judge({})
    moves["B"] = np.cos(np.arange(60))
    judge({})
    book = replace(book, open_usd={"B": 29_000.0})
    judge({})
    book = replace(book, cooling=frozenset())
    judge({})
    made = replace(made, confidence=0.6)
    judge({})
    made = replace(made, stop_price_usd=102.0)
    judge({})
    book = replace(book, places={"bollinger": 3}, max_positions=1)
    judge({})
    book = replace(book, max_positions=2)
    judge({})
    assert told == [
        "falling_knife",
        "leveraged_fund",
        "sector",
        "correlation with B",
        "held_or_pending",
        "cooldown",
        "conf_min",
        "drift",
        "max_positions",
        "max_positions",
        None,
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"open_usd": {"A": 1000.0}}, "held_or_pending"),
        ({"cooling": frozenset({("A", "bollinger")})}, "cooldown"),
        ({"max_positions": 1, "open_usd": {"Z": 1000.0}}, "max_positions"),
        ({"notional_usd": {entry("A").signal_id: 0.0}}, "min_order"),
    ],
)
def test_book_refuses(changes: dict[str, Any], reason: str) -> None:
    assert tags(run([entry("A")], facts(A={}), replace(BOOK, **changes)))["A"] == ("watch", reason)


def test_strategy_fills_its_own_places_only() -> None:
    """One of three places of a strategy is held: two of its entries are picked, others go on."""
    held = frozenset({("Z", "bollinger"), ("Y", "low_bounce")})
    open_usd = {"Z": 0.0, "Y": 0.0}
    book = replace(BOOK, open_usd=open_usd, open_by=held, places={"bollinger": 3})
    rows = facts(**{s: {"sector": s} for s in "ABCDZY"})
    signals = [entry(s, confidence=c) for s, c in (("A", 0.9), ("B", 0.85), ("C", 0.8))]
    found = tags(run([*signals, entry("D", strategy_id="low_bounce")], rows, book))
    assert found == {
        "A": ("execute", None),
        "B": ("execute", None),
        "C": ("watch", "max_positions"),
        "D": ("execute", None),
    }


def test_third_of_a_sector_is_watched_and_keeps_its_place() -> None:
    rows = facts(A={}, B={}, C={}, D={"sector": "UTILITIES"})
    signals = [entry(s, confidence=c) for s, c in (("A", 0.9), ("B", 0.85), ("C", 0.8), ("D", 0.7))]
    found = run(signals, rows)
    assert [row.signal.symbol for row in found] == ["A", "B", "C", "D"]
    assert tags(found)["C"] == ("watch", "sector")
    assert tags(found)["D"] == ("execute", None)


def test_sector_value_is_capped_at_thirty_percent_of_equity() -> None:
    a, b = entry("A", confidence=0.9), entry("B")
    book = replace(BOOK, notional_usd={a.signal_id: 20_000.0, b.signal_id: 10_001.0})
    found = run([a, b], facts(A={}, B={}), book)
    assert tags(found) == {"A": ("execute", None), "B": ("watch", "sector")}


def test_unknown_sector_and_funds_allow_one_each() -> None:
    rows = facts(A={"sector": None}, B={"sector": None}, C={"is_etf": True}, D={"is_etf": True})
    found = tags(run([entry(s) for s in "ABCD"], rows))
    assert found["A"][0] == found["C"][0] == "execute"
    assert found["B"] == found["D"] == ("watch", "sector")


def test_twin_of_an_accepted_pick_is_watched() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    base = rng.normal(0, 0.01, 60)
    returns = pd.DataFrame({"A": base, "B": base + rng.normal(0, 0.001, 60)})
    found = tags(run([entry("A", confidence=0.9), entry("B")], facts(A={}, B={}), returns=returns))
    assert found["B"] == ("watch", "correlation with A")
    short_history = returns.copy()
    short_history.loc[:20, "B"] = np.nan  # 39 common days
    found = tags(
        run([entry("A", confidence=0.9), entry("B")], facts(A={}, B={}), returns=short_history)
    )
    assert found["B"][0] == "execute"


def test_only_top_n_execute_and_ties_go_by_turnover_then_symbol() -> None:
    rows = facts(A={"sector": "X"}, B={"sector": "Y"}, C={"sector": "Z"})
    found = run([entry("C"), entry("B"), entry("A")], rows, top_n=2)
    assert [row.signal.symbol for row in found] == ["A", "B", "C"]
    assert tags(found)["C"] == ("watch", "top_n")


def test_exits_always_execute_first() -> None:
    found = run([entry("A"), entry("B", kind=SignalKind.EXIT)], facts(A={}, B={}), top_n=0)
    assert [(row.signal.symbol, row.tag) for row in found] == [("B", "execute"), ("A", "watch")]
