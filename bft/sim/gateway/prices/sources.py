"""Sources of prices by name."""

from pathlib import Path

from bft.domain.errors import ConfigError
from bft.sim.gateway.prices.control import ControlPrices
from bft.sim.gateway.prices.daily import DailyPrices
from bft.sim.gateway.prices.source import Prices
from bft.sim.gateway.prices.walk import Walk


def make_prices(spec: str, *, seed: int) -> Prices:
    """Prices of `walk`, `files:FOLDER`, `market-sim` or `control`.

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
    if kind == "market-sim" and not rest:
        from bft.sim.gateway.prices.vendor import VendorDays

        return DailyPrices(VendorDays(seed))
    raise ConfigError(f"--prices {spec}: one of walk, files:FOLDER, market-sim, control")
