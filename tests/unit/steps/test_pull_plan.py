"""Which calls a night needs."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from bft.domain import sessions
from bft.domain.delivery import TOPICS
from bft.steps.pull_plan import Plan, bar_wants, fact_wants, list_wants, second_wants

ASOF = date(2026, 1, 6)  # session 6541 since 2000-01-03: 1 mod 20
SYMBOLS = tuple(f"S{n}" for n in range(40))
BEFORE = date(2026, 1, 5)
HELD = Plan(
    asof=ASOF,
    symbols=SYMBOLS,
    stocks=SYMBOLS[:30],
    watched=SYMBOLS[:2],
    topics=TOPICS,
    newest_bar=dict.fromkeys(SYMBOLS, BEFORE),
    earnings=set(SYMBOLS),
    statements={(s, date(2025, 9, 30)) for s in SYMBOLS},
)


def names(plan: Plan, topic: str) -> list[str]:
    return [want.name for want in fact_wants(plan) if want.topic == topic]


def full(plan: Plan) -> list[str]:
    return [want.name for want in bar_wants(plan) if want.full]


def test_rotation_takes_every_twentieth_symbol_once_in_twenty_sessions() -> None:
    assert full(HELD) == ["S1", "S21"]
    turns = [replace(HELD, asof=sessions.shift(ASOF, n)).turn for n in range(20)]
    assert sorted(s for turn in turns for s in turn) == sorted(SYMBOLS)


def test_whole_history_where_little_or_nothing_is_stored_or_a_check_failed() -> None:
    old = {**HELD.newest_bar, "S0": sessions.shift(ASOF, -91), "S2": sessions.shift(ASOF, -90)}
    old.pop("S3")
    assert full(replace(HELD, newest_bar=old, failed={"S5"})) == ["S0", "S1", "S3", "S5", "S21"]
    assert len(full(replace(HELD, unreached=True))) == 40


def test_delisted_ones_are_listed_on_mondays() -> None:
    tuesday = [w.name for w in list_wants(TOPICS, asof=ASOF, delisted=False)]
    monday = [w.name for w in list_wants(TOPICS, asof=BEFORE, delisted=False)]
    assert (tuesday, monday) == (["active", ""], ["active", "delisted", ""])


def test_funds_have_no_company_facts() -> None:
    empty = replace(HELD, earnings=set(), statements=set())
    for topic in ("fundamentals", "earnings", "statements"):
        assert names(empty, topic) == list(SYMBOLS[:30])
    assert len(names(HELD, "options")) == 40
    assert names(HELD, "news") == ["S0", "S1"]


@pytest.mark.parametrize(
    ("expected_on", "asked"),
    [
        ("2026-01-08", False),
        ("2026-01-07", True),
        ("2026-01-06", True),
        ("2025-12-29", True),  # five sessions before 2026-01-06
        ("2025-12-26", False),
    ],
)
def test_earnings_are_asked_for_around_the_expected_day(expected_on: str, asked: bool) -> None:
    plan = replace(HELD, expected={"S4": [date.fromisoformat(expected_on)]})
    assert ("S4" in names(plan, "earnings")) is asked
    assert {"S1", "S21"} <= set(names(plan, "earnings"))


@pytest.mark.parametrize(
    ("sessions_ago", "quarter", "asked"),
    [
        (5, date(2025, 12, 31), True),
        (4, date(2025, 12, 31), False),
        (60, date(2025, 12, 31), True),
        (65, date(2025, 12, 31), False),
        (5, date(2025, 9, 30), False),
    ],
)
def test_statements_are_asked_for_every_fifth_session_until_held(
    sessions_ago: int, quarter: date, asked: bool
) -> None:
    plan = replace(HELD, reported={"S4": (quarter, sessions.shift(ASOF, -sessions_ago))})
    assert ("S4" in names(plan, "statements")) is asked


def test_actions_bring_histories_and_splits_their_lists() -> None:
    wants = second_wants(HELD, acted={"S7"}, split={"S8"})
    assert [(w.topic, w.name, w.full) for w in wants] == [
        ("bars", "S7", True),
        ("splits", "S1", False),
        ("splits", "S8", False),
        ("splits", "S21", False),
    ]


def test_news_go_on_from_the_last_stored_one() -> None:
    last = datetime(2026, 1, 5, 12, tzinfo=UTC)
    wants = fact_wants(replace(HELD, newest_news={"S0": last}, topics={"news"}))
    assert wants[0].since == last
    assert wants[1].since == datetime(2025, 12, 7, 23, tzinfo=UTC)


def test_stored_chains_and_other_topics_are_not_asked_for() -> None:
    plan = replace(HELD, chains={"S0", "S1"}, topics={"options"})
    assert len(fact_wants(plan)) == 38
    assert bar_wants(plan) == []


def test_a_night_of_544_symbols_is_within_its_budget() -> None:
    """515 stocks, 29 funds, 86 watched: at most 1,850 calls, as the specification counts.

    Rotation: ranks 1, 21, ... 541, 28 of them, 26 stocks; 24 report, two of these in the rotation.
    """
    symbols = tuple(f"S{n}" for n in range(544))
    reports = {s: [ASOF] for s in symbols[:24]}
    plan = replace(
        HELD,
        symbols=symbols,
        stocks=symbols[:515],
        watched=symbols[:86],
        newest_bar=dict.fromkeys(symbols, BEFORE),
        earnings=set(symbols),
        statements={(s, date(2025, 9, 30)) for s in symbols},
        expected=reports,
    )
    calls = len(bar_wants(plan)) + len(second_wants(plan, acted=set(), split=set()))
    calls += len(fact_wants(plan)) + len(list_wants(TOPICS, asof=ASOF, delisted=False))
    assert calls == 544 + 28 + 515 + 48 + 544 + 86 + 9 + 2 <= 1850
