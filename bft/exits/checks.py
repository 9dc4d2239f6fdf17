"""The checks of one bar, in their order."""

from collections.abc import Iterable
from decimal import Decimal
from functools import reduce

from bft.exits.levels import protective_level, resting_partials
from bft.exits.position import FLATTEN_TAKES, filled, marked, seen
from bft.exits.state import Bar, ExitFill, ExitState, Moment, Ordering, Reason

_GAPS = {Reason.STOP: Reason.STOP_GAP, Reason.TRAIL: Reason.TRAIL_GAP}


def on_bar(
    state: ExitState, bar: Bar, ordering: Ordering = Ordering.WORST
) -> tuple[ExitState, tuple[ExitFill, ...]]:
    """Run checks 2 to 7 on a bar, fill what they say, and remember its best price.

    Fills are at base prices inside the bar, in the order they happen. A bar seen before changes
    nothing. Corporate actions of the session come first, by `split` and `dividend`.
    Source: strategies specification, 3.3.
    """
    if not state.is_open or seen(state, bar):
        return state, ()
    rest, fills = _run(state, bar, ordering)
    return marked(rest, bar), fills


def wanted(state: ExitState, bar: Bar, ordering: Ordering = Ordering.WORST) -> tuple[ExitFill, ...]:
    """The exits that a bar calls for, without making them: a broker fills, `filled` books."""
    if not state.is_open or seen(state, bar):
        return ()
    return _run(state, bar, ordering)[1]


def _run(state: ExitState, bar: Bar, ordering: Ordering) -> tuple[ExitState, tuple[ExitFill, ...]]:
    entering = bar.bar_key == state.entry.bar_key
    fills: tuple[ExitFill, ...] = ()
    if not entering:
        fills = tuple(_at_open(state, bar))
        state = reduce(filled, fills, state)
    if state.is_open:
        more = tuple(_in_range(state, bar, ordering, entering=entering))
        state, fills = reduce(filled, more, state), fills + more
    overdue = state.flatten_at is not None and bar.ends_at >= state.flatten_at + FLATTEN_TAKES
    if state.is_open and overdue:
        last = _fill(bar, state.open_qty, bar.close_usd, Reason.FLATTEN, Moment.CLOSE)
        state, fills = filled(state, last), (*fills, last)
    return state, fills


def _at_open(state: ExitState, bar: Bar) -> Iterable[ExitFill]:
    """Checks 2 to 4, and the partials that the open has passed."""
    sign, price = state.sign, bar.open_usd
    level, name = protective_level(state)
    target = state.target_usd
    reason = state.scheduled
    if reason is None and sign * (price - level) <= 0:
        reason = _GAPS[name]
    if reason is None and target is not None and sign * (price - target) >= 0:
        reason = Reason.TARGET_GAP
    if reason is not None:
        yield _fill(bar, state.open_qty, price, reason, Moment.OPEN)
        return
    for partial in resting_partials(state):
        if sign * (price - partial.level_usd) >= 0:
            yield _fill(bar, partial.qty, price, Reason.PARTIAL, Moment.OPEN)


def _in_range(
    state: ExitState, bar: Bar, ordering: Ordering, *, entering: bool
) -> Iterable[ExitFill]:
    """Checks 5 to 7."""
    sign, target = state.sign, state.target_usd
    inside = entering and not state.entry.at_open
    adverse, favourable = _reach(state, bar, ordering, inside=inside)
    level, name = protective_level(state)
    stopped = sign * (adverse - level) <= 0
    rest = state
    if not (stopped and ordering is Ordering.WORST):
        for partial in resting_partials(state):
            if sign * (favourable - partial.level_usd) >= 0:
                price = _within(partial.level_usd, bar)
                fill = _fill(bar, partial.qty, price, Reason.PARTIAL, Moment.INSIDE)
                rest = filled(rest, fill)
                yield fill
        if target is not None and sign * (favourable - target) >= 0:
            price = _within(target, bar)
            yield _fill(bar, rest.open_qty, price, Reason.TARGET, Moment.INSIDE)
            return
    if stopped:
        level, name = protective_level(rest)
        at_once = not inside and rest is state and sign * (bar.open_usd - level) < 0
        price = bar.open_usd if at_once else _within(level, bar)
        yield _fill(bar, rest.open_qty, price, name, Moment.INSIDE)


def _reach(
    state: ExitState, bar: Bar, ordering: Ordering, *, inside: bool
) -> tuple[Decimal, Decimal]:
    """Adverse and favourable extreme that count; of a bar entered inside, one is the close.

    What came before the fill is unknown there: the worst ordering believes the adverse extreme
    only, the best one the favourable.
    """
    adverse, favourable = bar.low_usd, bar.high_usd
    if state.sign < 0:
        adverse, favourable = favourable, adverse
    if not inside:
        return adverse, favourable
    if ordering is Ordering.WORST:
        return adverse, bar.close_usd
    return bar.close_usd, favourable


def _within(level_usd: Decimal, bar: Bar) -> Decimal:
    return min(max(level_usd, bar.low_usd), bar.high_usd)


def _fill(bar: Bar, qty: Decimal, price_usd: Decimal, reason: Reason, moment: Moment) -> ExitFill:
    return ExitFill(
        qty=qty,
        price_usd=price_usd,
        reason=reason,
        moment=moment,
        bar_key=bar.bar_key,
        session=bar.session,
        at=bar.ends_at,
    )
