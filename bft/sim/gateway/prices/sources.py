"""Sources of prices by name."""

from datetime import date
from pathlib import Path

from bft.domain.errors import ConfigError
from bft.sim.gateway.prices.control import ControlPrices
from bft.sim.gateway.prices.daily import DailyPrices
from bft.sim.gateway.prices.source import Prices
from bft.sim.gateway.prices.walk import Walk


def make_prices(spec: str, *, seed: int) -> Prices:
    """Prices of `walk`, `files:FOLDER`, `market-sim`, `market-sim:START` or `control`.

    Raises:
        ConfigError: another word. DataError: files that hold no bars.
    """
    kind, _, rest = spec.partition(":")
    if kind == "walk" and not rest:
        return DailyPrices(Walk(seed))
    if kind == "control" and not rest:
        return ControlPrices()
    if kind == "files" and rest:
        from bft.sim.gateway.prices.files import FileDays

        return DailyPrices(FileDays(Path(rest), seed=seed))
    if kind == "market-sim":
        from bft.sim.gateway.prices.vendor import VendorDays

        return DailyPrices(VendorDays(seed, _start(rest)))
    raise ConfigError(f"--prices {spec}: one of walk, files:FOLDER, market-sim[:START], control")


def _start(text: str) -> date | None:
    """First session of the vendor simulator's history, as its own `--start`."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(
            f"--prices market-sim:{text}: START is a date such as 2022-01-03"
        ) from error
