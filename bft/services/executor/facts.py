"""Everything known at one instant, for risk to look at.

Nothing is guessed: what the desk does not know is None, and blocks where a rule needs it.
Source: executor specification, section 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice

from bft.domain.broker import WhatIf
from bft.domain.orders import Contract, Identity, Intent, IntentState, Leg, OrderRequest, Reason
from bft.domain.trading import Instrument
from bft.domain.trading_days import trading_day
from bft.ledger.limits import losing_run
from bft.ledger.records import Halt as BookHalt
from bft.ledger.records import Limits
from bft.ledger.state import KEPT
from bft.risk import today
from bft.risk.case import FUTURES_MARGIN_FRAC, recent_equity_usd
from bft.risk.context import (
    BookFacts,
    Context,
    Cooldown,
    DataFacts,
    FenceFacts,
    Halt,
    Holding,
    ModeFacts,
    SessionFacts,
    SymbolFacts,
)
from bft.services.executor.contracts import underlying_of
from bft.services.executor.covers import Cover
from bft.services.executor.day_change import (
    foreign_realised_usd,
    open_entry_fees_usd,
    unknown,
    unrealised_change_usd,
)
from bft.services.executor.desk import Desk
from bft.services.executor.marks import quoted_usd, worth_now_usd, worth_usd
from bft.services.executor.naming import Spelling
from bft.services.executor.option_facts import OptionDesk
from bft.services.executor.restart import in_restart_window

TWIN_S = 10.0
SHUT_S = 0.1  # prices alone change the day's loss no faster for those who ask whether it is open
PEAK_SESSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks; `mode` is the header X-BFT-Mode; `twin` as in rule 6."""

    subject: str
    roles: tuple[str, ...]
    mode: str | None = None
    twin: bool = False


class Facts:
    """Makes contexts from the desk."""

    def __init__(self, desk: Desk, covers: dict[str, Cover], options: OptionDesk) -> None:
        self._desk, self._covers, self.options = desk, covers, options
        self._twins: dict[tuple[str, str], float] = {}
        self._shut_by: tuple[object, ...] = ()
        self._shut: list[str] = []

    def context(
        self, order: OrderRequest, asked: Asked, *, contract: Contract | None, matches: int
    ) -> Context:
        """The context of an opening order; `matches` is how many contracts fitted."""
        desk, underlying = self._desk, underlying_of(order)
        return Context(
            at=desk.now,
            profile=desk.profile,
            mode=self._mode(order, asked),
            session=self._session(),
            fences=self._fences(order, asked, contract),
            skews_s=desk.skew.samples_s,
            symbol=self._symbol(order, underlying, contract, matches),
            data=self._data(order, underlying),
            book=self.book(underlying, contract),
            quote=desk.quote(contract) if contract else None,
            account=desk.broker.account_values(),
            option=self.options.facts(contract),
        )

    def twin(self, subject: str, body_hash: str) -> bool:
        """Whether an equal body without a key came from this subject within 10 s; remembered."""
        now = self._desk.timer()
        for known in [k for k, at in self._twins.items() if now - at > TWIN_S]:
            del self._twins[known]
        seen = (subject, body_hash) in self._twins
        self._twins.setdefault((subject, body_hash), now)
        return seen

    def forget_twin(self, subject: str, body_hash: str) -> None:
        """Let an equal body pass: this one did nothing."""
        self._twins.pop((subject, body_hash), None)

    def _mode(self, order: OrderRequest, asked: Asked) -> ModeFacts:
        desk, values = self._desk, self._desk.broker.account_values()
        forecast = desk.reference.forecasts.get(underlying_of(order))
        known = forecast is not None and forecast.set_digest == order.set_digest
        return ModeFacts(
            mode=desk.route.mode,
            broker=desk.route.broker,
            account=desk.account,
            connected_account=values.account if values else None,
            account_type=values.account_type if values else None,
            problem=desk.lock_broken or "",
            requested_mode=asked.mode,
            set_paper_only=forecast.paper_only if known and forecast else None,
        )

    def _session(self) -> SessionFacts:
        desk = self._desk
        age = None if desk.beat is None else desk.timer() - desk.beat
        return SessionFacts(
            state=desk.broker.state,
            restart_window=in_restart_window(desk.now, desk.restart_at),
            reconciled=desk.reconciled,
            lease_held=desk.lease_held and not desk.closing_down,
            monitor_age_s=age,
            writable=desk.writer.writable,
        )

    def _fences(self, order: OrderRequest, asked: Asked, contract: Contract | None) -> FenceFacts:
        desk = self._desk
        spelling = Spelling(desk, underlying_of(order), contract)
        halts = desk.state.active_halts(desk.now)
        unsure = {
            intent.contract.symbol
            for intent in desk.state.live_intents()
            if intent.state is IntentState.UNKNOWN
        }
        unknown = map(spelling.symbol, unsure | desk.disputed)
        return FenceFacts(
            kill_latched=desk.killed or desk.state.kill.latched,
            halts=tuple(_told(halt, spelling) for halt in halts),
            unknown_symbols=tuple(sorted(set(unknown))),
            roles=asked.roles,
            entry_exists=order.signal_id in desk.state.entry_signals
            or self._adopted(order, contract),
            twin_exists=asked.twin,
        )

    def _adopted(self, order: OrderRequest, contract: Contract | None) -> bool:
        """Whether this very entry was taken back from the broker, its signal being lost."""
        if contract is None:
            return False
        identity = Identity(
            signal_id=order.signal_id,
            account=self._desk.account,
            con_id=contract.con_id,
            side=order.side,
            leg=Leg.ENTRY,
            day=trading_day(self._desk.now, sec_type=contract.sec_type),
        )
        return identity.intent_id in self._desk.state.intents

    def _symbol(
        self, order: OrderRequest, underlying: str, contract: Contract | None, matches: int
    ) -> SymbolFacts:
        desk, row = self._desk, self._desk.reference.symbols.get(underlying)
        quote = desk.quote(contract) if contract else None
        known = desk.reference.gold_asof is not None
        action = desk.reference.action_open(underlying, trading_day(desk.now)) if known else None
        suspected = row.suspected_split if row else None
        if order.instrument is Instrument.FUTURE:  # an index neither splits nor pays
            row, action, suspected = None, False, False  # gold's row is a namesake's
        return SymbolFacts(
            underlying=underlying,
            in_universe=underlying in desk.reference.universe if known else None,
            restricted=not desk.restricted.isdisjoint(desk.aliases(underlying, contract)),
            contract=contract,
            contract_matches=matches,
            action_open=action,
            halted=quote.halted if quote else False,
            suspected_split=suspected,
            sector=row.sector if row else None,
            adv_20=row.adv_20 if row else None,
            last_close_usd=row.bar.close_usd if row and row.bar else None,
            atr_14_usd=row.atr_14_usd if row else None,
        )

    def _data(self, order: OrderRequest, underlying: str) -> DataFacts:
        reference, now = self._desk.reference, self._desk.now
        forecast = reference.forecasts.get(underlying)
        ages = {
            name: (now - at).total_seconds() if at else None
            for name, at in (("feature", order.decided_at), ("bar", order.bar_ends_at))
        }
        return DataFacts(
            gold_asof=reference.gold_asof,
            forecast_asof=reference.forecast_asof,
            model_age_days=forecast.model_age_days if forecast else None,
            uses_bars=not order.close_decided and order.bar_ends_at is not None,
            uses_features=not order.close_decided and order.decided_at is not None,
            bar_age_s=ages["bar"],
            feature_age_s=ages["feature"],
        )

    # the book

    def shut(self) -> list[str]:
        """Limits of the day that deny every entry, in words; for people and probes.

        Looked at when counters or profile changed, else every `SHUT_S`: decisions look themselves.
        """
        desk = self._desk
        counters = self._limits("account", desk.account, desk.trading_day)
        by = (counters, desk.profile, int(desk.timer() / SHUT_S))
        if by != self._shut_by:
            values = desk.broker.account_values()
            equity = recent_equity_usd(values, desk.now) if values else None
            found = today.shut(self.book(""), desk.profile, equity_usd=equity)
            self._shut_by, self._shut = by, found
        return self._shut

    def book(self, symbol: str, contract: Contract | None = None) -> BookFacts:
        """Positions, pending entries, the day's counters; an underlying's for rules 17 and 18.

        What an instrument was called before counts under the name it is ordered by now.
        """
        desk, spelling = self._desk, Spelling(self._desk, symbol, contract)
        day = desk.trading_day
        account = self._limits("account", desk.account, day)
        places = (f"{desk.account}/{name}" for name in spelling.names)
        per_symbol = sum(self._limits("symbol", place, day).entries for place in places)
        change = self.unrealised_change_usd()
        return BookFacts(
            positions=tuple(self._positions(spelling)),
            pending=tuple(self._pending(spelling)),
            cooldowns=tuple(self._cooldowns(spelling)),
            entries_today=account.entries,
            orders_today=account.orders,
            entries_today_symbol=per_symbol,
            orders_1s=_left_within(desk, 1),
            orders_60s=_left_within(desk, 60),
            opening_notional_today_usd=account.notional_usd,
            realised_usd=account.realised_usd
            - open_entry_fees_usd(desk)
            - foreign_realised_usd(desk),
            unrealised_change_usd=change,
            unpriced=tuple(unknown(desk, partial(worth_now_usd, desk))) if change is None else (),
            day_start_equity_usd=account.day_start_equity_usd,
            peak_equity_usd=self.peak_equity_usd(day),
            loss_streak=self._loss_streak(),
        )

    def _loss_streak(self) -> int:
        """Losing trades in a row, those of earlier days too.

        A day that ends at the halt number is over with it: the next one counts anew.
        """
        desk, count = self._desk, 0
        halt, day = desk.profile.streak.halt, date.min
        run = losing_run(desk.state, "account", desk.account)
        days = [desk.day_of(at) for at in reversed(run)]
        for each in (*days, desk.trading_day):
            if each != day and halt is not None and count >= halt:
                count = 0
            day, count = each, count + 1
        return count - 1  # today itself is no trade

    def _limits(self, scope: str, key: str, day: date) -> Limits:
        return self._desk.state.limits_of(scope, key, day, at=self._desk.now)

    def peak_equity_usd(self, day: date) -> Decimal | None:
        """Highest equity of the last 20 trading days known, none before a drawdown was resumed."""
        limits, since = self._desk.state.limits, self._resumed_on()
        days = (day - timedelta(days=n) for n in range(KEPT.days))
        places = (("account", self._desk.account, each) for each in days if each >= since)
        newest = islice((limits[place] for place in places if place in limits), PEAK_SESSIONS)
        return max((row.peak_equity_usd for row in newest if row.peak_equity_usd), default=None)

    def _resumed_on(self) -> date:
        """Trading day of the last drawdown halt that a person ended."""
        halts = self._desk.state.halts.values()
        ended = [h.cleared_at for h in halts if h.rule == Reason.DRAWDOWN.value and h.cleared_at]
        return self._desk.day_of(max(ended)) if ended else date.min

    def unrealised_change_usd(self) -> Decimal | None:
        """Change of open positions since the prior close; None where a price or mark is missing."""
        return unrealised_change_usd(self._desk, partial(worth_now_usd, self._desk))

    def sure_change_usd(self) -> Decimal | None:
        """As `unrealised_change_usd`; a stale quote counts where it tells a gain, never a loss."""
        desk = self._desk
        return unrealised_change_usd(
            desk, partial(worth_now_usd, desk), last_seen=partial(quoted_usd, desk)
        )

    def _positions(self, spelling: Spelling) -> Iterator[Holding]:
        for position in self._desk.state.positions.values():
            price = worth_usd(self._desk, position.contract)
            worth = None if price is None else abs(position.qty) * price * position.multiplier
            yield Holding(
                symbol=spelling.contract(position.contract),
                underlying=spelling.symbol(position.contract.symbol),
                instrument=instrument_of(position.contract),
                qty=int(position.qty),
                notional_usd=worth,
                risk_usd=self._risk(position.con_id),
                sector=self._sector(position.contract.symbol),
            )

    def _risk(self, con_id: int) -> Decimal | None:
        """Open initial risk: |entry - first stop| of each cover times its open units."""
        total = Decimal(0)
        for cover in self._covers.values():
            if cover.contract.con_id == con_id and cover.state is not None:
                state = cover.state
                distance = abs(state.entry.price_usd - state.initial_stop_usd)
                total += distance * cover.open_qty * cover.contract.multiplier
        return total

    def _pending(self, spelling: Spelling) -> Iterator[Holding]:
        for intent in self._desk.state.live_intents():
            if intent.leg is not Leg.ENTRY:
                continue
            price = intent.limit_price_usd or intent.stop_price_usd
            price = price or worth_usd(self._desk, intent.contract)
            units = intent.remaining_qty * intent.contract.multiplier
            worth = None if price is None else units * price
            yield Holding(
                symbol=spelling.contract(intent.contract),
                underlying=spelling.symbol(intent.contract.symbol),
                instrument=instrument_of(intent.contract),
                qty=intent.side.sign * intent.remaining_qty,
                notional_usd=worth,
                risk_usd=self._pending_risk(intent, price),
                cost_usd=worth and worth * cost_frac(intent.contract),
                sector=self._sector(intent.contract.symbol),
            )

    def _pending_risk(self, intent: Intent, price: Decimal | None) -> Decimal | None:
        cover = self._covers.get(intent.intent_id)
        stop = cover.planned_stop(price) if cover and price is not None else None
        if stop is None or price is None:
            return None
        return abs(price - stop) * intent.remaining_qty * intent.contract.multiplier

    def _cooldowns(self, spelling: Spelling) -> Iterator[Cooldown]:
        account, now = self._desk.account, self._desk.now
        for row in self._desk.state.cooldowns.values():
            mine = row.account == account and row.symbol in spelling.names
            if mine and row.until > now:
                name, strategy = spelling.symbol(row.symbol), row.strategy or None
                yield Cooldown(symbol=name, strategy_id=strategy, until_at=row.until)

    def _sector(self, symbol: str) -> str | None:
        row = self._desk.reference.row(symbol)
        return row.sector if row else None


def _told(halt: BookHalt, spelling: Spelling) -> Halt:
    key = spelling.symbol(halt.key) if halt.scope == "symbol" else halt.key
    return Halt(scope=halt.scope, key=key, reason=halt.reason)


def with_what_if(context: Context, what_if: WhatIf) -> Context:
    """The context once the broker told the margins."""
    return replace(context, what_if=what_if)


def cost_frac(contract: Contract) -> Decimal:
    """Part of its notional that an entry takes from available funds; of a future the margin."""
    return FUTURES_MARGIN_FRAC if contract.sec_type == "FUT" else Decimal(1)


def instrument_of(contract: Contract) -> Instrument:
    """What kind of thing a contract is."""
    if contract.sec_type == "OPT":
        return Instrument.CALL if contract.right == "C" else Instrument.PUT
    return Instrument.FUTURE if contract.sec_type == "FUT" else Instrument.STOCK


def _left_within(desk: Desk, seconds: int) -> int:
    """Entries that were sent, or are committed to be: those of one commit count to each other."""
    since = desk.now - timedelta(seconds=seconds)
    waiting = (
        i.created_at
        for i in desk.state.live_intents()
        if i.leg is Leg.ENTRY and i.sent_at is None and i.created_at is not None
    )
    return desk.state.intents.sent_after(since) + sum(at > since for at in waiting)
