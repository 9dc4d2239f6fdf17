"""Import from the MySQL database of an older installation (data specification, 1.10).

Read rights suffice. Rows are streamed symbol by symbol, and each (table, symbol) is staged, so an
interrupted import goes on where it stopped and needs little memory.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bft.adapters.sources.cells import mapped
from bft.adapters.sources.memory import arrow_reader
from bft.domain.delivery import Answer, Skips, Want
from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.domain.market import MACRO_SERIES
from bft.domain.symbols import symbol_of
from bft.ports import Store, Tick

ROWS_A_FETCH = 100_000
_DENIED = {1044, 1045, 1049, 1142, 1143, 1698}
_MISSING = {1054, 1146}


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """A table of the old database: its day column, and its columns by their names here.

    `kinds`: d a date, s text, i8 a whole number; all else is f8.
    """

    table: str
    columns: Mapping[str, str]
    day: str | None = None
    by_symbol: bool = True
    kinds: Mapping[str, str] = field(default_factory=dict)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_RATINGS = tuple(
    f"analyst_rating_{n}" for n in ("strong_buy", "buy", "hold", "sell", "strong_sell")
)
_GREEKS = ("implied_volatility", "delta", "gamma", "theta", "vega", "rho")
_AVERAGES = tuple(f"{kind}_{n}" for kind in ("sma", "ema") for n in (20, 50, 200))
_BANDS = tuple(f"bbands_{band}_20" for band in ("upper", "middle", "lower"))
TABLES = {
    "bars": Legacy(
        table="core_stock",
        day="date",
        columns={
            **_same("date", "open", "high", "low", "close", "volume"),
            "vendor_adjusted_close": "adjusted_close",
        },
    ),
    "indicators": Legacy(
        table="technical_indicators",
        day="date",
        columns=_same("date", *_AVERAGES, "macd", "rsi_14", "adx_14", "atr_14", "cci_14", *_BANDS),
    ),
    "macro": Legacy(
        table="economic_indicators",
        day="date",
        by_symbol=False,
        columns=_same("date", *MACRO_SERIES),
    ),
    "earnings": Legacy(
        table="quarterly_earnings",
        day="fiscal_date_ending",
        columns=_same(
            *("fiscal_date_ending", "reported_eps", "estimated_eps"),
            *("surprise", "surprise_percentage"),
        ),
    ),
    "fundamentals": Legacy(
        table="company_overview",
        kinds=dict.fromkeys(("exchange", "country", "sector", "industry"), "s"),
        columns=_same(
            *("exchange", "country", "sector", "industry", "market_capitalization"),
            *("shares_outstanding", "book_value", "dividend_yield", "eps", "price_to_book_ratio"),
            *("beta", "52_week_high", "52_week_low", "forward_pe", *_RATINGS),
        ),
    ),
    "actions": Legacy(
        table="stock_splits",
        day="ex_date",
        columns={"ex_date": "effective_date", "value": "split_factor"},
    ),
    "options": Legacy(
        table="historical_options",
        day="date",
        kinds={"contract_id": "s", "type": "s", "expiration": "d"},
        columns=_same(
            *("contract_id", "date", "type", "expiration", "strike", "last", "mark", "bid", "ask"),
            *("volume", *_GREEKS),
        ),
    ),
    "options_summary": Legacy(
        table="options_daily_summary",
        day="date",
        columns=_same("date", "call_volume", "put_volume", "total_volume"),
    ),
}
_ARROW = {"d": pa.date32(), "s": pa.string()}


class MySql:
    """The Source port over an old database; answers are staged by (table, symbol)."""

    name = "mysql"
    replayed, bulk, live = False, True, False
    calls = 0
    topics = tuple(TABLES)

    def __init__(self, url: str, *, password: str, store: Store) -> None:
        try:
            parsed = sa.make_url(url)
            if parsed.password is not None:  # arguments stand in lineage, markers and run records
                raise ConfigError("--source mysql:URL: no password in it; set BFT_MYSQL_PASSWORD")
            parsed = parsed.set(password=password) if password else parsed
            self._engine = sa.create_engine(parsed, connect_args={"connect_timeout": 5})
        except (SQLAlchemyError, ImportError) as error:
            raise ConfigError(
                f"--source mysql:URL: {error}; give mysql:mysql+pymysql://user@host:3306/name"
            ) from error
        self._shown = parsed.render_as_string(hide_password=True)
        self._store = store

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def check(self) -> None:
        """Nothing: its address was read when this was made, and a server may be waited for."""

    def world(self) -> str:
        """None: an older installation's prices are no simulator's."""
        return ""

    def digests(self) -> Mapping[str, str]:
        """None: what lies there may change, `--fresh` reads it again."""
        return {}

    def fetch(
        self, wants: Sequence[Want], *, asof: date, fresh: bool, tick: Tick
    ) -> Iterator[Answer]:
        """Read a table whole, or of one symbol where the want names it."""
        for done, want in enumerate(wants):
            tick(done, len(wants), f"{want.topic} {want.name}".strip())
            if want.topic not in TABLES:  # an old database holds no quotes
                yield Answer(want=want, source=self.name, skipped="absent")
                continue
            legacy, refused = TABLES[want.topic], Skips()
            names = [want.name] if want.name else self._symbols(legacy)
            parts = [self._part(want.topic, name, asof, fresh=fresh) for name in names]
            rows = pa.concat_tables(parts) if parts else _empty(want.topic)
            if legacy.by_symbol:
                rows = _normalised(rows, legacy, refused)
            tables = {want.topic: _SHAPES.get(want.topic, _as_is)(rows)}
            yield Answer(want=want, tables=tables, source=self.name, refused=refused)

    def _symbols(self, legacy: Legacy) -> list[str]:
        if not legacy.by_symbol:
            return [""]
        words = f"SELECT DISTINCT symbol FROM {legacy.table} ORDER BY symbol"  # noqa: S608  our own names
        with self._reading(legacy.table) as connection:
            return [row[0] for row in connection.execute(sa.text(words))]

    def _part(self, topic: str, symbol: str, asof: date, *, fresh: bool) -> pa.Table:
        address = hashlib.sha256(self._shown.encode()).hexdigest()[:12]
        place = f"staging/pull/asof={asof}/mysql-{address}/{topic}/{symbol or 'all'}.parquet"
        if not fresh and self._store.digest(place) is not None:
            return pq.read_table(arrow_reader(self._store.get(place)))
        rows = pa.Table.from_batches(self._stream(topic, symbol), _schema(topic))
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        self._store.put(place, sink.getvalue())
        return rows

    def _stream(self, topic: str, symbol: str) -> Iterator[pa.RecordBatch]:
        legacy, schema = TABLES[topic], _schema(topic)
        names = [f"`{column}`" for column in _selected(legacy).values()]
        where = "WHERE symbol = :symbol" if legacy.by_symbol else ""
        order = f"ORDER BY `{legacy.columns[legacy.day]}`" if legacy.day else ""
        words = f"SELECT {', '.join(names)} FROM {legacy.table} {where} {order}"  # noqa: S608  our own names
        with self._reading(legacy.table) as connection:
            streamed = connection.execution_options(stream_results=True)
            given = {"symbol": symbol} if legacy.by_symbol else {}
            found = streamed.execute(sa.text(words), given)
            while rows := found.fetchmany(ROWS_A_FETCH):
                yield _batch(legacy, schema, list(zip(*rows, strict=True)))

    @contextmanager
    def _reading(self, table: str) -> Iterator[sa.Connection]:
        """A connection; what goes wrong is told by the server's error number."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            number = error.orig.args[0] if error.orig and error.orig.args else 0
            what = f"{self._shown} table {table}: {error.orig}"
            if number in _DENIED:
                raise ConfigError(f"{what}; check the user and BFT_MYSQL_PASSWORD_FILE") from error
            if number in _MISSING:
                raise DataError(f"{what}; it must be the old installation's table") from error
            raise UnavailableError(f"{what}; run the same command again") from error


def _selected(legacy: Legacy) -> dict[str, str]:
    return {**({"symbol": "symbol"} if legacy.by_symbol else {}), **legacy.columns}


def _schema(topic: str) -> pa.Schema:
    legacy = TABLES[topic]
    kinds = {"symbol": "s", **({legacy.day: "d"} if legacy.day else {}), **legacy.kinds}
    return pa.schema(
        [(name, _ARROW.get(kinds.get(name, ""), pa.float64())) for name in _selected(legacy)]
    )


def _empty(topic: str) -> pa.Table:
    return _schema(topic).empty_table()


def _batch(legacy: Legacy, schema: pa.Schema, columns: list[tuple[Any, ...]]) -> pa.RecordBatch:
    arrays = [
        pa.array([_day(v, legacy.table) for v in values], spec.type)
        if spec.type == pa.date32()
        else pa.array([None if v is None else _plain(v) for v in values], spec.type)
        for spec, values in zip(schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def _day(value: Any, table: str) -> date | None:
    if not isinstance(value, datetime):
        return value if isinstance(value, date) else None
    if value.time() != time(0):
        raise DataError(f"{table}: {value} has a time of day and no zone; give days at 00:00")
    return value.date()


def _normalised(rows: pa.Table, legacy: Legacy, refused: Skips) -> pa.Table:
    """Rows whose symbol is one, and that have a day."""
    symbols = mapped(rows["symbol"].combine_chunks(), symbol_of, pa.string())
    odd = pc.unique(rows["symbol"].filter(pc.is_null(symbols))).to_pylist()
    refused.add("bad_symbol", [f"{legacy.table}: {text}" for text in odd])
    rows = rows.set_column(0, "symbol", symbols)
    good = pc.is_valid(symbols)
    if legacy.day:
        good = pc.and_(good, pc.is_valid(rows[legacy.day]))
    return rows.filter(good)


def _as_is(rows: pa.Table) -> pa.Table:
    return rows


def _splits(rows: pa.Table) -> pa.Table:
    return rows.append_column("kind", pa.array(["split"] * rows.num_rows, pa.string()))


def _cells(rows: pa.Table) -> pa.Table:
    """One row per series and day that has a value."""
    parts = [
        pa.table(
            {
                "series": pa.array([series] * rows.num_rows, pa.string()),
                "reference_on": rows["date"],
                "value": rows[series],
            }
        )
        for series in MACRO_SERIES
    ]
    whole = pa.concat_tables(parts)
    return whole.filter(pc.is_valid(whole["value"]))


_SHAPES: Mapping[str, Callable[[pa.Table], pa.Table]] = {"actions": _splits, "macro": _cells}
