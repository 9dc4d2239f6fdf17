"""Cooldowns: after an exit its symbol rests, for one strategy or for all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bft.domain import sessions
from bft.domain.trading import ExitPolicy
from bft.exits.state import ExitFill, Reason

_FOR_ALL = {Reason.STOP, Reason.STOP_GAP, Reason.TRAIL, Reason.TRAIL_GAP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """No entry decision with an asof before `until_session`, or at an instant before `until`.

    `all_strategies`: the symbol rests for every strategy, else only for `strategy_id`.
    """

    account: str
    symbol: str
    strategy_id: str
    exit_session: date
    reason: Reason
    until_session: date
    until: datetime
    all_strategies: bool


def cooldown(
    fill: ExitFill,
    policy: ExitPolicy,
    *,
    account: str,
    symbol: str,
    strategy_id: str,
    shift: Callable[[date, int], date] = sessions.shift,
) -> Cooldown:
    """Row of the exit fill that closed a position; written in the transaction of that fill.

    `shift` counts sessions, for bars off the calendar. Source: strategies specification, 3.3.
    """
    return Cooldown(
        account=account,
        symbol=symbol,
        strategy_id=strategy_id,
        exit_session=fill.session,
        reason=fill.reason,
        until_session=shift(fill.session, policy.cooldown_days),
        until=fill.at + timedelta(seconds=policy.cooldown_s or 0),
        all_strategies=fill.reason in _FOR_ALL,
    )


def blocking(
    rows: Iterable[Cooldown], *, symbol: str, strategy_id: str, asof: date, at: datetime
) -> Cooldown | None:
    """The first cooldown that forbids an entry decided for session `asof` at the instant `at`."""
    for row in rows:
        concerns = row.symbol == symbol and (row.all_strategies or row.strategy_id == strategy_id)
        if concerns and (asof < row.until_session or at < row.until):
            return row
    return None
