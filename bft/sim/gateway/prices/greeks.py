"""Value and greeks of an option.

Source: Hull, Options, Futures and Other Derivatives, chapters 15 and 19.
"""

from dataclasses import dataclass
from datetime import date, datetime
from math import erf, exp, log, pi, sqrt

from bft.domain import sessions
from bft.sim.gateway.exchange.contracts import Contract

RATE_FRAC = 0.03
YEAR_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Per share: theta per calendar day, vega per percentage point."""

    vol: float
    value: float
    delta: float
    gamma: float
    vega: float
    theta: float
    under: float


def years_left(contract: Contract, at: datetime) -> float:
    """Time to the close of the expiry day, in years; at least a minute."""
    text = contract.expiry
    ends = sessions.close_at(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    return max((ends - at).total_seconds(), 60.0) / YEAR_S


def greeks(contract: Contract, under: float, vol: float, at: datetime) -> Greeks:
    """Black and Scholes without dividends, at a volatility by year."""
    years, strike = years_left(contract, at), float(contract.strike)
    sign = 1.0 if contract.right == "C" else -1.0
    spread = vol * sqrt(years)
    d1 = log(under / strike) / spread + (RATE_FRAC / vol + vol / 2) * sqrt(years)
    n1, n2 = _normal(sign * d1), _normal(sign * (d1 - spread))
    density = exp(-(d1**2) / 2) / sqrt(2 * pi)
    owed = strike * exp(-RATE_FRAC * years)
    decay = -under * density * vol / (2 * sqrt(years)) - sign * RATE_FRAC * owed * n2
    return Greeks(
        vol=vol,
        value=max(sign * (under * n1 - owed * n2), 0.0),
        delta=sign * n1,
        gamma=density / (under * spread),
        vega=under * density * sqrt(years) / 100,
        theta=decay / 365,
        under=under,
    )


def _normal(x: float) -> float:
    return 0.5 + 0.5 * erf(x / sqrt(2))
