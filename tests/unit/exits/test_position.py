"""Fills of a broker, corporate actions, cooldowns and the stored state."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from positions import FIRST, HALVES, PLAIN, bar, day, held, later, position, ran, shown

from bft.domain.encoding import decode, encode
from bft.domain.errors import DataError
from bft.domain.journal import canonical_json
from bft.domain.trading import ExitPolicy
from bft.exits import (
    Cooldown,
    ExitFill,
    ExitState,
    Moment,
    Reason,
    added,
    blocking,
    cooldown,
    dividend,
    filled,
    on_bar,
    protective,
    schedule,
    split,
    tightened,
    wanted,
)

TRAILED = ExitPolicy(stop_frac=0.07, target_frac=0.12, trail_frac=0.05, activation_frac=0.03)


def executed(qty: int, reason: Reason, price: str = "100") -> ExitFill:
    return ExitFill(
        qty=Decimal(qty),
        price_usd=Decimal(price),
        reason=reason,
        moment=Moment.INSIDE,
        bar_key="x",
        session=day(2),
        at=bar(2, "1 1 1 1").ends_at,
    )


def prices(state: ExitState) -> list[str]:
    found = (state.stop_usd, state.target_usd, state.trail_usd, state.best_usd)
    return ["-" if price is None else format(price.normalize(), "f") for price in found]


def test_an_exit_filled_in_pieces_leaves_the_rest_protected() -> None:
    state = filled(held(position(), 1), executed(40, Reason.STOP))
    assert (protective(state).qty, protective(state).target_qty) == (60, 60)
    assert shown(wanted(state, bar(2, "97 98 94 95"))) == ["stop 60@95.00 inside"]


def test_a_scheduled_exit_filled_in_part_stays_scheduled() -> None:
    state = filled(schedule(held(position(), 1), Reason.TIME), executed(40, Reason.TIME))
    assert shown(wanted(state, bar(2, "101 102 100 101"))) == ["time 60@101 open"]
    assert filled(state, executed(60, Reason.TIME)).scheduled is None


def test_an_exit_beyond_the_open_quantity_is_refused() -> None:
    with pytest.raises(DataError, match="overfill"):
        filled(position(), executed(101, Reason.STOP))
    with pytest.raises(DataError, match="open 0"):
        filled(filled(position(), executed(100, Reason.STOP)), executed(1, Reason.STOP))


def test_a_partial_filled_in_pieces_keeps_its_remainder() -> None:
    state = filled(held(position(HALVES), 1), executed(20, Reason.PARTIAL, "104"))
    assert [(p.level_usd, p.qty) for p in state.partials] == [(104, 30), (106, 25)]
    assert state.stop_usd == 100
    state = filled(state, executed(30, Reason.PARTIAL, "104"))
    assert [(p.level_usd, p.qty) for p in state.partials] == [(106, 25)]


def test_an_entry_filled_in_pieces_has_the_levels_of_its_average() -> None:
    state = added(position(HALVES, qty="40"), qty=Decimal(60), price_usd=Decimal(101))
    assert (state.entry.price_usd, state.open_qty) == (Decimal("100.6"), 100)
    assert (state.stop_usd, state.target_usd) == (Decimal("95.57"), Decimal("110.66"))
    assert [p.qty for p in state.partials] == [50, 25]
    assert state.initial_stop_usd == state.stop_usd


def test_more_of_an_entry_never_loosens_a_tightened_stop() -> None:
    state = tightened(position(), Decimal(98))
    assert added(state, qty=Decimal(100), price_usd=Decimal(90)).stop_usd == 98
    assert tightened(state, Decimal(97)).stop_usd == 98


def test_a_late_entry_fill_after_the_stop_is_protected_again() -> None:
    state, _ = ran(position(qty="40"), bar(1, "100 101 94 95"))
    state = added(state, qty=Decimal(60), price_usd=Decimal(96))
    assert protective(state).qty == 60
    assert wanted(state, bar(2, "90 90 90 90"))[0].qty == 60


def test_a_split_divides_every_price_and_multiplies_the_quantity() -> None:
    state, _ = ran(position(TRAILED), bar(1, "100 110 100 109"))
    assert prices(state) == ["93", "112", "106.64", "110"]
    state = split(state, Decimal(3), key="split:2025-03-04")
    assert prices(state) == ["31", "37.33", "35.55", "36.666667"]
    assert (state.entry.price_usd, state.entry.qty) == (Decimal("33.333333"), 300)
    assert (state.open_qty, state.initial_stop_usd) == (300, 31)
    assert split(state, Decimal(3), key="split:2025-03-04") == state
    assert shown(on_bar(state, bar(2, "36 36 35 35.2"))[1]) == ["trail 300@35.55 inside"]


def test_a_reverse_split_keeps_whole_shares() -> None:
    third = 1 / Decimal(3)
    state = split(position(HALVES, qty="30"), third, key="split")
    assert (state.open_qty, state.stop_usd, state.target_usd) == (10, 285, 330)
    assert [p.qty for p in state.partials] == [5, 2]
    assert split(position(qty="31"), third, key="split").open_qty == 10
    assert not split(position(qty="2"), third, key="split").is_open


def test_a_split_scales_the_atr_and_prices_that_an_order_named() -> None:
    policy = ExitPolicy(stop_frac=None, stop_atr=2.0, target_frac=None, trail_atr=3.0)
    state = position(policy, atr="1.5", target_usd=Decimal("120"))
    state = split(state, Decimal(2), key="split")
    state, _ = ran(state, bar(1, "50 52 50 51"))
    assert prices(state) == ["48.5", "60", "49.75", "52"]
    assert added(state, qty=Decimal(2), price_usd=Decimal(50)).target_usd == 60


def test_only_a_special_dividend_moves_levels() -> None:
    state, _ = ran(position(TRAILED), bar(1, "100 110 100 100"))
    assert dividend(state, Decimal("9.99"), Decimal(100), key="dividend") == state
    assert dividend(state, Decimal("10"), Decimal(100), key="dividend").stop_usd == Decimal("83.70")
    after = dividend(state, Decimal(20), Decimal(100), key="dividend")
    assert prices(after) == ["74.4", "89.6", "85.32", "88"]  # 85.312 up
    assert (after.entry.price_usd, after.initial_stop_usd) == (100, 93)
    assert dividend(after, Decimal(20), Decimal(100), key="dividend") == after
    later_on, _ = ran(after, bar(2, "87 88 86 87"))
    assert later_on.trail_usd == after.trail_usd  # best and reference moved too


def test_impossible_actions_are_refused() -> None:
    for ratio in ("0", "-2"):
        with pytest.raises(DataError, match=f"split ratio {ratio}"):
            split(position(), Decimal(ratio), key="split")
    for amount in ("100", "-1"):
        with pytest.raises(DataError, match=f"dividend {amount}"):
            dividend(position(), Decimal(amount), Decimal(100), key="dividend")


def rested(reason: Reason, **policy: int) -> Cooldown:
    made = replace(PLAIN, **policy)
    return cooldown(
        executed(1, reason), made, account="DU1", symbol="AAPL", strategy_id="bollinger"
    )


def blocked(row: Cooldown, session: int, strategy: str = "bollinger", after_s: int = 0) -> bool:
    at = later(executed(1, Reason.TIME).at, after_s)
    found = blocking([row], symbol="AAPL", strategy_id=strategy, asof=day(session), at=at)
    return found is not None


@pytest.mark.parametrize(("days", "first_free"), [(0, 2), (1, 3), (10, 12)])
def test_cooldown_counts_sessions_from_the_exit(days: int, first_free: int) -> None:
    row = rested(Reason.TIME, cooldown_days=days)
    assert next(n for n in range(2, 13) if not blocked(row, n)) == first_free


@pytest.mark.parametrize("reason", list(Reason))
def test_cooldown_after_stop_or_trail_is_for_all_strategies(reason: Reason) -> None:
    row = rested(reason, cooldown_days=1)
    assert blocked(row, 2)
    assert blocked(row, 2, "low_bounce") is (
        reason in {Reason.STOP, Reason.STOP_GAP, Reason.TRAIL, Reason.TRAIL_GAP}
    )
    assert (
        blocking([row], symbol="MSFT", strategy_id="bollinger", asof=day(2), at=row.until) is None
    )


def test_cooldown_in_seconds_runs_beside_sessions() -> None:
    row = rested(Reason.TARGET, cooldown_days=0, cooldown_s=900)
    assert blocked(row, 2, after_s=899)
    assert not blocked(row, 2, after_s=900)
    assert not blocked(row, 2, "low_bounce", after_s=1)


def test_cooldown_off_the_calendar_shifts_as_told() -> None:
    def shift(session: date, days: int) -> date:
        return session + timedelta(days=days)

    fill = replace(executed(1, Reason.STOP), session=date(2025, 3, 8))
    row = cooldown(fill, PLAIN, account="", symbol="X", strategy_id="s", shift=shift)
    assert row.until_session == date(2025, 3, 9)


def test_a_state_survives_its_text() -> None:
    state, _ = ran(position(replace(HALVES, trail_frac=0.05)), bar(1, "100 104 100 104"))
    state = schedule(split(state, Decimal(7), key="split"), Reason.RISK)
    text = canonical_json(encode(state))
    assert decode(ExitState, json.loads(text)) == state
    assert canonical_json(encode(decode(ExitState, json.loads(text)))) == text
    assert json.loads(text)["entry"]["session"] == FIRST.isoformat()
