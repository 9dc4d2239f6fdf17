"""Alpha Vantage, and the shipped simulator that speaks the same (data specification, 1.1-1.8)."""

import gzip
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bft.adapters.sources import av_tables
from bft.adapters.sources.av_client import Client, Reply, Unit
from bft.adapters.sources.av_quirks import Kind, judge
from bft.domain.delivery import Answer, Skips, Want
from bft.domain.errors import BftError, DataError
from bft.ports import Clock, Store, Tick

STAGED_H = 12
"""Hours for which the answers of an interrupted pull are reused."""
MACRO: dict[str, tuple[str, dict[str, str]]] = {
    "treasury_yield_2year": ("TREASURY_YIELD", {"interval": "daily", "maturity": "2year"}),
    "treasury_yield_10year": ("TREASURY_YIELD", {"interval": "daily", "maturity": "10year"}),
    "ffer": ("FEDERAL_FUNDS_RATE", {"interval": "daily"}),
    "cpi": ("CPI", {"interval": "monthly"}),
    "inflation": ("INFLATION", {}),
    "retail_sales": ("RETAIL_SALES", {}),
    "durables": ("DURABLES", {}),
    "unemployment": ("UNEMPLOYMENT", {}),
    "nonfarm_payroll": ("NONFARM_PAYROLL", {}),
}
INDICATORS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"sma_{n}": ("SMA", {"time_period": str(n)}) for n in (20, 50, 200)},
    **{f"ema_{n}": ("EMA", {"time_period": str(n)}) for n in (20, 50, 200)},
    "macd": ("MACD", {}),
    "rsi_14": ("RSI", {"time_period": "14"}),
    "adx_14": ("ADX", {"time_period": "14"}),
    "atr_14": ("ATR", {"time_period": "14"}),
    "cci_14": ("CCI", {"time_period": "14"}),
    "bbands_20": ("BBANDS", {"time_period": "20"}),
}
"""The twelve calls of 1.7 by what they hold."""
FUNCTIONS = {
    "bars": "TIME_SERIES_DAILY_ADJUSTED",
    "fundamentals": "OVERVIEW",
    "earnings": "EARNINGS",
    "statements": "BALANCE_SHEET",
    "splits": "SPLITS",
    "options": "HISTORICAL_OPTIONS",
    "contracts": "REALTIME_OPTIONS",
    "quotes": "REALTIME_BULK_QUOTES",
    "quote": "GLOBAL_QUOTE",
}
"""Functions that are asked with symbols (quotes: up to 100, comma-separated), by topic."""
PARSERS: Mapping[str, av_tables.Parser] = {
    "TIME_SERIES_DAILY_ADJUSTED": av_tables.bars,
    "OVERVIEW": av_tables.overview,
    "EARNINGS": av_tables.earnings,
    "BALANCE_SHEET": av_tables.statements,
    "SPLITS": av_tables.splits,
    "HISTORICAL_OPTIONS": av_tables.options,
    "REALTIME_OPTIONS": av_tables.options,
    "REALTIME_BULK_QUOTES": av_tables.quotes,
    "GLOBAL_QUOTE": av_tables.quote,
    "NEWS_SENTIMENT": av_tables.news,
    "EARNINGS_CALENDAR": av_tables.calendar,
    "LISTING_STATUS": av_tables.listings,
    **{function: av_tables.macro for function, _ in MACRO.values()},
    **{function: av_tables.indicator for function, _ in INDICATORS.values()},
}
_ASK_AGAIN = {"stale_day", "sample_data"}
"""Outcomes that a later call of the same night may better: not staged."""
_NOW = {"quotes", "quote", "contracts"}
"""Answers that are of use for seconds: never staged."""
WAIT_S = 0.5
AHEAD = 4  # answers per worker that may wait for their turn
TOPICS = (
    "listings",
    "earnings_calendar",
    "bars",
    "splits",
    "fundamentals",
    "earnings",
    "statements",
    "options",
    "news",
    "macro",
    "indicators",
)


class AlphaVantage:
    """The Source port over HTTP; `sim` asks the simulator as of the evening of asof."""

    bulk = False
    topics = TOPICS

    def __init__(
        self, client: Client, *, store: Store, clock: Clock, sim: bool, address: str, in_flight: int
    ) -> None:
        self.name = "sim" if sim else "alphavantage"
        self.replayed, self.live = sim, not sim
        self._client, self._store, self._clock = client, store, clock
        self._address, self._in_flight = address, in_flight
        self._world = None if sim else ""  # None: not asked yet

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self._client.calls

    def check(self) -> None:
        """See that somebody listens, where the address is one of this machine.

        Raises:
            ConfigError: nobody does.
        """
        self._client.check_listening()

    def world(self) -> str:
        """The command of the simulator's world; empty of the vendor itself."""
        if self.name == "sim":
            self._world = self._client.world()
        return self._world or ""

    def digests(self) -> Mapping[str, str]:
        """None: a vendor's answers for a night are asked for once, wherever it listens."""
        return {}

    def fetch(
        self, wants: Sequence[Want], *, asof: date, fresh: bool, tick: Tick
    ) -> Iterator[Answer]:
        """Ask with at most `in_flight` calls under way; answers come in order."""
        if self._world is None:
            self.world()
        ahead = AHEAD * self._in_flight
        self._client.start()
        waiting: deque[Future[Answer]] = deque()
        with ThreadPoolExecutor(self._in_flight, thread_name_prefix="pull") as pool:
            try:
                for done, want in enumerate(wants):
                    waiting.append(pool.submit(self._answer, want, asof, fresh=fresh))
                    if len(waiting) > ahead:
                        tick(done - ahead, len(wants), want.topic)
                        yield _result(waiting.popleft())
                while waiting:
                    yield _result(waiting.popleft())
            except BftError:  # calls under way are counted already: their answers are kept
                self._client.drain()
                raise
            except BaseException:  # Ctrl-C, or nobody reads on
                self._client.stop()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, want: Want, asof: date, *, fresh: bool) -> Answer:
        unit, now = unit_of(want, asof), want.topic in _NOW
        staged = None if fresh or now else self._staged(unit, asof)
        reply = staged or self._client.ask(unit, asof=asof)
        answer = self._told(want, unit, reply, asof)
        if want.topic == "quotes" and answer.skipped in {"sample_data", "premium"}:
            return self._one_by_one(want, asof, answer)
        if not (staged or now) and reply.text and answer.skipped not in _ASK_AGAIN:
            self._stage(unit, asof, reply)
        return answer

    def _one_by_one(self, want: Want, asof: date, bulk: Answer) -> Answer:
        """Quotes of a plan without bulk quotes."""
        refused, tables = Skips(), []
        for symbol in want.name.split(","):
            one = self._answer(replace(want, topic="quote", name=symbol), asof, fresh=True)
            refused.take(one.refused)
            refused.add(one.skipped or "", [symbol] if one.skipped else [])
            tables += [one.tables["quotes"]] if one.tables else []
        if not tables:
            return replace(bulk, refused=refused)
        rows = {"quotes": pa.concat_tables(tables)}
        return Answer(want=want, source=bulk.source, tables=rows, refused=refused)

    def _told(self, want: Want, unit: Unit, reply: Reply, asof: date) -> Answer:
        """Facts of a reply, or why there are none."""
        kind, source = reply.verdict.kind, "sim" if reply.simulated else self.name
        if kind is not Kind.FACTS:
            detail = reply.verdict.detail
            notes = (f"{unit.words}: {detail}",) if kind is Kind.MISSING else ()
            return Answer(want=want, source=source, skipped=str(kind), notes=notes)
        refused = Skips()
        try:
            tables = PARSERS[unit.function](reply.verdict.payload, want, refused)
        except (KeyError, TypeError, AttributeError):
            return Answer(want=want, source=source, skipped="bad_form")
        if _stale(want, tables, asof):
            return Answer(want=want, source=source, skipped="stale_day", tables=tables)
        return Answer(want=want, source=source, tables=tables, refused=refused)

    def _key(self, unit: Unit, asof: date) -> str:
        """Of the vendor by its address, of a simulator by its world: one address serves several."""
        answers = self._world or self._address
        digest = hashlib.sha256(f"{answers} {unit.words}".encode()).hexdigest()
        return f"staging/pull/asof={asof}/{unit.function}/{digest[:20]}.json.gz"

    def _stage(self, unit: Unit, asof: date, reply: Reply) -> None:
        at = self._clock.now().isoformat()
        body = {"at": at, "simulated": reply.simulated, "text": reply.text}
        data = gzip.compress(json.dumps(body).encode(), compresslevel=1, mtime=0)
        self._store.put(self._key(unit, asof), data)

    def _staged(self, unit: Unit, asof: date) -> Reply | None:
        try:
            body = json.loads(gzip.decompress(self._store.get(self._key(unit, asof))))
        except DataError:
            return None
        age = self._clock.now() - datetime.fromisoformat(body["at"])
        if age >= timedelta(hours=STAGED_H):
            return None
        verdict = judge(unit.function, body["text"], asked=unit.asked)
        return Reply(text=body["text"], simulated=body["simulated"], verdict=verdict)


def _result(future: Future[Answer]) -> Answer:
    """The answer, once it is there.

    A signal that comes when a wait is about to begin is heard when the wait ends: waits are short.
    """
    while not wait((future,), WAIT_S).done:
        pass
    return future.result()


def unit_of(want: Want, asof: date) -> Unit:
    """The call that answers a want."""
    function, parameters = _call(want, asof)
    symbols = parameters.get("symbol", "")
    return Unit(
        function=function,
        parameters=tuple(sorted(parameters.items())),
        asked=frozenset(symbols.split(",")) if symbols else frozenset(),
        at=want.at,
    )


def _call(want: Want, asof: date) -> tuple[str, dict[str, str]]:
    if want.topic == "macro":
        return MACRO[want.name]
    if want.topic == "indicators":
        function, parameters = INDICATORS[want.series]
        fixed = {"symbol": want.name, "interval": "daily", "series_type": "close"}
        return function, {**fixed, **parameters}
    if want.topic == "news":
        since = {"time_from": f"{want.since:%Y%m%dT%H%M}"} if want.since else {}
        return "NEWS_SENTIMENT", {
            "tickers": want.name,
            "sort": "EARLIEST",
            "limit": "1000",
            **since,
        }
    if want.topic == "earnings_calendar":
        return "EARNINGS_CALENDAR", {"horizon": "3month"}
    if want.topic == "listings":
        return "LISTING_STATUS", {"state": want.name}
    function = FUNCTIONS[want.topic]
    extra = {
        "TIME_SERIES_DAILY_ADJUSTED": {"outputsize": "full" if want.full else "compact"},
        "HISTORICAL_OPTIONS": {"date": str(asof)},
        "REALTIME_OPTIONS": {"require_greeks": "true"},
    }
    return function, {"symbol": want.name, **extra.get(function, {})}


def _stale(want: Want, tables: Mapping[str, pa.Table], asof: date) -> bool:
    """Whether bars end before asof, or a chain is of another day."""
    if want.topic == "bars":
        newest = av_tables.newest(tables["bars"])
        return newest is None or newest < asof
    if want.topic == "options":
        return any(day != asof for day in pc.unique(tables["options"]["date"]).to_pylist())
    return False
