"""Settings: one frozen value, read once from the environment; the only reader of it.

Each field is set by `BFT_` and its name in capitals; a secret by a file named in `..._FILE`, or
directly. Unknown `BFT_` names are refused, with the nearest known one.
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


class Secret(str):
    """A string that prints as stars, however it is printed; `str.__str__(secret)` is the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"

    def __str__(self) -> str:
        return "***" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


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
    screen_max_charts: int = field(default=0, metadata={"range": (0, 10_000)})
    ollama_url: str = field(default="", metadata={"kind": "address"})
    ollama_model: str = "llama3.1:8b"
    ollama_symbols: int = field(default=60, metadata={"range": (0, 10_000)})  # a night
    # workflows
    workflows_dir: str = ""  # empty: workflows/rendered of the checkout
    # training
    profiles_dir: str = ""  # empty: mlflow/profiles of the checkout
    gates_dir: str = ""
    compute_cpus: int = field(default=0, metadata={"range": (0, 4096)})  # 0: all cores
    # money
    mode: str = field(default="paper", metadata={"choices": ("paper", "live")})
    # SMTP
    smtp_url: Secret = field(default=Secret(""))  # smtp://user:password@host:587
    notify_to: str = ""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Raises:
        ConfigError: an unknown BFT_ name, a value of another type or outside its range.
    """
    env = os.environ if environment is None else environment
    known = {f.name: f for f in fields(Settings)}
    names = {_variable(name): name for name in known}
    values: dict[str, Any] = {}
    for variable in sorted(env):
        base = variable.removesuffix("_FILE")
        if variable in names:
            values[names[variable]] = env[variable]
        elif base in names and known[names[base]].type is Secret:
            values[names[base]] = _secret_file(variable, env[variable])
        elif variable.startswith("BFT_") and variable not in _PASSED_ALONG:
            near = get_close_matches(variable, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"unknown setting {variable}{hint}")
    checked = {name: _value(name, text, known[name]) for name, text in values.items()}
    return Settings(**checked)


def _variable(name: str) -> str:
    return "ALPHAVANTAGE_API_KEY" if name == "alphavantage_api_key" else f"BFT_{name.upper()}"


def _secret_file(variable: str, path: str) -> str:
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


def _day(name: str, text: str, default: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        example = f"{_variable(name)}={default}"
        raise ConfigError(f"{_variable(name)}={text!r}: an ISO date, as {example}") from None
