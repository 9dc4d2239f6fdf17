"""The paper broker: an account of this process that fills on prices it is shown."""

from bft.adapters.broker.paper.account import PaperSettings
from bft.adapters.broker.paper.broker import Paper
from bft.adapters.broker.paper.fees import fee_named, ib_fixed, percent
from bft.adapters.broker.paper.log import PaperLog
from bft.adapters.broker.paper.matching import Bar
from bft.adapters.broker.paper.named import latency_of, prices_named
from bft.adapters.broker.paper.prices import BarPrices, Prices, SimPrices

__all__ = [
    "Bar",
    "BarPrices",
    "Paper",
    "PaperLog",
    "PaperSettings",
    "Prices",
    "SimPrices",
    "fee_named",
    "ib_fixed",
    "latency_of",
    "percent",
    "prices_named",
]
