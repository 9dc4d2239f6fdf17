"""Profiles: the limits an account trades under, as data.

Source: executor specification, section 4 (table of limits), section 16 (`bench`).
"""

import difflib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from bft.domain.errors import ConfigError
from bft.domain.ticks import COLLAR_FRAC
from bft.domain.trading import Instrument
from bft.risk.windows import EntryTimes, Hours, parse_windows

D = Decimal
MANY, ALL, NOTHING = 1_000_000, D(1_000_000_000), D(0)
MODEL_SCORE = D("0.55")
SESSION = EntryTimes()
DAY_TRADE, SWING_TRADE, CLOSE = "day_trade", "swing_trade", "close"


class Entry(StrEnum):
    """Price of an entry that names none: the collar around its reference, as given, the mid."""

    COLLAR = "collar"
    AS_GIVEN = "as_given"
    MID = "mid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Losing trades in a row that shrink sizes to 3/4 and 1/2, and that halt; None: never."""

    three_quarters: int | None = None
    half: int | None = None
    halt: int | None = None

    def factor(self, losses: int) -> Decimal:
        """What sizes are multiplied by."""
        if self.half is not None and losses >= self.half:
            return D("0.5")
        if self.three_quarters is not None and losses >= self.three_quarters:
            return D("0.75")
        return D(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Limits of an account; fractions of the capital base, None where a limit is not set.

    Ages and lifetimes in seconds (lifetime None: the session). `cooldown_s` None: as the exit
    policy says. `position_frac_by_type` replaces `position_frac` for a strategy type; volumes are
    shares or contracts a day. `roots` are futures admitted. `what_if` None: on in live. An
    entry that rests for `reprice_after_s` moves once, to the mid + `reprice_spread_frac` x spread.
    """

    name: str
    modes: tuple[str, ...] = ("paper", "live")
    simulated_only: bool = False
    instruments: tuple[Instrument, ...] = (Instrument.STOCK,)
    roots: tuple[str, ...] = ()
    min_price_usd: Decimal | None = None
    max_price_usd: Decimal | None = None
    times: EntryTimes = SESSION
    timezone: str = "America/New_York"
    hours: tuple[Hours, ...] = ()
    no_trade: tuple[Hours, ...] = ()
    ignore_session: bool = False
    base_cap_usd: Decimal | None = None
    risk_frac: Decimal | None = None
    risk_usd: Decimal | None = None
    open_risk_frac: Decimal | None = None
    open_risk_usd: Decimal | None = None
    position_frac: Decimal | None = None
    position_frac_by_type: tuple[tuple[str, Decimal], ...] = ()
    position_cap_usd: Decimal | None = None
    max_units: int
    max_positions: int
    max_entries_per_day: int
    max_orders_per_day: int | None = None
    max_entries_per_symbol: int
    daily_loss_cap_usd: Decimal
    daily_loss_frac: Decimal
    drawdown_frac: Decimal
    flatten_loss_frac: Decimal
    streak: Streak
    symbol_frac: Decimal | None = None
    sector_frac: Decimal | None = None
    gross_frac: Decimal | None = None
    opening_per_day_frac: Decimal | None = None
    min_order_usd: Decimal = NOTHING
    collar_frac: Decimal
    max_spread_frac: Decimal | None = None
    max_spread_ticks: int | None = None
    max_quote_age_s: int
    min_adv_20: Decimal | None = None
    participation_frac: Decimal | None = None
    min_option_volume: int | None = None
    min_option_volume_day_trade: int | None = None
    min_open_interest: int | None = None
    min_confidence: Decimal | None = None
    require_model_gate: bool = False
    min_model_score: Decimal = MODEL_SCORE
    cooldown_s: int | None = None
    short_allowed: bool = False
    entry: Entry = Entry.COLLAR
    lifetime_s: int | None = None
    reprice_after_s: int | None = None
    reprice_spread_frac: Decimal | None = None
    max_orders_1s: int = 10
    max_orders_60s: int = 60
    writes_per_s: int = 50
    what_if: bool | None = None

    def position_frac_for(self, strategy_type: str) -> Decimal | None:
        """Cap of one position for a strategy type."""
        return dict(self.position_frac_by_type).get(strategy_type, self.position_frac)

    def shares(self, names: str) -> bool:
        """Whether one of the profiles `a+b` is one of those this profile was made of.

        A halt of one of them, or of a combination with it, is in force: the next start may combine
        others (executor specification, section 12, F19).
        """
        return not set(self.name.split("+")).isdisjoint(names.split("+"))


EQUITIES = Profile(
    name="equities",
    risk_frac=D("0.005"),
    open_risk_frac=D("0.10"),
    position_frac=D("0.05"),
    position_cap_usd=D(50_000),
    max_units=10_000,
    max_positions=10,
    max_entries_per_day=5,
    max_orders_per_day=20,
    max_entries_per_symbol=2,
    daily_loss_cap_usd=D(5_000),
    daily_loss_frac=D("0.02"),
    drawdown_frac=D("0.10"),
    flatten_loss_frac=D("0.05"),
    streak=Streak(three_quarters=3, half=5, halt=10),
    symbol_frac=D("0.05"),
    sector_frac=D("0.30"),
    gross_frac=D("1.00"),
    opening_per_day_frac=D("1.00"),
    min_order_usd=D(100),
    collar_frac=COLLAR_FRAC,
    max_spread_frac=D("0.01"),
    max_quote_age_s=5,
    min_adv_20=D(500_000),
    participation_frac=D("0.01"),
    min_confidence=D("0.60"),
)

PAPER_SMALL = replace(
    EQUITIES,
    name="paper-small",
    modes=("paper",),
    min_price_usd=D(5),
    max_price_usd=D(200),
    base_cap_usd=D(10_000),
    open_risk_frac=D("0.05"),
    position_frac=D("0.10"),
    position_cap_usd=D(1_000),
    max_units=100,
    max_positions=5,
    max_entries_per_day=3,
    max_orders_per_day=10,
    max_entries_per_symbol=1,
    daily_loss_cap_usd=D(200),
    daily_loss_frac=D("0.01"),
    flatten_loss_frac=D("0.03"),
    streak=Streak(three_quarters=3, half=5, halt=6),
    symbol_frac=D("0.10"),
    sector_frac=D("0.40"),
    gross_frac=D("0.50"),
    opening_per_day_frac=D("0.50"),
    min_order_usd=D(20),
    max_spread_frac=D("0.005"),
)

FUTURES_NQ = Profile(
    name="futures_nq",
    instruments=(Instrument.FUTURE,),
    roots=("NQ", "MNQ"),
    times=EntryTimes(before_open_min=None, after_open_min=None, before_close_min=0),
    timezone="America/Phoenix",
    hours=(Hours(timezone="America/Phoenix", windows=parse_windows("06:30-08:00,08:30-10:00")),),
    risk_usd=D(300),
    open_risk_usd=D(300),
    max_units=5,
    max_positions=2,
    max_entries_per_day=5,
    max_entries_per_symbol=5,
    daily_loss_cap_usd=D(300),
    daily_loss_frac=D("0.02"),
    drawdown_frac=D("0.10"),
    flatten_loss_frac=D("0.05"),
    streak=Streak(halt=3),
    collar_frac=D("0.005"),
    max_spread_ticks=4,
    max_quote_age_s=2,
    cooldown_s=300,
    short_allowed=True,
    entry=Entry.AS_GIVEN,
    lifetime_s=60,
)

OPTIONS = Profile(
    name="options",
    instruments=(Instrument.CALL, Instrument.PUT),
    times=EntryTimes(before_open_min=None, day_trade_before_close_min=30),
    risk_frac=D("0.02"),
    open_risk_frac=D("0.10"),
    position_frac=D("0.02"),
    position_frac_by_type=((DAY_TRADE, D("0.03")), (SWING_TRADE, D("0.10"))),
    position_cap_usd=D(5_000),
    max_units=20,
    max_positions=5,
    max_entries_per_day=10,
    max_entries_per_symbol=2,
    daily_loss_cap_usd=D(500),
    daily_loss_frac=D("0.02"),
    drawdown_frac=D("0.10"),
    flatten_loss_frac=D("0.05"),
    streak=Streak(three_quarters=3, half=5, halt=10),
    symbol_frac=D("0.10"),
    sector_frac=D("0.30"),
    gross_frac=D("0.25"),
    opening_per_day_frac=D("0.50"),
    min_order_usd=D(30),
    collar_frac=D("0.10"),
    max_spread_frac=D("0.10"),
    max_quote_age_s=120,
    min_option_volume=10,
    min_option_volume_day_trade=100,
    min_open_interest=100,
    min_confidence=D("0.70"),
    entry=Entry.MID,
    lifetime_s=120,
    reprice_after_s=60,
    reprice_spread_frac=D("0.15"),
)

BENCH = replace(
    EQUITIES,
    name="bench",
    modes=("paper",),
    simulated_only=True,
    max_entries_per_symbol=MANY,
    max_orders_1s=MANY,
    max_orders_60s=MANY,
    max_entries_per_day=MANY,
    max_orders_per_day=MANY,
    max_positions=MANY,
    position_cap_usd=ALL,
    max_units=MANY,
    position_frac=D(MANY),
    opening_per_day_frac=D(MANY),
    symbol_frac=D(MANY),
    sector_frac=D(MANY),
    gross_frac=D(MANY),
    open_risk_frac=D(MANY),
    writes_per_s=MANY,
)

PROFILES = {p.name: p for p in (EQUITIES, PAPER_SMALL, FUTURES_NQ, OPTIONS, BENCH)}


def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        ConfigError: there is none; suggests the nearest.
    """
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, n=1) or [", ".join(PROFILES)]
        raise ConfigError(f"profile {name!r} is unknown; did you mean {near[0]}?")
    return PROFILES[name]
