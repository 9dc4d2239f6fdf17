"""The exits of a position: where its stops, targets and trails lie, and what is due.

Source: executor specification, section 6.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from bft.domain import sessions
from bft.domain.orders import Intent, Leg
from bft.ledger.records import Position
from bft.services.executor.api.service import Service
from bft.services.executor.api.views import money, resting_price
from bft.services.executor.covers import Cover, Under
from bft.services.executor.protection import protected_qty


class ExitView(BaseModel):
    """Exits of one entry; levels are decimal text, `trail` null where none is armed.

    `stop` and `target` are where the live orders rest, null where there is none; `stop_level` and
    `target_level` are what the exit policy wants; a resting stop is never loosened to it.
    `protected_quantity` lies under its live stops or is leaving; `flat_by_close` says that its
    policy wants the position flat by the end of the running session. The `underlying` levels are
    those of an option that lie on its underlying, null for everything else; `underlying_reached`
    names the one that was reached.
    """

    entry: str
    strategy_id: str
    quantity: int
    protected_quantity: int
    stop: str | None
    target: str | None
    stop_level: str | None
    target_level: str | None
    trail: str | None
    held_days: int
    max_hold_days: int | None
    scheduled: str | None
    flat_by_close: bool
    underlying_stop: str | None
    underlying_target: str | None
    underlying_trail: str | None
    underlying_reached: str | None


def exits_of(service: Service, held: Position) -> list[dict[str, Any]]:
    """One row for each entry whose units are open in a position, oldest first."""
    covers = [c for c in service.executor.guard.of(held.con_id) if c.open_qty]
    covers.sort(key=lambda cover: (cover.opened_at, cover.entry))
    return [_view(service, cover) for cover in covers]


def _view(service: Service, cover: Cover) -> dict[str, Any]:
    state, legs = cover.state, service.executor.guard.legs(cover.entry)
    stops = [leg for leg in legs if leg.leg is Leg.STOP]
    return {
        "entry": cover.entry,
        "strategy_id": cover.strategy_id,
        "quantity": cover.open_qty,
        "protected_quantity": protected_qty(legs),
        "stop": _rests(service, stops),
        "target": _rests(service, [leg for leg in legs if leg.leg is Leg.TARGET]),
        "stop_level": money(state.stop_usd) if state else None,
        "target_level": money(state.target_usd) if state else None,
        "trail": money(state.trail_usd) if state else None,
        "held_days": state.held_days if state else 0,
        "max_hold_days": cover.policy.max_hold_days,
        "scheduled": str(state.scheduled) if state and state.scheduled else None,
        "flat_by_close": flat_by_close(cover, service.now),
        **_on_underlying(cover.under),
    }


def _on_underlying(under: Under | None) -> dict[str, str | None]:
    state = under.state if under else None
    reached = under.reached if under else None
    return {
        "underlying_stop": money(state.stop_usd) if state else None,
        "underlying_target": money(state.target_usd) if state else None,
        "underlying_trail": money(state.trail_usd) if state else None,
        "underlying_reached": str(reached) if reached else None,
    }


def _rests(service: Service, legs: Sequence[Intent]) -> str | None:
    """Price of the newest live order among these."""
    live = [leg for leg in legs if not leg.state.terminal]
    return money(resting_price(service.desk, live[-1])) if live else None


def flat_by_close(cover: Cover, now: datetime) -> bool:
    """Whether the position must not outlive the running session.

    Same-session policies never stay overnight; options leave one session before they expire.
    """
    if cover.policy.same_session:
        return True
    expiry = cover.contract.expiry
    if cover.contract.sec_type != "OPT" or expiry is None:
        return False
    today = sessions.on_or_after(now.astimezone(sessions.NEW_YORK).date())
    return sessions.shift(today, 1) >= expiry
