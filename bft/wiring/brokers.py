"""Brokers that settings name."""

from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain.errors import ConfigError
from bft.settings import Settings

if TYPE_CHECKING:
    from bft.ports import Broker, Clock

BROKERS = ("paper", "ib", "alpaca")
IB_PAPER_PORT, IB_LIVE_PORT = 4002, 4001


def check_broker(name: str) -> None:
    """Refuse a broker that no adapter is built for.

    Raises:
        ConfigError: it names what is missing.
    """
    if name not in BROKERS:
        raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    text = f"there is no adapter for it; use {', '.join(BROKERS)}"
    return ConfigError(f"BFT_BROKER={name}: {text}")


def broker_of(values: Settings, *, folder: Path, clock: "Clock") -> "Broker":
    """The broker that the settings name, not started; its files lie in `folder`.

    Raises:
        ConfigError: no such broker, or a setting that can never work; names what is missing.
    """
    if values.broker == "paper":
        return _paper(values, folder, clock)
    if values.broker == "alpaca":
        return _alpaca(values, clock)
    if values.broker == "ib":
        return _ib(values, clock)
    raise _unknown(values.broker)


def _paper(values: Settings, folder: Path, clock: "Clock") -> "Broker":
    from decimal import Decimal

    from bft.adapters.broker import paper

    about = paper.PaperSettings(
        account=values.account or "PAPER",
        client_id=values.ib_client_id,
        seed=values.paper_seed,
        cash_usd=Decimal(values.paper_cash_usd),
        latency_s=paper.latency_of(values.paper_latency_ms),
    )
    return paper.Paper(
        paper.PaperLog(folder / "paper.jsonl"),
        clock=clock,
        prices=paper.prices_named(values.paper_prices, sim_url=values.sim_url),
        fee=paper.fee_named(values.paper_fees),
        settings=about,
    )


def _ib(values: Settings, clock: "Clock") -> "Broker":
    from random import SystemRandom

    from bft.adapters.broker import ib

    usual = IB_LIVE_PORT if values.trading_mode == "live" else IB_PAPER_PORT
    about = ib.IbSettings(
        host=values.ib_host,
        port=values.ib_port or usual,
        account=values.account,
        client_id=values.ib_client_id,
        restart_at=ib.restart_of(values.gateway_restart_at),
        login_at=ib.login_of(values.gateway_login_at),
    )
    return ib.Ib(about, clock=clock, rng=SystemRandom())


def _alpaca(values: Settings, clock: "Clock") -> "Broker":
    from bft.adapters.broker.alpaca import Alpaca, AlpacaSettings

    about = AlpacaSettings(
        account=values.account,
        key_id=str.__str__(values.alpaca_key_id),
        secret=str.__str__(values.alpaca_secret),
        url=values.alpaca_url,
        client_id=values.ib_client_id,
    )
    return Alpaca(about, clock=clock)
