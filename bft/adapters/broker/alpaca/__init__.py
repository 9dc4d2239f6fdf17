"""Alpaca's paper trading over HTTP. Stocks only; never the live address."""

from bft.adapters.broker.alpaca.broker import Alpaca
from bft.adapters.broker.alpaca.client import DATA_URL, PAPER_URL, AlpacaSettings

__all__ = ["DATA_URL", "PAPER_URL", "Alpaca", "AlpacaSettings"]
