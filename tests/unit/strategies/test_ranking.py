from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panels import ASOF, forecast, gold_rows, table

from bft.domain.trading import Direction, ExitPolicy, Instrument, Signal, SignalKind
from bft.strategies.facts import symbol_facts
from bft.strategies.ranking import Book, Ranked, ranked

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
BOOK = Book(equity_usd=100_000)


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
    ("changes", "reason"),
    [
        ({"confidence": 0.599}, "conf_min"),
        ({"direction": Direction.SHORT}, "short_not_allowed"),
    ],
)
def test_own_limits_refuse(changes: dict[str, Any], reason: str) -> None:
    assert tags(run([entry("A", **changes)], facts(A={})))["A"] == ("watch", reason)


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


def test_facts_by_hand() -> None:
    rows = gold_rows("A", days=30, adjusted_close=110.0, volume=2_000_000)
    rows[-2]["adjusted_close"] = 104.5
    frame, returns = symbol_facts(
        table("gold", rows), table("forecasts", []), table("universe", []), asof=ASOF
    )
    at = frame.loc["A"]
    turnover = (18 * 100 * 1e6 + 104.5 * 1e6 + 110 * 2e6) / 20
    assert at["adv_20_usd"] == pytest.approx(turnover)
    assert at["adv_20"] == pytest.approx(21e6 / 20)
    assert at["ret_1d_frac"] == pytest.approx(110 / 104.5 - 1)
    assert at["ret_5d_frac"] == pytest.approx(0.10)
    assert returns["A"].iloc[-1] == pytest.approx(110 / 104.5 - 1)


def test_forecast_of_a_model_too_old_is_none() -> None:
    """Older than 90 days: no rule reads it, and no edge either (sections 2.4 and 5)."""
    for days, known in ((90, True), (91, False)):
        told = [forecast("A", expected_return_10d=0.02, model_age_days_max=days)]
        frame, _ = symbol_facts(
            table("gold", gold_rows("A", days=30)),
            table("forecasts", told),
            table("universe", []),
            asof=ASOF,
        )
        assert bool(np.isfinite(frame.at["A", "expected_return_10d"])) is known


def test_facts_put_volumes_on_the_newest_share_basis() -> None:
    """A 2:1 split today: 20 days of 1 M old shares are 2 M new ones."""
    rows = gold_rows("A", days=30, adjusted_close=50.0, adj_factor=2.0, split_factor=2.0)
    rows[-1]["volume"] = 2_000_000
    frame, _ = symbol_facts(
        table("gold", rows), table("forecasts", []), table("universe", []), asof=ASOF
    )
    assert frame.at["A", "adv_20"] == pytest.approx(2_000_000)
    assert frame.at["A", "ret_1d_frac"] == pytest.approx(0.0)


def test_facts_are_of_the_newest_revision_of_the_last_entry() -> None:
    """However the rows lie: an entry that never was (`to` 1900-01-01) counts for nothing."""
    told = {"symbol": "A", "is_etf": True, "from": date(2018, 1, 2), "name": "Index", "revision": 0}
    listed = [
        {**told, "name": "UltraPro 3x", "watch": 0, "revision": 1},
        told,
        {**told, "from": date(2016, 1, 4), "to": date(2017, 1, 3), "name": "Bear"},
        {**told, "from": None, "to": date(1900, 1, 1), "is_etf": False, "revision": 1},
    ]
    gold, none = table("gold", gold_rows("A", days=30)), table("forecasts", [])
    frame, _ = symbol_facts(gold, none, table("universe", listed), asof=ASOF)
    assert frame.loc["A", ["is_etf", "leveraged", "on_watchlist", "watch"]].tolist() == [
        True
    ] * 3 + [0]


def test_sector_nobody_knows_is_no_sector() -> None:
    """An odd word in the symbol list must not buy a second place under the sector cap."""
    listed = [{"symbol": "A", "sector": "WIDGETS", "is_etf": False}]
    frame, _ = symbol_facts(
        table("gold", gold_rows("A", days=30, sector=None)),
        table("forecasts", []),
        table("universe", listed),
        asof=ASOF,
    )
    assert frame.at["A", "sector"] is None
