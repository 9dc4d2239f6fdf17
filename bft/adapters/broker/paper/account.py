"""Cash and positions of the paper account; money is Decimal, in USD."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from bft.adapters.broker.paper.fees import Fee
from bft.adapters.broker.paper.orders import key_of
from bft.domain.broker import AccountValues, BrokerPosition, PlacedOrder, Quote, WhatIf
from bft.domain.orders import Contract, Side
from bft.domain.ticks import MICRO

ZERO = Decimal(0)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Who trades; a new account begins with `cash_usd`. `latency_s`: least and most."""

    account: str = "PAPER"
    client_id: int = 10
    seed: int = 0
    cash_usd: Decimal = Decimal(100_000)
    latency_s: tuple[float, float] = (0.1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position: average price per quoted unit, and the fees that opened what is left."""

    contract: Contract
    qty: int = 0
    price_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO

    @property
    def cost_usd(self) -> Decimal:
        """Average cost per contract with multiplier and fees, as a broker shows it."""
        each = self.price_usd * self.contract.multiplier
        return each + self.fees_usd / self.qty if self.qty else ZERO

    def value_usd(self, mark_usd: Decimal) -> Decimal:
        """What it adds to equity: its value, of a future what its price has gained."""
        paid = self.price_usd if self.contract.sec_type == "FUT" else ZERO
        return (mark_usd - paid) * self.qty * self.contract.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What moves an account."""

    contract: Contract
    side: Side
    qty: int
    price_usd: Decimal
    fee_usd: Decimal


@dataclass(slots=True, kw_only=True)
class PaperAccount:
    """Cash, holdings by contract key, and counters that give ids."""

    name: str
    created_at: datetime
    cash_usd: Decimal
    holdings: tuple[Holding, ...] = ()
    orders: int = 0
    fills: int = 0
    last_order_id: int = 0
    marks: dict[str, Decimal] = field(default_factory=dict)

    def holding(self, contract: Contract) -> Holding:
        """Position in a contract; quantity 0 where there is none."""
        same = (h for h in self.holdings if key_of(h.contract) == key_of(contract))
        return next(same, Holding(contract=contract))

    def book(self, trade: Trade) -> None:
        """Apply a fill: average price where it opens, realised where it closes."""
        before = self.holding(trade.contract)
        after = _moved(before, trade)
        units = trade.contract.multiplier
        if trade.contract.sec_type == "FUT":
            closed = abs(before.qty) + trade.qty - abs(after.qty)
            gain = (trade.price_usd - before.price_usd) * -trade.side.sign
            self.cash_usd += gain * (closed // 2) * units
        else:
            self.cash_usd -= trade.side.sign * trade.qty * trade.price_usd * units
        self.cash_usd -= trade.fee_usd
        others = [h for h in self.holdings if h is not before]
        self.holdings = (*others, after) if after.qty else tuple(others)

    def position(self, contract: Contract) -> BrokerPosition:
        """A position as the broker tells it."""
        held = self.holding(contract)
        return BrokerPosition(
            account=self.name,
            contract=held.contract,
            qty=Decimal(held.qty),
            average_cost_usd=held.cost_usd.quantize(MICRO),
        )

    def equity_usd(self) -> Decimal:
        """Cash and positions at their marks; what has none counts at its price."""
        return self.cash_usd + sum((h.value_usd(self._mark(h)) for h in self.holdings), ZERO)

    def available_usd(self) -> Decimal:
        """Equity that is in no position: stocks and options are paid in full, short ones too."""
        paid = [h for h in self.holdings if h.contract.sec_type != "FUT"]
        return self.equity_usd() - sum((abs(h.value_usd(self._mark(h))) for h in paid), ZERO)

    def values(self, at: datetime) -> AccountValues:
        """Figures of the account, to the cent."""
        return AccountValues(
            account=self.name,
            at=at,
            equity_usd=self.equity_usd().quantize(CENT),
            equity_at=at,
            cash_usd=self.cash_usd.quantize(CENT),
            available_usd=self.available_usd().quantize(CENT),
            account_type="SIMULATED",
        )

    def _mark(self, holding: Holding) -> Decimal:
        return self.marks.get(key_of(holding.contract), holding.price_usd)


def margin_after(
    account: PaperAccount, order: PlacedOrder, quote: Quote | None, fee: Fee
) -> WhatIf:
    """Margin after an order: stocks and options are paid in full; None without a price."""
    contract = order.contract
    price = order.limit_price_usd or (quote.last_usd if quote else None)
    if price is None or contract.sec_type == "FUT":
        return WhatIf(initial_margin_after_usd=None, equity_with_loan_after_usd=None)
    before = account.holding(contract).qty
    more = abs(before + order.side.sign * order.qty) - abs(before)
    units, equity = price * contract.multiplier, account.equity_usd()
    return WhatIf(
        initial_margin_after_usd=equity - account.available_usd() + more * units,
        equity_with_loan_after_usd=equity,
        commission_usd=fee(contract, order.side, order.qty, order.qty * units),
    )


def _moved(held: Holding, trade: Trade) -> Holding:
    qty = held.qty + trade.side.sign * trade.qty
    fees = trade.fee_usd
    if held.qty * trade.side.sign < 0:  # closes, perhaps more than there was
        if held.qty * qty >= 0:
            left = held.fees_usd * abs(qty) / abs(held.qty)
            return replace(held, qty=qty, fees_usd=left)
        fees = trade.fee_usd * abs(qty) / trade.qty
        return replace(held, qty=qty, price_usd=trade.price_usd, fees_usd=fees)
    spent = held.price_usd * abs(held.qty) + trade.price_usd * trade.qty
    return replace(held, qty=qty, price_usd=spent / abs(qty), fees_usd=held.fees_usd + fees)
