"""Profiles made tighter: several at once, and by what a person sets at run time.

Source: executor specification, section 4 ("of several profiles the minimum"; runtime overrides).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

from bft.domain.errors import ConfigError, RefusedError
from bft.domain.trading import Instrument
from bft.risk.profiles import Profile, Streak
from bft.risk.windows import EntryTimes, Hours, parse_windows, zone

OVERRIDES = (
    "max_trades_per_day",
    "daily_loss_cap_usd",
    "session_windows",
    "ignore_session",
    "require_model_gate",
    "model_threshold",
)
_HIGHER = frozenset(
    {
        "min_price_usd",
        "min_order_usd",
        "min_adv_20",
        "min_option_volume",
        "min_option_volume_day_trade",
        "min_open_interest",
        "min_confidence",
        "min_model_score",
        "cooldown_s",
    }
)


def tightest(profiles: Sequence[Profile]) -> Profile:
    """One profile that admits what each of `profiles` admits, named `a+b`.

    Raises:
        ConfigError: none given, or no mode or instrument is left.
    """
    if not profiles:
        raise ConfigError("no profile given; use --profile NAME, such as equities")
    both = reduce(_tighter, profiles)
    if not both.modes or not both.instruments:
        raise ConfigError(f"profiles {both.name} share no mode or instrument; give fewer")
    return both


def configured(
    profile: Profile, *, timezone: str | None = None, max_contracts: int | None = None
) -> Profile:
    """The profile with what settings say: its hours in another zone, a lower cap on contracts.

    `max_contracts` binds options and futures, and only downwards.

    Raises:
        ConfigError: no such zone, or a cap below 1.
    """
    if max_contracts is not None and max_contracts < 1:
        raise ConfigError(f"MAX_CONTRACTS {max_contracts}: give 1 or more")
    if max_contracts is not None and Instrument.STOCK not in profile.instruments:
        profile = replace(profile, max_units=min(profile.max_units, max_contracts))
    if timezone is None:
        return profile
    zone(timezone)
    hours = tuple(
        replace(h, timezone=timezone) if h.timezone == profile.timezone else h
        for h in profile.hours
    )
    return replace(profile, timezone=timezone, hours=hours)


def overridden(profile: Profile, overrides: Mapping[str, object], *, live: bool) -> Profile:
    """The profile with what a person set at run time; in live it only becomes tighter.

    `session_windows` are read in the profile's time zone and take the place of its hours; windows
    around the session bind besides.

    Raises:
        ConfigError: unknown name or unusable value.
        RefusedError: looser in live; names the override, its value and the limit.
    """
    for name, value in overrides.items():
        if name not in OVERRIDES:
            raise ConfigError(f"override {name!r} is unknown; use {', '.join(OVERRIDES)}")
        profile = _APPLY[name](profile, value, live)
    return profile


def tightened(
    profile: Profile, overrides: Mapping[str, object], *, live: bool
) -> tuple[Profile, Mapping[str, str]]:
    """`overridden` for what was set under other settings: the tighter of both holds.

    Also tells, by override, why one that is looser than the profile does not hold in live; of
    session windows the minutes within both remain.

    Raises:
        ConfigError: unknown name or unusable value.
    """
    looser: dict[str, str] = {}
    for name, value in overrides.items():
        try:
            profile = overridden(profile, {name: value}, live=live)
        except RefusedError as error:
            looser[name] = str(error)
            if name == "session_windows":
                profile = replace(profile, hours=(*profile.hours, _hours(profile, value)))
    return profile, looser


def _hours(profile: Profile, value: object) -> Hours:
    return Hours(timezone=profile.timezone, windows=parse_windows(value))


def _trades(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"max_trades_per_day {value!r}: give a whole number, 0 or more")
    if live and value > profile.max_entries_per_day:
        raise _looser("max_trades_per_day", value, profile.max_entries_per_day)
    return replace(profile, max_entries_per_day=value)


def _loss_cap(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    try:
        cap_usd = Decimal(str(value))
    except InvalidOperation:
        cap_usd = Decimal(0)
    if isinstance(value, bool) or not cap_usd.is_finite() or cap_usd <= 0:
        raise ConfigError(f"daily_loss_cap_usd {value!r}: give a number of dollars above 0")
    if live and cap_usd > profile.daily_loss_cap_usd:
        raise _looser("daily_loss_cap_usd", value, profile.daily_loss_cap_usd)
    return replace(profile, daily_loss_cap_usd=cap_usd)


def _windows(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    hours = _hours(profile, value)
    if not live:
        return replace(profile, hours=(hours,))
    for bound in profile.hours:
        if bound.timezone == hours.timezone and not hours.minutes() <= bound.minutes():
            raise _looser("session_windows", value, f"the windows of {profile.name}")
    return replace(profile, hours=(*profile.hours, hours))


def _ignore_session(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    wanted = _flag("ignore_session", value)
    if live and wanted:
        raise RefusedError("ignore_session is refused in live; entries keep to their windows")
    return replace(profile, ignore_session=wanted)


def _model_gate(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    wanted = _flag("require_model_gate", value)
    if live and profile.require_model_gate and not wanted:
        raise _looser("require_model_gate", value, "on")
    return replace(profile, require_model_gate=wanted)


def _threshold(profile: Profile, value: object, live: bool) -> Profile:  # noqa: FBT001  table of functions
    try:
        least = Decimal(str(value))
    except InvalidOperation:
        least = Decimal(-1)
    if isinstance(value, bool) or not least.is_finite() or not 0 <= least <= 1:
        raise ConfigError(f"model_threshold {value!r}: give a score from 0 to 1")
    if live and least < profile.min_model_score:
        raise _looser("model_threshold", value, profile.min_model_score)
    return replace(profile, min_model_score=least)


_APPLY: Mapping[str, Callable[[Profile, object, bool], Profile]] = {
    "max_trades_per_day": _trades,
    "daily_loss_cap_usd": _loss_cap,
    "session_windows": _windows,
    "ignore_session": _ignore_session,
    "require_model_gate": _model_gate,
    "model_threshold": _threshold,
}


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} {value!r}: give true or false")
    return value


def _looser(name: str, value: object, limit: object) -> RefusedError:
    return RefusedError(f"{name} {value} is looser than {limit}; live may only tighten")


def _tighter(a: Profile, b: Profile) -> Profile:
    values = {
        f.name: _pick(f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(Profile)
    }
    types = [*dict(a.position_frac_by_type), *dict(b.position_frac_by_type)]
    by_type = {t: _least(a.position_frac_for(t), b.position_frac_for(t)) for t in types}
    values["position_frac_by_type"] = tuple(by_type.items())
    values["name"] = f"{a.name}+{b.name}"
    return Profile(**values)


def _pick(name: str, a: Any, b: Any) -> Any:
    if name in _RULES:
        return _RULES[name](a, b)
    return max(_known(a, b), default=None) if name in _HIGHER else _least(a, b)


def _first(a: Any, _: Any) -> Any:
    return a


def _either(a: bool, b: bool) -> bool:  # noqa: FBT001  table of functions
    return a or b


def _both(a: bool, b: bool) -> bool:  # noqa: FBT001  table of functions
    return a and b


def _shared(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(item for item in a if item in b)


def _roots(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return _shared(a, b) if a and b else a or b


def _joined(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*a, *(item for item in b if item not in a))


def _what_if(a: Any, b: Any) -> Any:
    return next((answer for answer in (True, None) if answer in (a, b)), False)


def _streak(a: Streak, b: Streak) -> Streak:
    return Streak(**{f.name: _least(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)})


def _times(a: EntryTimes, b: EntryTimes) -> EntryTimes:
    early = None in {a.before_open_min, b.before_open_min}
    return EntryTimes(
        before_open_min=None if early else _least(a.before_open_min, b.before_open_min),
        after_open_min=max(_known(a.after_open_min, b.after_open_min), default=None),
        before_close_min=max(a.before_close_min, b.before_close_min),
        day_trade_before_close_min=max(a.day_trade_before_close_min, b.day_trade_before_close_min),
    )


_RULES: Mapping[str, Callable[[Any, Any], Any]] = {
    "name": _first,
    "timezone": _first,
    "entry": _first,
    "position_frac_by_type": _first,
    "modes": _shared,
    "instruments": _shared,
    "roots": _roots,
    "hours": _joined,
    "no_trade": _joined,
    "simulated_only": _either,
    "require_model_gate": _either,
    "ignore_session": _both,
    "short_allowed": _both,
    "what_if": _what_if,
    "streak": _streak,
    "times": _times,
}


def _known(*values: Any) -> list[Any]:
    return [value for value in values if value is not None]


def _least(*values: Any) -> Any:
    return min(_known(*values), default=None)
