"""One exit engine, used by backtest and executor alike: pure functions over an `ExitState`.

A position begins with `opened` (more of the same entry: `added`). Per bar `on_bar` runs the checks
1 to 7 and fills; at the close of each bar that its strategy decides on (the session for daily
strategies) `at_close` runs check 8 and may schedule an exit for the next open. Where a broker
fills, ask `wanted` instead of `on_bar`, fold the bar in with `observed` and book each execution
with `filled`. `protective` is what has to rest at the broker. A state is stored by
`bft.domain.encoding`. Source: strategies specification, section 3; decisions: ADR 19.
"""

from bft.exits.actions import dividend, split
from bft.exits.checks import on_bar, wanted
from bft.exits.closing import Close, at_close, on_clock, schedule
from bft.exits.cooldown import Cooldown, blocking, cooldown
from bft.exits.levels import Levels, Protective, initial_levels, protective
from bft.exits.position import added, filled, observed, opened, tightened
from bft.exits.state import Bar, EntryFill, ExitFill, ExitState, Moment, Ordering, Partial, Reason

__all__ = [
    "Bar",
    "Close",
    "Cooldown",
    "EntryFill",
    "ExitFill",
    "ExitState",
    "Levels",
    "Moment",
    "Ordering",
    "Partial",
    "Protective",
    "Reason",
    "added",
    "at_close",
    "blocking",
    "cooldown",
    "dividend",
    "filled",
    "initial_levels",
    "observed",
    "on_bar",
    "on_clock",
    "opened",
    "protective",
    "schedule",
    "split",
    "tightened",
    "wanted",
]
