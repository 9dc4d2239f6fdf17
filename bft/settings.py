"""Settings: one frozen value, read once from the environment; the only reader of it.

Each field is set by `BFT_` and its name in capitals; a secret by a file named in `..._FILE`, or
directly. Unknown `BFT_` names are refused, with the nearest known one. A few also have a name from
before bft, whose empty value counts as absent.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bft.domain.errors import ConfigError
from bft.domain.masking import passwords

_PASSED_ALONG = {
    "BFT_OUTPUTS_DIR",
    "BFT_PROGRESS_FD",
    "BFT_PARENT_FD",
    "BFT_RUN_ID",
    "BFT_NODE",
    "BFT_ATTEMPT",
    "BFT_RETRY_WAIT_S",
    "BFT_ARGO_BIN",
    "BFT_REQUIRE",
}
"""Set by a runner for its children (or by a person for the tests); not settings."""


_SECRET_BYTES = 32
_EXAMPLES = ("change", "example", "secret", "password", "your-", "insert")


class Secret(str):
    """A string that prints as stars, however it is printed; `str.__str__(secret)` is the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"

    def __str__(self) -> str:
        return "***" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def _older(
    name: str,
    *,
    default: Any = "",
    bounds: tuple[int, int] | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field that a name from before bft still sets."""
    about: dict[str, Any] = {"older": name}
    about |= {"range": bounds} if bounds else {}
    about |= {"choices": choices} if choices else {}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default; ranges are checked when read."""

    root: str = "./data"
    source: str = ""
    state_url: Secret = field(default=Secret(""))  # empty: SQLite in the root
    tracker_url: Secret = field(default=Secret(""))  # empty: SQLite in the root
    log_level: str = field(
        default="info", metadata={"choices": ("debug", "info", "warning", "error", "critical")}
    )
    log_format: str = field(  # auto: text on a terminal
        default="auto", metadata={"choices": ("auto", "json", "text")}
    )
    # Alpha Vantage (data specification, section 1)
    alphavantage_api_key: Secret = field(default=Secret(""))
    av_url: str = field(default="https://www.alphavantage.co/query", metadata={"kind": "address"})
    av_calls_per_minute: int = field(default=140, metadata={"range": (1, 1200)})
    av_calls_per_day: int = field(default=0, metadata={"range": (0, 10_000_000)})
    av_in_flight: int = field(default=8, metadata={"range": (1, 8)})
    sim_url: str = field(default="http://127.0.0.1:9100", metadata={"kind": "address"})
    mysql_password: Secret = field(default=Secret(""))
    history_start: str = field(default="2016-01-01", metadata={"kind": "day"})
    # S3
    s3_endpoint: str = field(default="", metadata={"kind": "address"})
    s3_region: str = "us-east-1"
    # strategies: names with commas, or core
    strategies: str = "core"
    # reports
    # -1: all, of simulated prices 8; 0: all
    screen_max_charts: int = field(default=-1, metadata={"range": (-1, 10_000)})
    ollama_url: str = field(default="", metadata={"kind": "address"})
    ollama_model: str = "llama3.1:8b"
    ollama_symbols: int = field(default=60, metadata={"range": (0, 10_000)})  # a night
    # workflows
    workflows_dir: str = ""  # empty: workflows/rendered of the checkout
    # training
    profiles_dir: str = ""  # empty: mlflow/profiles of the checkout
    gates_dir: str = ""
    compute_cpus: int = field(default=0, metadata={"range": (0, 4096)})  # 0: all cores
    # orders (executor specification, sections 1, 7 and 8)
    state_dir: str = ""  # of the executor's files; empty: the root, where that is a folder
    trading_mode: str = field(default="paper", metadata={"choices": ("paper", "live")})
    live_lock_file: str = ""
    broker: str = _older("BROKER", default="paper")  # paper, ib or alpaca
    profile: str = "equities"
    account: str = _older("IBKR_ACCOUNT")
    restricted: str = ""  # symbols that may not be opened, with commas
    timezone: str = _older("TZ")  # of a profile's hours; empty: the profile's own
    session_windows: str = _older("SESSION_WINDOWS")
    max_trades_per_day: str = _older("MAX_TRADES_PER_DAY")
    daily_loss_cap_usd: str = _older("DAILY_LOSS_CAP_USD")
    max_contracts: str = _older("MAX_CONTRACTS")
    kill_config_map: str = ""  # folder where the ConfigMap bft-kill is mounted
    environment: str = "local"  # as metrics and health name it
    # Interactive Brokers
    ib_host: str = _older("IBKR_HOST", default="127.0.0.1")
    ib_port: int = _older("IBKR_PORT", default=0, bounds=(0, 65_535))  # 0: 4002, in live 4001
    ib_client_id: int = _older("IBKR_CLIENT_ID", default=10, bounds=(0, 999))
    ib_port_other: bool = False  # paper may use a port that is neither 4002 nor 7497
    gateway_restart_at: str = "23:45"  # New York
    gateway_login_at: str = "Sun 13:00"
    # paper
    paper_prices: str = "tick"  # tick, files:FILE.csv or market-sim[:URL]
    paper_cash_usd: int = field(default=100_000, metadata={"range": (1, 1_000_000_000)})
    paper_seed: int = field(default=0, metadata={"range": (0, 2**32 - 1)})
    paper_fees: str = "ib_fixed"  # or percent
    paper_latency_ms: str = "100-500"
    # Alpaca (its paper account only)
    alpaca_key_id: Secret = field(default=Secret(""))
    alpaca_secret: Secret = field(default=Secret(""))
    alpaca_url: str = field(
        default="https://paper-api.alpaca.markets", metadata={"kind": "address"}
    )
    # the executor's API
    api_url: str = field(default="http://127.0.0.1:9001", metadata={"kind": "address"})
    token_file: str = ""  # what command lines show to the API
    api_ca_file: str = ""  # who signed the API's certificate; empty: the system's authorities
    api_cert_file: str = ""  # certificate that command lines show, where --client-ca asks for one
    api_key_file: str = ""  # its key
    api_allow_plaintext: bool = False
    api_open_reads: bool = False
    jwt_secret: Secret = field(default=Secret(""), metadata={"older": "JWT_SECRET"})
    jwt_algorithm: str = _older("JWT_ALGORITHM", default="hs256", choices=("hs256",))
    jwt_issuer: str = _older("JWT_ISSUER", default="bft-executor", choices=("bft-executor",))
    jwt_audience: str = _older("JWT_AUDIENCE", default="bft-executor", choices=("bft-executor",))
    jwt_expire_minutes: int = _older("JWT_EXPIRE_MINUTES", default=30, bounds=(1, 1440))
    telegram_secret: Secret = field(default=Secret(""))
    telegram_users: str = ""  # user ids with commas; nobody else may trade
    # SMTP
    smtp_url: Secret = field(default=Secret(""))  # smtp://user:password@host:587
    notify_to: str = ""

    @property
    def usual_source(self) -> str:
        """Source of a root that remembers none: BFT_SOURCE, else what there is a key for."""
        return self.source or ("alphavantage" if self.alphavantage_api_key else "")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Raises:
        ConfigError: an unknown BFT_ name, a value of another type or outside its range, or two
            names of one setting that disagree.
    """
    env = os.environ if environment is None else environment
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    for variable, name in origins(env).items():
        told = env[variable]
        text = told if _names().get(variable) == name else _secret_file(variable, told)
        if name in values and values[name] != text:
            raise ConfigError(f"{variable} disagrees with {_variable(name)}; set only the latter")
        values[name] = text
    checked = {name: _value(name, text, known[name]) for name, text in values.items()}
    return Settings(**checked)


def token_secrets(values: Settings) -> tuple[str, ...]:
    """Secrets of the API's tokens: the current one, then the previous one, if there is one.

    Raises:
        ConfigError: absent, shorter than 32 bytes, a shipped example, or more than two lines.
    """
    text = str.__str__(values.jwt_secret)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    hint = "write 32 random bytes to a file, for example: openssl rand -hex 32"
    if not lines:
        raise ConfigError(f"no secret for tokens; set BFT_JWT_SECRET_FILE or JWT_SECRET; {hint}")
    if len(lines) > 2:
        raise ConfigError("BFT_JWT_SECRET_FILE: two lines at most, current and previous secret")
    for line in lines:
        if len(line.encode()) < _SECRET_BYTES:
            raise ConfigError(f"the secret for tokens: at least {_SECRET_BYTES} bytes; {hint}")
        if line.lower().startswith(_EXAMPLES) or len(set(line)) < 8:
            raise ConfigError(f"the secret for tokens is an example; {hint}")
    return tuple(lines)


def origins(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Which variables are set, and the setting that each gives; nothing of their values.

    Raises:
        ConfigError: an unknown BFT_ name.
    """
    env = os.environ if environment is None else environment
    names, found = _names(), {}
    secrets = {f.name for f in fields(Settings) if f.type is Secret}
    for variable in sorted(env):
        base = variable.removesuffix("_FILE")
        if variable in names:
            if env[variable] or variable.startswith("BFT_"):
                found[variable] = names[variable]
        elif base in names and names[base] in secrets:
            found[variable] = names[base]
        elif variable.startswith("BFT_") and variable not in _PASSED_ALONG:
            near = get_close_matches(variable, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"unknown setting {variable}{hint}")
    return found


def _names() -> dict[str, str]:
    """Every variable that sets something, and what it sets."""
    own = {_variable(f.name): f.name for f in fields(Settings)}
    older = {f.metadata["older"]: f.name for f in fields(Settings) if "older" in f.metadata}
    return own | older


def _variable(name: str) -> str:
    return "ALPHAVANTAGE_API_KEY" if name == "alphavantage_api_key" else f"BFT_{name.upper()}"


def _secret_file(variable: str, path: str) -> str:
    if not path:
        raise ConfigError(f"{variable} is empty: name the file that holds the secret, or unset it")
    if Path(path).is_dir():
        raise ConfigError(f"{variable}={path}: that is a folder; name the file in it")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{variable}={path}: {error.strerror}") from error


def _value(name: str, text: str, spec: Any) -> Any:
    choices = spec.metadata.get("choices")
    if choices and text.lower() not in choices:
        raise ConfigError(f"{_variable(name)}={text!r}: one of {', '.join(choices)}")
    if spec.metadata.get("kind") == "day":
        return _day(name, text, spec.default)
    if spec.metadata.get("kind") == "address" and passwords(text):
        raise ConfigError(f"{_variable(name)}: an address without a password; it is written down")
    if spec.type is bool:
        return _flag(name, text)
    if spec.type is not int:
        return text.lower() if choices else spec.type(text)
    low, high = spec.metadata["range"]
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        example = f"{_variable(name)}={spec.default}"
        raise ConfigError(f"{_variable(name)}={text!r}: a whole number {low}..{high}, as {example}")
    return number


def _flag(name: str, text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    if text.lower() not in words:
        raise ConfigError(f"{_variable(name)}={text!r}: 1 or 0")
    return words[text.lower()]


def _day(name: str, text: str, default: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        example = f"{_variable(name)}={default}"
        raise ConfigError(f"{_variable(name)}={text!r}: an ISO date, as {example}") from None
