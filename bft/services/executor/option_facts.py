"""Facts of an option for risk: the broker's figures, or on paper the night's chain; never a guess.

What is missing or too old is None, and says so by name. Source: executor specification, section 4
(option rules) and 5 (VIX); strategies specification, section 7; decision record 0048.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from bft.domain import sessions
from bft.domain.broker import OptionFigures, Quote
from bft.domain.errors import BftError
from bft.domain.orders import Contract
from bft.domain.trading_days import trading_day
from bft.risk.context import OptionFacts
from bft.services.executor.chains import Chain, iv_rank
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.underlying import stock_of

VIX = Contract(con_id=0, symbol="VIX", sec_type="IND", exchange="CBOE")
FIGURES_WAIT_S = 3.0
TARGET_TIMES = Decimal("1.80")  # of the premium; strategies specification, section 7
MODEL_AGE_S = 120.0  # strategies specification, section 7: quotes so old at most
STALE_SESSIONS = 5  # the newest stored volatility may be so old

LoadChains = Callable[[frozenset[str]], Awaitable[Mapping[str, Chain]]]
"""Reads stored chains of underlyings, off the loop."""


async def no_chains(symbols: frozenset[str]) -> Mapping[str, Chain]:
    """For executors without a night: nothing is stored."""
    return {symbol: Chain(symbol=symbol) for symbol in symbols}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What is known of the contract; fields that are None are told of in `lacks`."""

    delta: Decimal | None = None
    volatility: Decimal | None = None
    volume: int | None = None
    open_interest: int | None = None
    lacks: tuple[tuple[str, str], ...] = ()


class OptionDesk:
    """Keeps what options need watched and read, and makes their facts."""

    def __init__(self, desk: Desk, load: LoadChains) -> None:
        self._desk, self._load = desk, load
        self._chains: dict[str, Chain] = {}
        self._wanted: set[str] = set()
        self._fault = ""

    # before a decision

    async def prepare(self, contract: Contract) -> None:
        """Watch contract, underlying and VIX, read the chain; wait a moment for what is to come."""
        if contract.sec_type != "OPT":
            return
        self.want(contract.symbol)
        await asyncio.gather(self._follow(stock_of(contract)), self._follow(VIX))
        if contract.symbol not in self._chains:
            with suppress(BftError):
                await self.refresh()
        if self._desk.broker.name == "ib":
            others = map(self._desk.contracts.get, (VIX, stock_of(contract)))
            waits = [self._until(one, self._quoted) for one in others if one is not None]
            await asyncio.gather(self._until(contract, self._figured), *waits)

    async def _until(self, contract: Contract, told: Callable[[Contract], bool]) -> None:
        """Wait a moment until what is wanted of a contract has been told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIGURES_WAIT_S):
                while not told(contract):
                    await self._desk.next_quote(contract.con_id)

    def stepped(self, contract: Contract) -> Contract:
        """An option with the price step that holds up to its target, at today's ask."""
        quote = self._desk.quote(contract) if contract.sec_type == "OPT" else None
        ask = quote.ask_usd if quote is not None else None
        if ask is None:
            return contract
        return replace(contract, tick_usd=contract.tick_at(ask * TARGET_TIMES))

    def want(self, symbol: str) -> None:
        """Read the chain of an underlying from now on."""
        self._wanted.add(symbol)

    async def refresh(self) -> None:
        """Read the chains of underlyings that were asked for; a fault leaves the old ones."""
        if not self._wanted:
            return
        try:
            self._chains |= await self._load(frozenset(self._wanted))
        except BftError as error:
            self._fault = str(error)
            raise
        self._fault = ""

    def follow(self, covers: Iterable[Cover]) -> None:
        """Watch the underlyings whose levels are to be judged, after a start."""
        for cover in covers:
            if cover.under is not None:
                self._desk.contracts.setdefault(stock_of(cover.contract), cover.under.contract)
                self._desk.watch(cover.under.contract)

    async def _follow(self, wanted: Contract) -> None:
        """Watch what was resolved, once; what cannot be had is missing later."""
        desk = self._desk
        with suppress(BftError):
            found = desk.contracts.get(wanted)
            if found is None:
                found = desk.contracts[wanted] = await desk.broker.contract(wanted)
            desk.watch(found)

    def _figured(self, contract: Contract) -> bool:
        told = self._desk.broker.option_figures(contract)
        return told is not None and None not in (told.delta, told.volume, told.open_interest)

    def _quoted(self, contract: Contract) -> bool:
        return self._desk.quote(contract) is not None

    # facts

    def facts(self, contract: Contract | None) -> OptionFacts | None:
        """Everything known of an option now; None for what is no option."""
        if contract is None or contract.sec_type != "OPT":
            return None
        chain = self._chains.get(contract.symbol, Chain(symbol=contract.symbol))
        row = self._row(contract, chain)
        rank, observations, no_rank = self._rank(chain, row)
        vix, vix_age_s, no_vix = self._vix()
        return OptionFacts(
            delta=row.delta,
            volume=row.volume,
            open_interest=row.open_interest,
            iv_rank=rank,
            iv_observations=observations,
            vix=vix,
            vix_age_s=vix_age_s,
            expires_at=expires_at(contract),
            lacks=(*row.lacks, *no_rank, *no_vix),
        )

    def _row(self, contract: Contract, chain: Chain) -> _Row:
        if self._desk.broker.name == "paper":
            return self._stored(contract, chain)
        told = self._desk.broker.option_figures(contract)
        if told is None:
            name = self._desk.broker.name
            return _lacking(f"{name} has told nothing of {contract.local_symbol}")
        return self._told(told)

    def _told(self, told: OptionFigures) -> _Row:
        """Figures of the feed that are of today, and of a model that is at most 120 s old."""
        now = self._desk.now
        if not told.live:
            return _lacking("the feed is frozen or delayed")
        age_s = (now - told.model_at).total_seconds() if told.model_at else None
        modelled = age_s is not None and age_s <= MODEL_AGE_S
        old = "none told" if age_s is None else f"the model's is {age_s:.0f} s old"
        volume = told.volume if _today(told.volume_at, now) else None
        interest = told.open_interest if _today(told.open_interest_at, now) else None
        row = _Row(
            delta=told.delta if modelled else None,
            volatility=told.implied_volatility if modelled else None,
            volume=volume,
            open_interest=interest,
        )
        why = {"delta": "the model has none" if modelled else old}
        why |= dict.fromkeys(("volume", "open_interest"), "none told today")
        return _with_lacks(row, why)

    def _stored(self, contract: Contract, chain: Chain) -> _Row:
        """The night's row, if it is of the last session."""
        last = sessions.last_closed(self._desk.now)
        if chain.asof is None:
            return _lacking(self._absent(f"no chain of {chain.symbol}"))
        if chain.asof != last:  # a later one knows what is still to come
            return _lacking(f"the chain of {chain.symbol} is of {chain.asof}, not of {last}")
        found = chain.row(contract)
        if found is None:
            return _lacking(f"{contract.local_symbol} is not in the chain of {chain.asof}")
        row = _Row(
            delta=found.delta,
            volatility=found.implied_volatility,
            volume=found.volume,
            open_interest=found.open_interest,
        )
        names = ("delta", "volume", "open_interest")
        return _with_lacks(row, dict.fromkeys(names, f"the chain of {chain.asof} has none"))

    def _rank(
        self, chain: Chain, row: _Row
    ) -> tuple[Decimal | None, int | None, tuple[tuple[str, str], ...]]:
        """IV rank and observations; of a history that is whole and fresh."""
        name = "iv_observations"
        if chain.unread:
            return None, None, ((name, f"{chain.unread} stored days are still to be read"),)
        last = sessions.last_closed(self._desk.now)
        known = [(day, volatility) for day, volatility in chain.volatilities if day <= last]
        if not known:
            text = self._absent(f"no implied volatility of {chain.symbol}")
            return None, None, ((name, text),)
        newest = known[-1][0]
        if newest < sessions.shift(last, -STALE_SESSIONS):
            return None, None, ((name, f"the newest stored volatility is of {newest}"),)
        history = [volatility for _, volatility in known]
        if row.volatility is None:
            why = dict(row.lacks).get("delta", "the contract has no implied volatility")
            return None, len(history), (("iv_rank", why),)
        return iv_rank(row.volatility, history), len(history), ()

    def _absent(self, what: str) -> str:
        """What is not stored, or could not be read."""
        if self._fault:
            return f"the night's option chains cannot be read: {self._fault}"
        last = sessions.last_closed(self._desk.now)
        return f"{what} is stored; run: bft pull --asof {last}"

    def _vix(self) -> tuple[Decimal | None, float | None, tuple[tuple[str, str], ...]]:
        """VIX and its age in seconds; the level of a close is as old as that close."""
        found = self._desk.contracts.get(VIX)
        quote = self._desk.quote(found) if found is not None else None
        level, at = _level(quote) if quote is not None else (None, None)
        if level is None or at is None:
            return None, None, (("vix", f"{self._desk.broker.name} tells no VIX"),)
        return level, (self._desk.now - at).total_seconds(), ()


def expires_at(contract: Contract) -> datetime | None:
    """Close of the last session in which an option trades."""
    if contract.expiry is None:
        return None
    return sessions.close_at(sessions.on_or_before(contract.expiry))


def _level(quote: Quote) -> tuple[Decimal | None, datetime]:
    """A level and when it was one; a close told then is of the last session over by then."""
    if quote.last_usd and not quote.frozen:
        return quote.last_usd, quote.at
    closed = sessions.close_at(sessions.last_closed(quote.at))
    return quote.close_usd or quote.last_usd or None, closed


def _today(at: datetime | None, now: datetime) -> bool:
    return at is not None and trading_day(at) == trading_day(now)


def _lacking(why: str) -> _Row:
    return _with_lacks(_Row(), dict.fromkeys(("delta", "volume", "open_interest"), why))


def _with_lacks(row: _Row, why: Mapping[str, str]) -> _Row:
    """The row, with a reason for each field that is None."""
    lacks = tuple((name, text) for name, text in why.items() if getattr(row, name) is None)
    return replace(row, lacks=lacks)
