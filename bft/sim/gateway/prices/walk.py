"""Random walks: any listed symbol has daily bars since 2016, by hash of the seed."""

from datetime import date
from functools import lru_cache

import numpy as np

from bft.domain import sessions
from bft.sim.gateway.prices.intraday import DayBar
from bft.sim.market.draws import key, normal, uniform

FIRST = date(2016, 1, 4)
_START_USD = {"NQ": 17_000.0, "MNQ": 17_000.0, "ES": 4_900.0, "MES": 4_900.0, "VIX": 17.0}
_YEARS = 24  # drawn at once; later sessions would need a longer stretch
_SD, _PULL = 0.013, 0.004  # daily; the walk is drawn back, or a decade would leave pennies


class Walk:
    """Daily bars of a mean-reverting logarithmic walk."""

    names = None

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._bars = lru_cache(maxsize=1024)(self._drawn)

    def first(self, symbol: str) -> date | None:
        """See `Days`."""
        del symbol
        return FIRST

    def day(self, symbol: str, session: date) -> DayBar | None:
        """See `Days`."""
        row = sessions.number(session) - sessions.number(FIRST)
        rows = self._bars(symbol)
        if not 0 < row < len(rows):
            return None
        opening, high, low, close, volume = rows[row].tolist()
        return DayBar(
            open=opening,
            high=high,
            low=low,
            close=close,
            volume=round(volume),
            previous=float(rows[row - 1, 3]),
        )

    def _drawn(self, symbol: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Open, high, low, close, volume by session, (T, 5)."""
        seed, name, rows = self.seed, key(symbol), np.arange(252 * _YEARS)
        shocks = _SD * normal(seed, "walk", name, rows)
        level = np.empty(len(rows))
        log_price = 0.0
        for n, shock in enumerate(shocks.tolist()):
            log_price += shock - _PULL * log_price
            level[n] = log_price
        start = _START_USD.get(symbol, 20 + 280 * float(uniform(seed, "walk/price", name)))
        close = start * np.exp(level)
        before = np.concatenate([[start], close[:-1]])
        opening = before * np.exp(0.3 * _SD * normal(seed, "walk/gap", name, rows))
        reach = 0.6 * _SD * np.abs(normal(seed, "walk/reach", name, rows))
        high = np.maximum(opening, close) * (1 + reach)
        low = np.minimum(opening, close) * (1 - reach[::-1])
        volume = 3e6 * np.exp(0.4 * normal(seed, "walk/volume", name, rows))
        return np.stack([opening, high, low, close, volume], axis=1)
