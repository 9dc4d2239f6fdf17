"""What the executor holds in memory: everything live and the last 30 days."""

from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from bft.domain.orders import REF_PREFIX, Contract, Intent
from bft.domain.runs import Json
from bft.ledger.intents import Intents
from bft.ledger.lots import Line
from bft.ledger.records import (
    ZERO,
    Adjustment,
    BareClose,
    Booked,
    BookEvent,
    BookOrder,
    Bracket,
    Cooldown,
    Halt,
    Kill,
    Limits,
    Lot,
    Position,
    Trade,
)

KEPT = timedelta(days=30)
KEPT_EVENTS = 1000  # over the API; executor specification, section 13

LineKey = tuple[str, int]
"""Account and con id."""
LimitKey = tuple[str, str, date]
"""Scope, key, trading day."""


@dataclass(slots=True)
class BookState:
    """Tables as dicts by their keys; only `fold.apply` and `load` change it.

    `revisions` are exec ids by base id, `fills` base ids by intent, `unmatched` executions of no
    order of ours, `fees` those whose execution is not known yet; `lines` what happened to each
    contract in order; `trade_lots` lots by trade; `forgotten` the revision of fills let go early by
    base id; `recalled` units an order had filled before memory let go of them; `closed_trades`
    (exit, id) ascending; `order_ids` the highest id ever stored per client; `streaks_from` after
    which exit losing trades count, by (scope, key).
    """

    day: date | None = None
    trim_above: int = 5000
    boot_id: str = ""
    mode: str = "paper"
    clock: str = "system"
    lease_token: int = 0
    epoch: int = 0
    event_id: int = 0
    intents: Intents = field(default_factory=Intents)
    orders: dict[tuple[int, int, int], BookOrder] = field(default_factory=dict)
    perm_ids: dict[int, str] = field(default_factory=dict)
    order_ids: dict[int, int] = field(default_factory=dict)
    entry_signals: set[str] = field(default_factory=set)
    executions: dict[str, Booked] = field(default_factory=dict)
    revisions: dict[str, list[str]] = field(default_factory=dict)
    fills: dict[str, set[str]] = field(default_factory=dict)
    unmatched: set[str] = field(default_factory=set)
    fees: dict[str, Decimal] = field(default_factory=dict)
    adjustments: dict[str, Adjustment] = field(default_factory=dict)
    forgotten: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    recalled: dict[str, int] = field(default_factory=dict)
    lines: dict[LineKey, Line] = field(default_factory=dict)
    lots: dict[str, Lot] = field(default_factory=dict)
    trade_lots: dict[str, set[str]] = field(default_factory=dict)
    positions: dict[LineKey, Position] = field(default_factory=dict)
    brackets: dict[tuple[str, int, str], Bracket] = field(default_factory=dict)
    bare_closes: dict[LineKey, BareClose] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    closed_trades: list[tuple[datetime, str]] = field(default_factory=list)
    limits: dict[LimitKey, Limits] = field(default_factory=dict)
    streaks_from: dict[tuple[str, str], datetime] = field(default_factory=dict)
    halts: dict[str, Halt] = field(default_factory=dict)
    cooldowns: dict[tuple[str, str, str], Cooldown] = field(default_factory=dict)
    kill: Kill = field(default_factory=Kill)
    overrides: dict[str, object] = field(default_factory=dict)
    contracts: dict[int, Contract] = field(default_factory=dict)
    reconciliation: Json | None = None
    events: deque[BookEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))

    def intent_of(
        self,
        *,
        order_ref: str = "",
        perm_id: int | None = None,
        key: tuple[int, int, int] | None = None,
    ) -> Intent | None:
        """The order behind a broker's words: by our reference, else permId, else the full key."""
        if order_ref.startswith(REF_PREFIX):
            return self.intents.get(order_ref.removeprefix(REF_PREFIX))
        known = self.perm_ids.get(perm_id) if perm_id else None
        if known is None and key is not None and key in self.orders:
            known = self.orders[key].intent_id
        return self.intents.get(known) if known else None

    def live_intents(self) -> list[Intent]:
        """Orders that are not terminal."""
        return self.intents.live()

    def position_qty(self, account: str, con_id: int) -> Decimal:
        """Signed units of the book."""
        held = self.positions.get((account, con_id))
        return held.qty if held else ZERO

    def active_halts(self, at: datetime) -> list[Halt]:
        """Halts that hold at that instant, oldest first."""
        return [halt for halt in self.halts.values() if halt.active(at)]

    def limits_of(self, scope: str, key: str, day: date, *, at: datetime) -> Limits:
        """Counters of a day; zeros where nothing was counted."""
        found = self.limits.get((scope, key, day))
        return found or Limits(scope=scope, key=key, trading_day=day, at=at)
