"""The cooldown that the end of a cover begins. Source: strategies specification, section 3.3."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from bft import exits
from bft.domain import sessions
from bft.domain.exit_bounds import MOST_COOLDOWN_DAYS, MOST_COOLDOWN_S
from bft.domain.orders import Intent
from bft.domain.trading import ExitPolicy
from bft.ledger.records import Cooldown
from bft.services.executor.covers import Cover, left_because


def cooldown_of(cover: Cover, legs: Iterable[Intent], now: datetime) -> Cooldown:
    """The rest of its symbol after a cover's last unit left: after a stop for all strategies."""
    reason = left_because(cover, [leg for leg in legs if leg.filled_qty])
    stopped = reason in {exits.Reason.STOP, exits.Reason.TRAIL}
    return Cooldown(
        account=cover.account,
        symbol=cover.contract.symbol,
        strategy="" if stopped else cover.strategy_id,
        until=rests_until(cover.policy, now),
        reason=str(reason),
    )


def rests_until(policy: ExitPolicy, now: datetime) -> datetime:
    """End of the cooldown of an exit made now, within what a calendar can tell.

    Positions of an older process may hold a policy that rule 8 would not let pass today.
    """
    days = min(policy.cooldown_days, MOST_COOLDOWN_DAYS)
    until = now + timedelta(seconds=min(max(0, policy.cooldown_s or 0), MOST_COOLDOWN_S))
    if days <= 0:
        return until
    session = sessions.on_or_before(now.astimezone(sessions.NEW_YORK).date())
    return max(until, sessions.close_at(sessions.shift_or_last(session, days)))
