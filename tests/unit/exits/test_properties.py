"""Properties named at the end of the strategies specification, 3.3, on generated bars."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from positions import bar, position

from bft.domain.encoding import decode, encode
from bft.domain.trading import Direction, ExitPolicy
from bft.exits import (
    Bar,
    Close,
    ExitFill,
    ExitState,
    Ordering,
    Reason,
    at_close,
    filled,
    observed,
    on_bar,
    protective,
    wanted,
)

FAST = settings(max_examples=60, deadline=None, derandomize=True)
CENTS = st.integers(-400, 400)  # ten bars stay above 15 USD


@st.composite
def tapes(draw: st.DrawFn) -> list[Bar]:
    """Up to ten daily bars around 100 USD, with gaps."""
    close, made = 10_000, []
    for number in range(1, draw(st.integers(2, 10)) + 1):
        opening = close + (0 if number == 1 else draw(CENTS))
        close = opening + draw(CENTS)
        high = max(opening, close) + draw(st.integers(0, 300))
        low = min(opening, close) - draw(st.integers(0, 300))
        cents = (opening, high, low, close)
        made.append(bar(number, " ".join(str(Decimal(c) / 100) for c in cents)))
    return made


@st.composite
def policies(draw: st.DrawFn) -> ExitPolicy:
    activation = draw(st.sampled_from([0.0, 0.01, 0.03]))
    return ExitPolicy(
        stop_frac=draw(st.sampled_from([0.02, 0.05, 0.09])),
        stop_atr=draw(st.sampled_from([None, 1.0])),
        target_frac=draw(st.sampled_from([None, 0.04, 0.08])),
        target_risk=draw(st.sampled_from([None, 2.0])),
        trail_frac=draw(st.sampled_from([None, 0.02, 0.05])),
        trail_atr=draw(st.sampled_from([None, 2.0])),
        activation_frac=activation,
        max_hold_days=draw(st.integers(1, 12)),
        partials=draw(st.sampled_from([(), ((0.02, 0.5),), ((0.01, 0.3), (0.03, 0.4))])),
    )


SIDES = st.sampled_from(list(Direction))
ORDERINGS = st.sampled_from(list(Ordering))


def steps(
    state: ExitState, tape: list[Bar], ordering: Ordering
) -> tuple[list[ExitState], list[ExitFill]]:
    """States after each bar and close, and all fills."""
    states, fills = [state], list[ExitFill]()
    for one in tape:
        state, found = on_bar(state, one, ordering)
        fills += found
        state, _ = at_close(state, Close(bar=one))
        states.append(state)
    return states, fills


def traded(
    policy: ExitPolicy, side: Direction, tape: list[Bar], ordering: Ordering, tick: str = "0"
) -> list[ExitFill]:
    state = position(policy, atr="2.5", direction=side, tick_usd=Decimal(tick))
    return steps(state, tape, ordering)[1]


def profit(fills: list[ExitFill], side: Direction) -> Decimal:
    sign = 1 if side is Direction.LONG else -1
    return sum((sign * (f.price_usd - 100) * f.qty for f in fills), Decimal(0))


@FAST
@given(tapes(), policies(), SIDES, ORDERINGS, st.booleans())
def test_the_level_never_loosens(tape, policy, side, ordering, at_open) -> None:  # type: ignore[no-untyped-def]
    state = position(policy, atr="2.5", direction=side, at_open=at_open)
    states, _ = steps(state, tape, ordering)
    levels = [state.sign * protective(s).stop_usd for s in states]
    assert levels == sorted(levels)


@FAST
@given(tapes(), policies(), SIDES, ORDERINGS, st.booleans())
def test_one_exit_ends_a_position_inside_its_bar(tape, policy, side, ordering, at_open) -> None:  # type: ignore[no-untyped-def]
    state = position(policy, atr="2.5", direction=side, at_open=at_open)
    states, fills = steps(state, tape, ordering)
    bars = {one.bar_key: one for one in tape}
    assert all(bars[f.bar_key].low_usd <= f.price_usd <= bars[f.bar_key].high_usd for f in fills)
    terminal = [f for f in fills if f.reason is not Reason.PARTIAL]
    assert len(terminal) == (0 if states[-1].is_open else 1)
    assert fills[len(fills) - len(terminal) :] == terminal
    assert sum(f.qty for f in fills) + states[-1].open_qty == 100
    for s in states:
        found = protective(s)
        limits = found.target_qty + sum(p.qty for p in found.partials)
        assert found.qty == s.open_qty
        assert limits <= s.open_qty


@FAST
@given(tapes(), policies(), SIDES, ORDERINGS)
def test_a_bar_twice_is_a_no_op_and_a_replay_gives_the_state(  # type: ignore[no-untyped-def]
    tape, policy, side, ordering
) -> None:
    state = again = position(policy, atr="2.5", direction=side)
    for one in tape:
        executed = observed(state, one)  # as an executor does: ask, observe, book what fills
        for fill in wanted(state, one, ordering):
            executed = filled(executed, fill)
        state, _ = on_bar(state, one, ordering)
        assert executed == state
        assert on_bar(state, one, ordering) == (state, ())
        state, scheduled = at_close(state, Close(bar=one))
        assert at_close(state, Close(bar=one)) == (state, scheduled)
        again = decode(ExitState, encode(again))  # a restart between any two bars
        again, _ = on_bar(again, one, ordering)
        again, _ = at_close(decode(ExitState, encode(again)), Close(bar=one))
        assert again == state
        assert encode(again) == encode(state)


@FAST
@given(tapes(), policies(), SIDES, ORDERINGS, st.integers(1, 5))
def test_scaled_prices_scale_fills(tape, policy, side, ordering, tens) -> None:  # type: ignore[no-untyped-def]
    by = Decimal(10) ** tens
    big = [
        replace(
            one,
            open_usd=one.open_usd * by,
            high_usd=one.high_usd * by,
            low_usd=one.low_usd * by,
            close_usd=one.close_usd * by,
        )
        for one in tape
    ]
    fills = traded(policy, side, tape, ordering)
    state = position(
        policy, price=str(100 * by), atr=str(Decimal("2.5") * by), direction=side, tick_usd=0
    )
    assert [replace(f, price_usd=f.price_usd / by) for f in steps(state, big, ordering)[1]] == fills


@FAST
@given(tapes(), policies(), SIDES)
def test_the_worst_ordering_never_earns_more(tape, policy, side) -> None:  # type: ignore[no-untyped-def]
    whole = replace(policy, partials=())
    worst, best = (traded(whole, side, tape, o, "0.01") for o in Ordering)
    if worst and best:
        assert profit(worst, side) <= profit(best, side)
    assert bool(worst) is bool(best)


def crossed(legs: list[Decimal], stop: Decimal, target: Decimal | None) -> str | None:
    """What a continuous price path meets first; an oracle that knows no bars."""
    for begin, end in pairwise(legs):
        low, high = min(begin, end), max(begin, end)
        if low <= stop <= high:
            return f"stop {stop}"
        if target is not None and low <= target <= high:
            return f"target {target}"
    return None


@FAST
@given(tapes(), policies(), SIDES)
def test_an_ordering_is_a_path_through_the_bar(tape, policy, side) -> None:  # type: ignore[no-untyped-def]
    """Worst goes open, adverse extreme, favourable extreme, close; best the other way round."""
    whole = replace(policy, partials=(), trail_frac=None, trail_atr=None, max_hold_days=None)
    state = position(whole, atr="2.5", direction=side)
    stop, target = state.stop_usd, state.target_usd
    for one in tape[1:]:
        adverse, favourable = one.low_usd, one.high_usd
        if side is Direction.SHORT:
            adverse, favourable = favourable, adverse
        for ordering, middle in (
            (Ordering.WORST, [adverse, favourable]),
            (Ordering.BEST, [favourable, adverse]),
        ):
            past_stop = state.sign * (one.open_usd - stop) <= 0
            past = past_stop or (target and state.sign * (one.open_usd - target) >= 0)
            met = crossed([one.open_usd, *middle, one.close_usd], stop, target)
            found = [f"{f.reason} {f.price_usd}" for f in wanted(state, one, ordering)]
            if past:
                kind = "stop_gap" if past_stop else "target_gap"
                assert found == [f"{kind} {one.open_usd}"]
            else:
                assert found == ([] if met is None else [met])
