"""Option rows of rule 31, and what options change in sizing.

Source: strategies specification, section 7; executor specification, sections 4 and 5.
"""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from bft.risk.context import OptionFacts
from bft.risk.numbers import number, positive, seconds
from bft.risk.prices import Touch
from bft.risk.profiles import DAY_TRADE, SWING_TRADE

D = Decimal
MIN_BID_USD, MIN_MID_USD = D("0.05"), D("0.30")
MAX_SPREAD_FRAC, WIDE_SPREAD_FRAC, WIDE_SPREAD_USD = D("0.10"), D("0.05"), D("0.20")
MIN_DELTA, MAX_DELTA = D("0.35"), D("0.65")
MIN_VOLUME = MIN_OPEN_INTEREST = 100
MAX_IV_RANK, IV_OBSERVATIONS = D("0.80"), 30
BUDGET_FRAC = {DAY_TRADE: D("0.03"), SWING_TRADE: D("0.10")}
BASE_BUDGET_FRAC, BUDGET_USD, MAX_CONTRACTS = D("0.02"), D(10_000), 10
POSITION_RISK_FRAC, OPEN_RISK_FRAC = D("0.02"), D("0.10")
NO_ENTRY_BEFORE_EXPIRY = timedelta(hours=24)
VIX_AGE_S, OLD_VIX = 24 * 3600.0, D("0.5")
_VIX = ((D(12), D("0.8")), (D(20), D(1)), (D(30), D("0.5")), (D(40), D("0.25")))
_BUYING_POWER = ((D(2_000), 1), (D(5_000), 3), (D(25_000), 5))

_FIELDS = {  # row -> the facts it is made of
    "option_delta": ("delta",),
    "option_liquidity": ("volume", "open_interest"),
    "option volume": ("volume",),
    "open interest": ("open_interest",),
    "iv_rank": ("iv_observations", "iv_rank"),
}

Row = tuple[str, bool | None]


def vix_factor(facts: OptionFacts | None) -> Decimal | None:
    """What the VIX multiplies option sizes by: 0 denies, None is unknown.

    One more than a day old counts 0.5 at most: age never makes a turmoil calm (ADR 0146).
    """
    vix = positive(facts.vix) if facts is not None else None
    age_s = seconds(facts.vix_age_s) if facts is not None else None
    if vix is None or age_s is None:
        return None
    factor = next((factor for below, factor in _VIX if vix < below), D(0))
    return min(factor, OLD_VIX) if age_s > VIX_AGE_S else factor


def contract_cap(available_usd: Decimal) -> int:
    """Most contracts that buying power and the strategies' cap admit."""
    tiers = (cap for limit_usd, cap in _BUYING_POWER if available_usd <= limit_usd)
    return next(tiers, MAX_CONTRACTS)


def budget_contracts(
    base_usd: Decimal, strategy_type: str, multiplier: Decimal, ask: Decimal
) -> int:
    """Contracts the budget of a strategy type buys at the ask."""
    budget = min(base_usd * BUDGET_FRAC.get(strategy_type, BASE_BUDGET_FRAC), BUDGET_USD)
    bought = (budget / (multiplier * ask)).to_integral_value(ROUND_FLOOR)
    return min(MAX_CONTRACTS, int(bought))


def chain_rows(facts: OptionFacts, touch: Touch) -> list[Row]:
    """Rows that quote and chain decide: name, and whether it holds (None: an input is missing)."""
    return [
        ("option_quote", _quote_holds(touch)),
        ("option_spread", _spread_holds(touch)),
        ("option_delta", _delta_holds(facts)),
        ("option_liquidity", _liquid(facts)),
        ("iv_rank", _iv_rank_holds(facts)),
    ]


def lacking(facts: OptionFacts | None, name: str) -> str:
    """A fact or row that is missing, with what is known of why."""
    if facts is None:
        return f"{name} of the contract"
    told = dict(facts.lacks)
    why = [told[field] for field in _FIELDS.get(name, (name,)) if field in told]
    return f"{name} ({'; '.join(why)})" if why else name


def expiry_row(facts: OptionFacts, at: datetime, strategy_type: str) -> Row:
    """No entry within 24 h of expiry, except for a day trade."""
    if strategy_type == DAY_TRADE:
        return "option_expiry", True
    if facts.expires_at is None:
        return "option_expiry", None
    return "option_expiry", facts.expires_at - at > NO_ENTRY_BEFORE_EXPIRY


def _quote_holds(touch: Touch) -> bool | None:
    if touch.bid is None or touch.ask is None:
        return None
    return touch.bid >= MIN_BID_USD and touch.ask > touch.bid and _mid(touch) >= MIN_MID_USD


def _spread_holds(touch: Touch) -> bool | None:
    if touch.bid is None or touch.ask is None:
        return None
    wide_usd = touch.ask - touch.bid
    share = wide_usd / _mid(touch)
    both = share >= WIDE_SPREAD_FRAC and wide_usd >= WIDE_SPREAD_USD
    return share < MAX_SPREAD_FRAC and not both


def _mid(touch: Touch) -> Decimal:
    return ((touch.bid or D(0)) + (touch.ask or D(0))) / 2


def _delta_holds(facts: OptionFacts) -> bool | None:
    delta = number(facts.delta)
    return None if delta is None else MIN_DELTA <= abs(delta) <= MAX_DELTA


def _liquid(facts: OptionFacts) -> bool | None:
    if facts.open_interest is None or facts.volume is None:
        return None
    return facts.open_interest >= MIN_OPEN_INTEREST and facts.volume >= MIN_VOLUME


def _iv_rank_holds(facts: OptionFacts) -> bool | None:
    if facts.iv_observations is None:
        return None
    if facts.iv_observations < IV_OBSERVATIONS:
        return True
    rank = number(facts.iv_rank)
    return None if rank is None else rank <= MAX_IV_RANK
