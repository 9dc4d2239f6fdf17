"""What a session with the gateway is made with, and which client ids may do what."""

from dataclasses import dataclass
from datetime import time

from bft.domain.errors import ConfigError

EXECUTOR_ID = 10
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
READ_ONLY_IDS = (range(20, 30), range(30, 35), range(40, 41), range(50, 51), range(90, 1000))
"""Data, recorder, backfill, scanner, ad hoc. Source: executor specification, section 7.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IbSettings:
    """Address, account and timetable of a session.

    `restart_at` is the gateway's nightly restart and `login_at` its weekly login (weekday, Monday
    0, and time), both New York; None: there is none. `data_type` is what quotes are asked for:
    1 live, 2 frozen, 3 delayed, 4 delayed-frozen.
    """

    host: str
    port: int
    account: str
    client_id: int = EXECUTOR_ID
    restart_at: time | None = time(23, 45)
    login_at: tuple[int, time] | None = (6, time(13, 0))
    data_type: int = 1


def check(settings: IbSettings) -> None:
    """Refuse what can never work.

    Raises:
        ConfigError: no account or host, a port or client id that cannot be.
    """
    if not settings.account:
        raise ConfigError("BFT_ACCOUNT is not set; name the one account to trade")
    if not settings.host or not 0 < settings.port < 65536:
        raise ConfigError(f"{settings.host or 'no host'}:{settings.port} is no gateway address")
    if settings.client_id != EXECUTOR_ID and range_of(settings.client_id) is None:
        raise ConfigError(
            f"client id {settings.client_id}: 10 trades; 20-29 data, 30-34 recorder, 40 backfill, "
            "50 scanner and 90 on ad hoc only read"
        )
    if settings.data_type not in {1, 2, 3, 4}:
        raise ConfigError(f"market data type {settings.data_type}: one of 1, 2, 3, 4")


def range_of(client_id: int) -> range | None:
    """The read-only ids a client id belongs to, or None."""
    return next((ids for ids in READ_ONLY_IDS if client_id in ids), None)


def next_id(client_id: int) -> int:
    """The id to try when one is in use: only readers change theirs, within their range."""
    ids = range_of(client_id)
    if ids is None:
        return client_id
    return ids[(client_id - ids.start + 1) % len(ids)]


def restart_of(text: str) -> time | None:
    """A time of day in New York, `HH:MM`; empty: there is no restart.

    Raises:
        ConfigError: no such time.
    """
    try:
        return time.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(f"BFT_GATEWAY_RESTART_AT={text}: HH:MM, such as 23:45") from error


def login_of(text: str) -> tuple[int, time] | None:
    """Weekday and time of `Sun 13:00`, New York; empty: there is no weekly login.

    Raises:
        ConfigError: no such moment.
    """
    if not text:
        return None
    day, _, clock = text.strip().partition(" ")
    try:
        return _DAYS.index(day[:3].lower()), time.fromisoformat(clock.strip())
    except ValueError as error:
        raise ConfigError(f"BFT_GATEWAY_LOGIN_AT={text}: a day and time, as Sun 13:00") from error
