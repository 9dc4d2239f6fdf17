"""Option chains: 12 expirations x 41 strikes, calls and puts, Black and Scholes with a smile."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from bft.domain import sessions
from bft.sim.market.draws import Floats, normal, uniform
from bft.sim.market.shocks import MARKET_SD, SECTOR_SD
from bft.sim.market.world import World

EXPIRATIONS, STRIKES, WEEKLIES = 12, 41, 8
RATE_FRAC = 0.03
STEPS_USD = np.array([0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000])
YEAR_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Contracts of one symbol and day, flat arrays of 12 x 41 x (call, put).

    Greeks as the vendor gives them: theta per calendar day, vega and rho per percentage point.
    """

    expiration: tuple[date, ...]  # by expiry number
    expiry: NDArray[np.intp]
    strike: Floats
    is_call: NDArray[np.bool_]
    values: dict[str, Floats]


@lru_cache(maxsize=512)
def expirations(day: date) -> tuple[date, ...]:
    """The next 8 Fridays and then third Fridays; Thursday where Friday is a holiday."""
    friday = day + timedelta(days=(4 - day.weekday()) % 7)
    weekly = [friday + timedelta(weeks=n) for n in range(WEEKLIES)]
    later = (friday + timedelta(weeks=n) for n in range(WEEKLIES, 40))
    monthly = [one for one in later if 15 <= one.day <= 21][: EXPIRATIONS - WEEKLIES]
    found = {max(day, sessions.on_or_before(one)) for one in (*weekly, *monthly)}
    return tuple(sorted(found))


def strikes(price: float) -> Floats:
    """41 strikes around a price, on a grid that stays while the price moves."""
    step = STEPS_USD[np.abs(np.log(STEPS_USD / (0.025 * price))).argmin()]
    lowest = max(1, round(price / step) - STRIKES // 2)
    grid: Floats = step * np.arange(lowest, lowest + STRIKES)
    return grid


def chain(world: World, place: int, row: int, price: float) -> Chain:
    """The chain of a security on a row, at a price of the underlying."""
    day, number = world.days[row], int(world.numbers[row])
    dates, levels = expirations(day), strikes(price)
    shape = (len(dates), STRIKES, 2)
    expiry, at, side = (part.ravel() for part in np.indices(shape))
    strike, is_call = levels[at], side == 0
    years = np.array([((one - day).days + 0.3) / YEAR_DAYS for one in dates])[expiry]
    vol = _volatility(world, place, number) * _smile(strike, price, years)
    values = _black_scholes(price, strike, years, vol, np.where(is_call, 1.0, -1.0))
    contract = (strike * 1000).astype(np.int64) * 2 + side
    term = np.array([one.toordinal() for one in dates])[expiry]
    unit = np.log(strike / price) / (vol * np.sqrt(years))
    activity = np.exp(-0.3 * unit**2 - 0.2 * expiry)
    values |= _market(world, place, number, (term, contract), activity, is_call)
    return Chain(
        expiration=dates,
        expiry=expiry,
        strike=strike,
        is_call=is_call,
        values={"implied_volatility": vol, **_quotes(values, unit)},
    )


def _volatility(world: World, place: int, number: int) -> float:
    fixed, own = world.traits, 0.0
    beta = 1.0
    if place < world.plan.stocks:
        own, beta = float(fixed.sd[place]), float(fixed.beta[place])
    daily = sqrt(own**2 + (beta * MARKET_SD) ** 2 + SECTOR_SD**2)
    mood = normal(world.plan.seed, "chain/mood", int(world.names[place]), number).item()
    return float(1.1 * sqrt(252) * daily * np.exp(0.1 * mood))


def _smile(strike: Floats, price: float, years: Floats) -> Floats:
    far = np.clip(np.log(strike / price) / np.sqrt(years), -3, 3)
    return 1 - 0.04 * far + 0.10 * far**2


def _black_scholes(
    price: float, strike: Floats, years: Floats, vol: Floats, sign: Floats
) -> dict[str, Floats]:
    """Value and greeks. Source: Hull, Options, Futures and Other Derivatives, chapters 15, 19."""
    spread = vol * np.sqrt(years)
    d1 = np.log(price / strike) / spread + (RATE_FRAC / vol + vol / 2) * np.sqrt(years)
    d2 = d1 - spread
    n1, n2 = _normal_cdf(sign * d1), _normal_cdf(sign * d2)
    density = np.exp(-(d1**2) / 2) / sqrt(2 * np.pi)
    owed = strike * np.exp(-RATE_FRAC * years)
    decay = -price * density * vol / (2 * np.sqrt(years)) - sign * RATE_FRAC * owed * n2
    return {
        "value": np.maximum(sign * (price * n1 - owed * n2), 0),
        "delta": sign * n1,
        "gamma": density / (price * spread),
        "theta": decay / YEAR_DAYS,
        "vega": price * density * np.sqrt(years) / 100,
        "rho": sign * owed * years * n2 / 100,
    }


def _normal_cdf(x: Floats) -> Floats:
    return np.array([0.5 + 0.5 * erf(v) for v in (x / sqrt(2)).tolist()])


def _market(
    world: World,
    place: int,
    number: int,
    contract: tuple[NDArray[np.int64], NDArray[np.int64]],
    activity: Floats,
    is_call: NDArray[np.bool_],
) -> dict[str, Floats]:
    """Sizes, volume and open interest; puts and calls have moods of their own."""
    seed, name = world.plan.seed, int(world.names[place])

    def noise(stream: str) -> Floats:
        return uniform(seed, f"chain/{stream}", name, number, *contract)

    mood = np.exp(0.4 * normal(seed, "chain/side", name, number, np.arange(2)))
    eager = (
        600 * np.exp(normal(seed, "chain/size", name)) * np.where(is_call, mood[0], 0.7 * mood[1])
    )
    return {
        "volume": np.floor(eager * activity * -np.log(noise("volume"))),
        "open_interest": np.floor(9 * eager * activity * (0.5 + noise("interest"))),
        "bid_size": np.floor(1 + 99 * noise("bid") ** 2),
        "ask_size": np.floor(1 + 99 * noise("ask") ** 2),
        "last": noise("last"),
    }


def _quotes(values: dict[str, Floats], unit: Floats) -> dict[str, Floats]:
    """Bid and ask around the value in cents, the last trade between them (0 without one)."""
    value = values.pop("value")
    half = np.maximum(0.01, 0.015 * value * (1 + 0.3 * np.abs(unit)))
    bid = np.maximum(np.floor(100 * (value - half)) / 100, 0)
    ask = np.maximum(np.ceil(100 * (value + half)) / 100, bid + 0.01)
    last = np.where(values["volume"] > 0, bid + (ask - bid) * values["last"], 0)
    return {**values, "last": last, "mark": (bid + ask) / 2, "bid": bid, "ask": ask}
