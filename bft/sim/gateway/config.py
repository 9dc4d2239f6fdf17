"""What a gateway is made with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path

from bft.domain.errors import ConfigError
from bft.sim.gateway.exchange.books import Rules

Harness = Callable[[str, Mapping[str, object]], None]
"""Called with a fault word that a test harness carries out, and its parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """All of a gateway; port 0 picks a free one, and None as `state` keeps nothing.

    `prices` is walk, files:FOLDER, market-sim or control. `at` makes the clock virtual: it starts
    there and only `GatewaySim.advance` or the control port moves it. `script` is the text of a
    fault script. `reset_at` is New York time of the nightly reset (None: never), which is silent
    for `reset_s` and ends with `reset_ending`: close, 1101 or 1102. `messages_per_s` 0: no limit.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int | None = None
    accounts: tuple[str, ...] = ("DU0000001",)
    cash_usd: Decimal = Decimal(1_000_000)
    seed: int = 7
    prices: str = "walk"
    at: datetime | None = None
    state: Path | None = None
    script: str = ""
    script_name: str = "script"
    rules: Rules = field(default_factory=Rules)
    symbols: tuple[str, ...] = ()
    step_s: float = 1.0
    messages_per_s: int = 50
    history_paced: bool = True
    reset_at: time | None = time(23, 45)
    reset_s: float = 60.0
    reset_ending: str = "close"
    master_client: int | None = None
    harness: Harness | None = None


def check(config: GatewayConfig) -> None:
    """Refuse what cannot be.

    Raises:
        ConfigError: an account that does not start with DU, no account, an unknown ending.
    """
    if not config.accounts:
        raise ConfigError("--accounts: give at least one, such as DU0000001")
    for name in config.accounts:
        if not (name.startswith("DU") and name[2:].isalnum()):
            raise ConfigError(f"--accounts {name}: simulated accounts start with DU, as DU0000001")
    if config.reset_ending not in {"close", "1101", "1102"}:
        raise ConfigError(f"reset ending {config.reset_ending}: one of close, 1101, 1102")
