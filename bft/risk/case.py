"""One order in its context: the figures several rules share, worked out once.

Source: executor specification, section 5.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from bft.domain.broker import AccountValues
from bft.domain.orders import OrderRequest, OrderType
from bft.domain.trading import Instrument
from bft.risk import options
from bft.risk.context import Context
from bft.risk.exposure import Exposure, exposure_of
from bft.risk.losses import capital_base_usd
from bft.risk.numbers import ZERO, number, positive
from bft.risk.prices import (
    OPTION_STOP_FRAC,
    Touch,
    entry_limit,
    expected_price,
    filling_at,
    is_pre_open,
    planned_entry,
    stop_level,
    touch_of,
)
from bft.risk.profiles import Profile
from bft.risk.sizing import Account, Setup, Sized, Sizing, Terms, size

CASH_FRAC = Decimal("0.995")
FUTURES_MARGIN_FRAC = Decimal("0.10")
ACCOUNT_AGE = timedelta(seconds=60)


@dataclass(slots=True, kw_only=True)
class Case:
    """Figures of one decision in USD; None is unknown.

    `price` is what an entry is reckoned to cost at worst, `planned` what is expected, `stop` the
    level that would be sent with it (reckoned from `planned`: ADR 0081), `unit_usd` one unit's
    notional, `cost_usd` what one takes of available funds, `distance_usd` from price to stop,
    `base_usd` the capital base.
    `qty` is what would be sent: a signal is cut, an order stays as it is.
    """

    order: OrderRequest
    context: Context
    profile: Profile
    pre_open: bool
    touch: Touch
    anchor: Decimal | None
    tick: Decimal | None
    multiplier: Decimal | None
    limit: Decimal | None
    price: Decimal | None
    planned: Decimal | None
    stop: Decimal | None
    exposure: Exposure | None
    equity_usd: Decimal | None
    base_usd: Decimal | None
    available_usd: Decimal | None
    distance_usd: Decimal | None = None
    unit_usd: Decimal | None = None
    cost_usd: Decimal | None = None
    sized: Sized | None = None
    qty: int | None = None

    @property
    def tested_qty(self) -> int | None:
        """Quantity that caps are tested with; of a signal cut to nothing, the least worth sending.

        So the rule whose cap was exhausted blocks, and not the size alone.
        """
        if self.qty is None or self.qty >= 1:
            return self.qty
        if self.unit_usd is None:
            return 1
        least = (self.profile.min_order_usd / self.unit_usd).to_integral_value(ROUND_CEILING)
        return max(1, int(least))

    @property
    def risk_usd(self) -> Decimal | None:
        """Loss of the order's quantity at its stop."""
        if self.tested_qty is None or self.distance_usd is None or self.multiplier is None:
            return None
        return self.tested_qty * self.distance_usd * self.multiplier

    @property
    def notional_usd(self) -> Decimal | None:
        """Notional of the order's quantity."""
        if self.tested_qty is None or self.unit_usd is None:
            return None
        return self.tested_qty * self.unit_usd


def case_of(order: OrderRequest, context: Context) -> Case:
    """Work out the figures of one decision."""
    facts, touch = context.symbol, touch_of(context.quote)
    contract = facts.contract
    tick = positive(contract.tick_usd) if contract is not None else None
    pre_open = is_pre_open(order, context.at)
    anchor = positive(facts.last_close_usd) if pre_open else touch.mid
    limit = entry_limit(order, context, anchor, tick)
    market = filling_at(order.side, touch)
    if pre_open and order.order_type is OrderType.STOP:
        market = anchor  # a quote of the night tells no opening
    price = positive(expected_price(order, limit, market))
    planned = planned_entry(order, limit, touch, facts.last_close_usd) or price
    atr = positive(facts.atr_14_usd)
    equity, available = _account_figures(context)
    case = Case(
        order=order,
        context=context,
        profile=context.profile,
        pre_open=pre_open,
        touch=touch,
        anchor=anchor,
        tick=tick,
        multiplier=positive(contract.multiplier) if contract is not None else None,
        limit=limit,
        price=price,
        planned=planned,
        stop=None if price is None or planned is None else stop_level(order, planned, atr, tick),
        exposure=exposure_of(order, context),
        equity_usd=equity,
        base_usd=None if equity is None else capital_base_usd(equity, context.profile),
        available_usd=available,
    )
    _measure(case)
    return case


def _measure(case: Case) -> None:
    price, multiplier, order = case.price, case.multiplier, case.order
    if price is not None and multiplier is not None:
        case.unit_usd = case.cost_usd = price * multiplier
        if order.instrument is Instrument.FUTURE:
            margin = positive(case.context.symbol.margin_usd)
            case.cost_usd = margin or price * multiplier * FUTURES_MARGIN_FRAC
        if order.instrument.is_option:
            case.distance_usd = OPTION_STOP_FRAC * price
        elif case.stop is not None:
            away = order.side.sign * (price - case.stop)
            case.distance_usd = away if away > 0 else None
    case.sized = _sized(case)
    if not order.is_signal:
        case.qty = order.qty
    elif case.sized is not None:
        case.qty = case.sized.qty


def _account_figures(context: Context) -> tuple[Decimal | None, Decimal | None]:
    """Equity and available funds; None where they are over 60 s old or another account's."""
    account, at = context.account, context.at
    if account is None or account.account != context.mode.account:
        return None, None
    recent = at - (account.available_at or account.at) <= ACCOUNT_AGE
    return recent_equity_usd(account, at), number(account.available_usd) if recent else None


def recent_equity_usd(account: AccountValues, at: datetime) -> Decimal | None:
    """The equity, where the broker told it in the last 60 s: other figures do not renew it."""
    recent = at - (account.equity_at or account.at) <= ACCOUNT_AGE
    return positive(account.equity_usd) if recent else None


def _sized(case: Case) -> Sized | None:
    if case.price is None or case.multiplier is None or case.distance_usd is None:
        return None
    account, terms = account_of(case), terms_of(case)
    if account is None or terms is None:
        return None
    adv = positive(case.context.symbol.adv_20)
    if case.profile.participation_frac is not None and adv is None:
        return None
    setup = Setup(
        ref_price_usd=case.price,
        stop_distance_usd=case.distance_usd,
        atr_14_usd=positive(case.context.symbol.atr_14_usd) or ZERO,
        adv_20=adv,
        multiplier=case.multiplier,
        unit_cost_usd=case.cost_usd,
        requested_qty=case.order.qty if case.order.is_signal else 0,
    )
    return size(setup, account, terms)


def account_of(case: Case) -> Account | None:
    """What account and book leave for this order; None where a figure is unknown."""
    exposure, base = case.exposure, case.base_usd
    spendable = spendable_usd(case)
    if exposure is None or base is None or spendable is None:
        return None
    if exposure.held_usd is None or exposure.gross_usd is None or exposure.risk_usd is None:
        return None
    headrooms = _headrooms(case, exposure, base)
    if headrooms is None:
        return None
    cap = open_risk_cap_usd(case)
    return Account(
        equity_usd=base,
        cash_usd=spendable,
        gross_usd=exposure.gross_usd,
        held_usd=exposure.held_usd,
        held_units=exposure.held_units,
        headrooms_usd=headrooms,
        risk_headroom_usd=None if cap is None else cap - exposure.risk_usd,
    )


def _headrooms(
    case: Case, exposure: Exposure, base: Decimal
) -> tuple[tuple[str, Decimal], ...] | None:
    profile = case.profile
    used = {
        "symbol": (profile.symbol_frac, exposure.symbol_usd),
        "sector": (profile.sector_frac, exposure.sector_usd),
        "daily_volume": (
            profile.opening_per_day_frac,
            number(case.context.book.opening_notional_today_usd),
        ),
    }
    found = []
    for name, (fraction, on_usd) in used.items():
        if fraction is None:
            continue
        if on_usd is None:
            return None
        found.append((name, base * fraction - on_usd))
    return tuple(found)


def terms_of(case: Case) -> Terms | None:
    """The profile's sizing terms with streak and VIX in their scale; None where one is unknown."""
    profile, order, losses = case.profile, case.order, case.context.book.loss_streak
    if losses is None:
        return None
    scale, max_units = profile.streak.factor(losses), profile.max_units
    if order.instrument.is_option:
        vix, cap = options.vix_factor(case.context.option), option_cap(case)
        if vix is None or cap is None:
            return None
        scale, max_units = scale * vix, min(max_units, cap)
    return Terms(
        mode=Sizing.RISK,
        risk_frac=profile.risk_frac,
        risk_usd=profile.risk_usd,
        scale=scale,
        max_weight_frac=profile.position_frac_for(order.strategy_type),
        cap_usd=profile.position_cap_usd,
        max_units=max_units,
        participation_frac=profile.participation_frac,
        max_gross_frac=profile.gross_frac,
        cash_frac=CASH_FRAC,
        min_order_usd=profile.min_order_usd,
    )


def option_cap(case: Case) -> int | None:
    """Contracts that budget and buying power admit; None where a figure is unknown."""
    if case.base_usd is None or case.multiplier is None or case.touch.ask is None:
        return None
    if case.available_usd is None:
        return None
    budget = options.budget_contracts(
        case.base_usd, case.order.strategy_type, case.multiplier, case.touch.ask
    )
    return min(budget, options.contract_cap(case.available_usd))


def spendable_usd(case: Case) -> Decimal | None:
    """Available funds less what pending entries still take; None where either is unknown."""
    pending = case.exposure.pending_cost_usd if case.exposure is not None else None
    if case.available_usd is None or pending is None:
        return None
    return case.available_usd - pending


def open_risk_cap_usd(case: Case) -> Decimal | None:
    """Most initial risk the open book may carry, of an amount and a fraction the tighter."""
    profile, base = case.profile, case.base_usd
    fraction = None
    if profile.open_risk_frac is not None and base is not None:
        fraction = base * profile.open_risk_frac
    amounts = [usd for usd in (fraction, profile.open_risk_usd) if usd is not None]
    return min(amounts, default=None)
