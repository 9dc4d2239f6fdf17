"""Alpha Vantage payloads to tables; a row with a number that is none is refused and counted."""

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bft.adapters.sources.av_quirks import Repeated
from bft.adapters.sources.cells import dates, floats
from bft.domain.delivery import Skips, Want
from bft.domain.sessions import NEW_YORK
from bft.domain.symbols import symbol_of

_INSTANT = pa.timestamp("us", tz="UTC")
Rows = Sequence[Mapping[str, Any]]
Parser = Callable[[Any, Want, Skips], dict[str, pa.Table]]

_BAR = {
    "open": "1. open",
    "high": "2. high",
    "low": "3. low",
    "close": "4. close",
    "vendor_adjusted_close": "5. adjusted close",
    "volume": "6. volume",
    "dividend_amount": "7. dividend amount",
    "split_coefficient": "8. split coefficient",
}
_OVERVIEW_TEXT = {
    "name": "Name",
    "asset_type": "AssetType",
    "exchange": "Exchange",
    "country": "Country",
    "sector": "Sector",
    "industry": "Industry",
}
_OVERVIEW = {
    "market_capitalization": "MarketCapitalization",
    "book_value": "BookValue",
    "dividend_yield": "DividendYield",
    "eps": "EPS",
    "price_to_book_ratio": "PriceToBookRatio",
    "beta": "Beta",
    "shares_outstanding": "SharesOutstanding",
    "52_week_high": "52WeekHigh",
    "52_week_low": "52WeekLow",
    "forward_pe": "ForwardPE",
    "analyst_rating_strong_buy": "AnalystRatingStrongBuy",
    "analyst_rating_buy": "AnalystRatingBuy",
    "analyst_rating_hold": "AnalystRatingHold",
    "analyst_rating_sell": "AnalystRatingSell",
    "analyst_rating_strong_sell": "AnalystRatingStrongSell",
}
_REPORT = {
    "reported_eps": "reportedEPS",
    "estimated_eps": "estimatedEPS",
    "surprise": "surprise",
    "surprise_percentage": "surprisePercentage",
}
_STATEMENT = {
    "total_equity_usd": "totalShareholderEquity",
    "shares_outstanding": "commonStockSharesOutstanding",
}
_OPTION = (
    "strike last mark bid ask bid_size ask_size volume open_interest implied_volatility "
    "delta gamma theta vega rho"
).split()
_QUOTE = {
    "last": "close",
    "open": "open",
    "high": "high",
    "low": "low",
    "prev_close": "previous_close",
    "volume": "volume",
}
_ONE_QUOTE = {
    "last": "05. price",
    "open": "02. open",
    "high": "03. high",
    "low": "04. low",
    "prev_close": "08. previous close",
    "volume": "06. volume",
}


_FIELDS = {
    "macd": {"macd": "MACD", "macd_9_ema": "MACD_Signal"},
    "bbands_20": {
        f"bbands_{band}_20": f"Real {band.title()} Band" for band in ("upper", "middle", "lower")
    },
}
"""Fields of indicator calls that hold several; the others hold one of the function's name."""


def bars(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Daily bars with dividends and split coefficients; a day that is told twice is there twice."""
    series = payload["Time Series (Daily)"]
    pairs = series.pairs if isinstance(series, Repeated) else list(series.items())
    rows = [row if isinstance(row, dict) else {} for _, row in pairs]
    days = _days([day for day, _ in pairs])
    made = _table(rows, numbers=_BAR, named=want.name, skips=skips, given={"date": days})
    return {"bars": made}


def overview(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """One snapshot of a company."""
    made = _table([payload], numbers=_OVERVIEW, texts=_OVERVIEW_TEXT, named=want.name, skips=skips)
    return {"fundamentals": made}


def earnings(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Quarterly reports."""
    rows = payload["quarterlyEarnings"]
    given = {
        "fiscal_date_ending": _days(_cells(rows, "fiscalDateEnding")),
        "reported_on": _days(_cells(rows, "reportedDate")),
    }
    texts = {"report_time": "reportTime"}
    made = _table(rows, numbers=_REPORT, texts=texts, named=want.name, skips=skips, given=given)
    return {"earnings": made}


def statements(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Equity and share counts by quarter."""
    rows = payload["quarterlyReports"]
    given = {"fiscal_date_ending": _days(_cells(rows, "fiscalDateEnding"))}
    made = _table(rows, numbers=_STATEMENT, named=want.name, skips=skips, given=given)
    return {"statements": made}


def splits(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Splits with their effective dates."""
    rows = payload["data"]
    given = {"ex_date": _days(_cells(rows, "effective_date"))}
    made = _table(
        rows, numbers={"value": "split_factor"}, named=want.name, skips=skips, given=given
    )
    return {"actions": made.append_column("kind", pa.array(["split"] * len(made), pa.string()))}


def options(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """A whole chain as delivered."""
    rows = payload["data"]
    given = {"date": _days(_cells(rows, "date")), "expiration": _days(_cells(rows, "expiration"))}
    texts = {"contract_id": "contractID", "type": "type"}
    numbers = {name: name for name in _OPTION}
    return {
        "options": _table(
            rows, numbers=numbers, texts=texts, named=want.name, skips=skips, given=given
        )
    }


def macro(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """A whole macro series; values the vendor does not have are left out."""
    rows = payload["data"]
    given = {"reference_on": _days(_cells(rows, "date"))}
    made = _table(rows, numbers={"value": "value"}, named=want.name, skips=skips, given=given)
    made = made.rename_columns(["series", *made.column_names[1:]])
    return {"macro": made.filter(pc.is_valid(made["value"]))}


def news(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Articles about the symbol; an article's id is the digest of its address."""
    rows = []
    for item in payload["feed"]:
        mine = [t for t in item.get("ticker_sentiment", ()) if t.get("ticker") == want.name]
        published = _published(str(item.get("time_published", "")))
        if mine and published and item.get("url"):
            rows.append({**item, **mine[0], "published_at": published})
        elif mine:
            skips.add("bad_article", [f"{want.name} {item.get('title', '')}"[:80]])
    numbers = {"relevance": "relevance_score", "sentiment": "ticker_sentiment_score"}
    texts = {"title": "title", "url": "url", "publisher": "source", "summary": "summary"}
    ids = [hashlib.sha256(str(row["url"]).encode()).hexdigest() for row in rows]
    given = {
        "published_at": pa.array([row["published_at"] for row in rows], _INSTANT),
        "article_id": pa.array(ids, pa.string()),
    }
    made = _table(rows, numbers=numbers, texts=texts, named=want.name, skips=skips, given=given)
    return {"news": made}


def calendar(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Expected reports of all symbols."""
    rows = list(csv.DictReader(io.StringIO(payload)))
    given = {
        "fiscal_date_ending": _days(_cells(rows, "fiscalDateEnding")),
        "expected_on": _days(_cells(rows, "reportDate")),
    }
    made = _table(rows, numbers={"estimate": "estimate"}, named=None, skips=skips, given=given)
    return {"earnings_calendar": made}


def listings(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Listed or delisted symbols; what is no symbol here (units, warrants) is refused."""
    rows = list(csv.DictReader(io.StringIO(payload)))
    texts = {"name": "name", "exchange": "exchange", "asset_type": "assetType"}
    known = {"active": True, "delisted": False}
    given = {
        "active": pa.array([known.get(row["status"].lower()) for row in rows], pa.bool_()),
        "ipo_on": _days(_cells(rows, "ipoDate")),
        "delisted_on": _days(_cells(rows, "delistingDate")),
    }
    made = _table(rows, numbers={}, texts=texts, named=None, skips=skips, given=given)
    return {"listings": made}


def quotes(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Real-time quotes of up to 100 symbols; a time without zone is New York's."""
    rows = payload["data"]
    given = {
        "at": pa.array([_moment(str(row.get("timestamp", ""))) for row in rows], _INSTANT),
        "bulk": pa.array([True] * len(rows), pa.bool_()),
    }
    return {"quotes": _table(rows, numbers=_QUOTE, named=None, skips=skips, given=given)}


def quote(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """One delayed quote, dated by its trading day."""
    row = payload["Global Quote"]
    day = _moment(f"{row.get('07. latest trading day', '')} 16:00:00")
    given = {"at": pa.array([day], _INSTANT), "bulk": pa.array([False])}
    return {"quotes": _table([row], numbers=_ONE_QUOTE, named=want.name, skips=skips, given=given)}


def indicator(payload: Any, want: Want, skips: Skips) -> dict[str, pa.Table]:
    """Values of one indicator call, by our column names."""
    key = next(name for name in payload if name.startswith("Technical Analysis"))
    series = payload[key]
    numbers = _FIELDS.get(want.series) or {want.series: key.rpartition(" ")[2]}
    given = {"date": _days(list(series))}
    rows = list(series.values())
    made = _table(rows, numbers=numbers, named=want.name, skips=skips, given=given)
    return {"indicators": made}


def _table(
    rows: Rows,
    *,
    numbers: Mapping[str, str],
    named: str | None,
    skips: Skips,
    texts: Mapping[str, str] | None = None,
    given: Mapping[str, pa.Array] | None = None,
) -> pa.Table:
    """Columns symbol, given ones, texts, numbers; `named` is all rows' symbol, else their own.

    Refuses rows without a symbol, without the first of the given columns, or with a word for a
    number.
    """
    symbols = [named if named is not None else _symbol(row) for row in rows]
    columns: dict[str, pa.Array] = {"symbol": pa.array(symbols, pa.string()), **(given or {})}
    good = pc.is_valid(columns["symbol"])
    for column in list(columns.values())[:2]:
        good = pc.and_(good, pc.is_valid(column))
    for name, key in (texts or {}).items():
        columns[name] = pa.array([_word(row.get(key)) for row in rows], pa.string())
    for name, key in numbers.items():
        columns[name], bad = floats(pa.array(_cells(rows, key), pa.string()))
        good = pc.and_(good, pc.invert(bad))
    table = pa.table(columns)
    odd = table.filter(pc.invert(good))
    first = odd.slice(0, 20).to_pylist()
    names = [" ".join(str(v) for v in list(row.values())[:2]) for row in first]
    skips.add("bad_row", names, count=odd.num_rows)
    return table.filter(good)


def _days(cells: list[str | None]) -> pa.Array:
    return dates(pa.array(cells, pa.string()))


def _cells(rows: Rows, key: str) -> list[str | None]:
    return [None if row.get(key) is None else str(row[key]) for row in rows]


def _word(value: Any) -> str | None:
    text = str(value).strip() if value is not None else ""
    return None if text in {"", "None", "-", "null"} else text


def _symbol(row: Mapping[str, Any]) -> str | None:
    return symbol_of(str(row.get("symbol") or ""))


def _published(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:15].ljust(15, "0"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text[:26])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)


def newest(table: pa.Table, column: str = "date") -> date | None:
    """Newest day of a table."""
    found: date | None = pc.max(table[column]).as_py() if table.num_rows else None
    return found
