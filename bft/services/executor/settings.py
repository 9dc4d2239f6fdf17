"""What settings say of an executor: its profile, its route, what it must not be started with.

Source: executor specification, sections 1, 1.3 and 8.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bft.domain.errors import ConfigError
from bft.risk.overrides import configured, overridden, tightest
from bft.risk.profiles import Profile, profile_named
from bft.services.executor.live_lock import Route
from bft.settings import Settings
from bft.wiring.brokers import IB_LIVE_PORT, IB_PAPER_PORT, check_broker


def profile_of(values: Settings) -> Profile:
    """The profile, made tighter by other profiles and by what settings say.

    Raises:
        ConfigError: a name, zone, window or number that is none.
        RefusedError: looser than the profile in live.
    """
    names = [name.strip() for name in values.profile.split(",") if name.strip()]
    profile = tightest([profile_named(name) for name in names])
    contracts = _whole("MAX_CONTRACTS", values.max_contracts)
    profile = configured(profile, timezone=zone_of(values), max_contracts=contracts)
    changes: dict[str, object] = {}
    if values.max_trades_per_day:
        changes["max_trades_per_day"] = _whole("MAX_TRADES_PER_DAY", values.max_trades_per_day)
    if values.daily_loss_cap_usd:
        changes["daily_loss_cap_usd"] = values.daily_loss_cap_usd
    if values.session_windows:
        changes["session_windows"] = values.session_windows
    return overridden(profile, changes, live=values.trading_mode == "live")


def zone_of(values: Settings) -> str | None:
    """Time zone of the profile's hours; the system's own form of TZ (`:/etc/localtime`) is none."""
    named = values.timezone
    return named if named and not named.startswith(":") else None


def route_of(values: Settings, *, clock: str) -> Route:
    """Where orders would go.

    Raises:
        ConfigError: no such broker, no account, or another clock than the system's in live.
    """
    check_broker(values.broker)
    if values.trading_mode == "live" and clock != "system":
        raise ConfigError(f"--clock {clock}: live trades by the system clock alone")
    port = None
    if values.broker == "ib":
        usual = IB_LIVE_PORT if values.trading_mode == "live" else IB_PAPER_PORT
        port = values.ib_port or usual
    account = values.account or ("PAPER" if values.broker == "paper" else "")
    if not account:
        raise ConfigError("BFT_ACCOUNT is not set; name the one account to trade")
    return Route(
        mode=values.trading_mode,
        account=account,
        broker=values.broker,
        profile=values.profile,
        lock_file=Path(values.live_lock_file) if values.live_lock_file else None,
        port=port,
        other_port=values.ib_port_other,
        clock=clock,
    )


def folder_of(values: Settings, root: str) -> Path:
    """Where the executor keeps its files.

    Raises:
        ConfigError: the root is a bucket and no folder is named.
    """
    if values.state_dir:
        return Path(values.state_dir)
    if "://" in root:
        raise ConfigError("BFT_STATE_DIR: name a folder for the executor's files; the root is none")
    return Path(root)


def check_bind(values: Settings, *, host: str, tls: bool) -> None:
    """Refuse to show tokens in clear text to a network.

    Raises:
        ConfigError: a bind beyond loopback without TLS, unless it is allowed.
    """
    if tls or values.api_allow_plaintext or _loopback(host):
        return
    raise ConfigError(
        f"--host {host} without TLS shows tokens to the network; give --tls-cert and --tls-key, or "
        "set BFT_API_ALLOW_PLAINTEXT=1 behind a proxy that encrypts"
    )


def check_files(cert: str | None, key: str | None, client_ca: str | None) -> None:
    """Refuse half of a TLS setup.

    Raises:
        ConfigError: a certificate without its key, an authority without TLS, a file that is absent.
    """
    if bool(cert) != bool(key) or (client_ca and not cert):
        raise ConfigError("TLS needs --tls-cert and --tls-key; --client-ca needs both")
    for path in (cert, key, client_ca):
        if path and not Path(path).is_file():
            raise ConfigError(f"TLS: there is no file {path}")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _whole(name: str, text: Any) -> int | None:
    if not text:
        return None
    try:
        found = int(text)
    except ValueError:
        found = -1
    if found < 0:
        raise ConfigError(f"{name}={text!r}: a whole number, 0 or more")
    return found
