"""Signals and picks: what strategies say, before any size or order."""

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from bft.domain.market import Table


class Direction(StrEnum):
    """Side of the position a signal opens or closes."""

    LONG = "long"
    SHORT = "short"


class SignalKind(StrEnum):
    """Open a position, or close one."""

    ENTRY = "entry"
    EXIT = "exit"


class Instrument(StrEnum):
    """What is traded."""

    STOCK = "STOCK"
    CALL = "CALL"
    PUT = "PUT"
    FUTURE = "FUTURE"

    @property
    def is_option(self) -> bool:
        """A call or a put."""
        return self in {Instrument.CALL, Instrument.PUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicy:
    """Exits of one trade: fractions of the entry price unless ATR; holds in sessions.

    Either `stop_frac` or `stop_atr` is set for an entry; `None` elsewhere means no such exit, and
    `max_hold_days` 0 is no limit too. `target_risk` is a target in multiples of the distance from
    entry to stop; `atr_floor_frac` a lower bound of the ATR as a fraction of the entry price.
    `same_session` positions never stay overnight; `max_hold_s` and `cooldown_s` hold beside the
    limits in sessions. Source: strategies specification, section 2.2.
    """

    stop_frac: float | None = 0.08
    stop_atr: float | None = None
    target_frac: float | None = 0.15
    target_atr: float | None = None
    trail_frac: float | None = None
    trail_atr: float | None = None
    activation_frac: float = 0.0
    max_hold_days: int | None = 20
    min_hold_days: int = 1
    cooldown_days: int = 1
    partials: tuple[tuple[float, float], ...] = ()
    breakeven_after_partial: bool = True
    target_risk: float | None = None
    atr_floor_frac: float | None = None
    same_session: bool = False
    max_hold_s: int | None = None
    cooldown_s: int | None = None


_OPTIONAL = {
    "target_risk": None,
    "atr_floor_frac": None,
    "same_session": False,
    "max_hold_s": None,
    "cooldown_s": None,
}


def policy_values(policy: ExitPolicy) -> dict[str, Any]:
    """Fields of a policy by name, as JSON values.

    The fields of intraday policies appear only where they are set, so that digests and stored
    signals of policies without them do not depend on their existence.
    """
    unset = {name for name, default in _OPTIONAL.items() if getattr(policy, name) is default}
    return {name: value for name, value in asdict(policy).items() if name not in unset}


def policy_of(values: dict[str, Any]) -> ExitPolicy:
    """The policy of `policy_values`, also after JSON made lists of its tuples."""
    partials = tuple((gain, part) for gain, part in values.get("partials", ()))
    return ExitPolicy(**{**values, "partials": partials})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a strategy decided for one symbol; the id holds no price, time or parameter.

    Prices are USD as traded; fractions are decimals. `qty` 0 means: risk sizes it.
    Source: strategies specification, section 1.
    """

    signal_id: str
    kind: SignalKind
    direction: Direction
    strategy_id: str
    strategy_type: str
    strategy_version: int
    params_digest: str
    set_digest: str | None
    source: str
    symbol: str
    asof: date
    bar_key: str
    decided_at: datetime
    provisional: bool
    instrument: Instrument
    confidence: float
    confidence_kind: str
    strength: float
    horizon_days: int
    expires_at: datetime
    reason: str
    ref_price_usd: float
    entry_order: str
    exits: ExitPolicy
    limit_price_usd: float | None = None
    stop_price_usd: float | None = None
    qty: int = 0
    evidence: dict[str, float] = field(default_factory=dict)


def signal_id(
    *,
    kind: SignalKind,
    strategy_id: str,
    symbol: str,
    direction: Direction,
    bar_key: str,
    instrument: Instrument = Instrument.STOCK,
) -> str:
    """Identity of a decision: no price, confidence, time or parameter is in it.

    Source: strategies specification, section 1.
    """
    parts = ("bft.signal.v1", kind, strategy_id, symbol, direction, instrument, bar_key)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def bar_end(bar_key: str) -> datetime | None:
    """End of the bar that an intraday signal was decided on; None where the key is a session.

    Source: strategies specification, section 1 (`YYYYMMDDTHHMMZ`).
    """
    try:
        return datetime.strptime(bar_key, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None


SIGNALS = Table(
    name="signals",
    key=("asof", "slot", "signal_id"),
    columns=(
        ("asof", "d"),
        ("slot", "s"),
        ("signal_id", "s"),
        ("kind", "s"),
        ("direction", "s"),
        ("strategy_id", "s"),
        ("strategy_type", "s"),
        ("strategy_version", "i4"),
        ("params_digest", "s"),
        ("set_digest", "s"),
        ("source", "s"),
        ("symbol", "s"),
        ("bar_key", "s"),
        ("decided_at", "ts"),
        ("provisional", "b"),
        ("instrument", "s"),
        ("confidence", "f8"),
        ("confidence_kind", "s"),
        ("strength", "f8"),
        ("horizon_days", "i4"),
        ("expires_at", "ts"),
        ("reason", "s"),
        ("evidence", "s"),
        ("ref_price_usd", "f8"),
        ("entry_order", "s"),
        ("limit_price_usd", "f8"),
        ("stop_price_usd", "f8"),
        ("exits", "s"),
        ("qty", "i8"),
        ("tag", "s"),
        ("tag_reason", "s"),
        ("simulated", "b"),
    ),
    partition="asof",
)
"""A partition is one (asof, slot), the slot being `close` or the HHMM of an intraday scan.

`evidence` and `exits` are canonical JSON; tag is execute, watch, merged, conflict, or drop: an
entry that still waits for its fill is to be taken back."""

PICKS = Table(
    name="picks",
    key=("asof", "symbol"),
    columns=(
        ("asof", "d"),
        ("symbol", "s"),
        ("rank", "i4"),
        ("tag", "s"),
        ("tag_reason", "s"),
        ("score", "f8"),
        ("direction", "s"),
        ("strategy_id", "s"),
        ("signal_id", "s"),
        ("price_usd", "f8"),
        ("rsi_14", "f8"),
        ("adx_14", "f8"),
        ("beta", "f8"),
        ("sector", "s"),
        ("sector_etf", "s"),
        ("confidence", "f8"),
        ("strength", "f8"),
        ("edge", "f8"),
        ("atr_14_usd", "f8"),
        ("atr_frac", "f8"),
        ("stop_usd", "f8"),
        ("target_usd", "f8"),
        ("qty", "i8"),
        ("notional_usd", "f8"),
        ("risk_usd", "f8"),
        ("adv_20_usd", "f8"),
        ("sharpe_252", "f8"),
        ("agreeing", "i4"),
        ("on_watchlist", "b"),
        ("is_etf", "b"),
        ("ret_5d_frac", "f8"),
        ("ret_20d_frac", "f8"),
        ("expected_return_3d", "f8"),
        ("expected_return_10d", "f8"),
        ("expected_return_30d", "f8"),
        ("simulated", "b"),
    ),
    partition="asof",
)
