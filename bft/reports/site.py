"""The site's JSON files (data specification, section 9)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain import sessions
from bft.domain.runs import Json
from bft.reports.night import Night, fund_of, value
from bft.reports.pdf import fund_image
from bft.reports.screen import flags
from bft.reports.shown import CHARTED_FUNDS, FUND_NAMES, INDEX_NAMES, SECTOR_NAMES, SECTOR_ORDER
from bft.reports.symbol import (
    PCT_PLACES,
    PRICE_PLACES,
    instant,
    rounded,
    short_quote,
    signal_json,
    symbol_json,
)

HISTORY = {
    "close": "adjusted_close",
    "volume": "volume",
    "sma_20": "sma_20",
    "sma_50": "sma_50",
    "sma_200": "sma_200",
    "bb_upper": "bbands_upper_20",
    "bb_lower": "bbands_lower_20",
}


def files(
    night: Night,
    history: pa.Table,
    *,
    bullets: Mapping[str, list[str]],
    images: Sequence[str],
    screened: Sequence[str],
) -> Iterator[tuple[str, bytes]]:
    """Every file but the manifest, one at a time.

    `history` holds all rows on the asof basis, sorted by symbol and date. `images` are the
    screener's image names and `screened` its selected symbols; both may be empty.
    """
    articles = _articles(night)
    for symbol in night.now.index:
        body = symbol_json(night, symbol, bullets.get(symbol, []), articles.get(symbol))
        yield f"{symbol}.json", encoded({**body, **head(night)})
    yield from histories(history)
    members = _members(night)
    yield "sectors.json", encoded(_sectors(night, members))
    for fund in SECTOR_ORDER:
        yield f"sector_{fund}.json", encoded(_sector(night, fund, members[fund]))
    yield "signals_today.json", encoded(_signals(night))
    yield "overnight.json", encoded(_overnight(night, images, screened))


def manifest(night: Night, digests: Mapping[str, str]) -> bytes:
    """What the site consists of, and what it lacks."""
    quality = night.quality
    severe = {
        name: 0 if quality.empty else int((quality["severity"] == name).sum())
        for name in ("fail", "warn")
    }
    held = [] if quality.empty else quality[quality["severity"] == "quarantine"]["symbol"]
    body = {
        **head(night),
        "files": dict(sorted(digests.items())),
        "quality": {**severe, "quarantined": sorted(set(held))},
        "missing": missing(night),
    }
    return encoded(body)


def missing(night: Night) -> dict[str, str]:
    """Members without a row at asof, and since when."""
    if night.universe.empty:
        return {}
    last = {} if night.gold.empty else night.gold.groupby("symbol")["date"].max().to_dict()
    absent = sorted(set(night.universe.index) - set(night.now.index))
    return {
        symbol: f"last row {last[symbol].date()}" if symbol in last else "no row in the data read"
        for symbol in absent
    }


def encoded(body: Json) -> bytes:
    """Compact UTF-8 JSON; a NaN is an error."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (text + "\n").encode()


def histories(history: pa.Table) -> Iterator[tuple[str, bytes]]:
    """`<SYM>_history.json`: Arrow writes the rows' text, a symbol is one slice of it."""
    if not history.num_rows:
        return
    parts: list[Any] = ['{"date":"', pc.cast(history["date"], pa.string()), '"']
    for name, column in HISTORY.items():
        parts += [f',"{name}":', _text(history[column])]
    rows = pc.binary_join_element_wise(*parts, "}", "").combine_chunks()
    codes = pc.dictionary_encode(history["symbol"].combine_chunks())
    places = codes.indices.to_numpy()
    starts = np.r_[0, np.flatnonzero(np.diff(places)) + 1, len(places)].tolist()
    for start, end in pairwise(starts):
        lines = ",".join(rows.slice(start, end - start).to_pylist())
        yield f"{codes.dictionary[int(places[start])]}_history.json", f"[{lines}]\n".encode()


def _text(column: Any) -> Any:
    """Numbers as JSON text: prices to 2 decimals, unknown and NaN as null."""
    if pa.types.is_floating(column.type):
        column = pc.round(pc.cast(column, pa.float64()), PRICE_PLACES)
        column = pc.if_else(pc.is_finite(column), column, None)
    return pc.fill_null(pc.cast(column, pa.string()), "null")


def head(night: Night) -> Json:
    """What every object file begins with: the day, whether simulated, steps that failed."""
    failed = [asdict(one) for one in night.failed]
    return {"asof": str(night.asof), "simulated": night.simulated, "failed": failed}


def _articles(night: Night) -> dict[str, Any]:
    if night.news.empty:
        return {}
    known = night.news[night.news["published_at"] <= pd.Timestamp(sessions.evening(night.asof))]
    order = known.sort_values(["published_at", "article_id"], ascending=[False, True])
    return {str(symbol): rows for symbol, rows in order.groupby("symbol", sort=True)}


def _members(night: Night) -> dict[str, list[str]]:
    """Stocks of each sector fund, ascending; funds themselves are no members."""
    members: dict[str, list[str]] = {fund: [] for fund in SECTOR_ORDER}
    for symbol in sorted(night.now.index):
        fund = fund_of(value(night.now, symbol, "sector"))
        if fund in members and symbol not in FUND_NAMES:
            members[fund].append(symbol)
    return members


def _change(night: Night, symbols: Sequence[str]) -> float | None:
    if not symbols:
        return None
    mean = night.now.loc[list(symbols), "adjusted_close_pct"].mean()
    return None if pd.isna(mean) else rounded(mean, PCT_PLACES)


def _sectors(night: Night, members: Mapping[str, Sequence[str]]) -> Json:
    sectors = [
        {
            "id": fund,
            "name": SECTOR_NAMES[fund],
            "change_pct": _change(night, members[fund]),
            "stock_count": len(members[fund]),
        }
        for fund in SECTOR_ORDER
    ]
    indices = [
        {
            "id": fund,
            "name": name,
            **{k: short_quote(night, fund)[k] for k in ("price", "change_pct")},
        }
        for fund, name in INDEX_NAMES.items()
    ]
    return {
        **head(night),
        "sectors": sectors,
        "indices": indices,
        "total_stocks": sum(len(symbols) for symbols in members.values()),
        "last_updated": instant(night.asof),
    }


def _sector(night: Night, fund: str, symbols: Sequence[str]) -> Json:
    return {
        **head(night),
        "sector_id": fund,
        "name": SECTOR_NAMES[fund],
        "change_pct": _change(night, symbols),
        "stocks": [{"symbol": symbol, **short_quote(night, symbol)} for symbol in symbols],
    }


def _signals(night: Night) -> Json:
    rows = [] if night.signals.empty else night.signals.to_dict("records")
    listed = [signal_json(row) for row in rows]
    return {**head(night), "signals": listed, "date": str(night.asof), "count": len(listed)}


def _overnight(night: Night, images: Sequence[str], screened: Sequence[str]) -> Json:
    rows = flags(night.now.loc[sorted(set(screened) & set(night.now.index))])
    said = {symbol: [*row, sum(row)] for symbol, *row in rows.itertuples()}
    funds = {fund: fund_image(fund) for fund in CHARTED_FUNDS if fund_image(fund) in images}
    stocks = [name for name in images if name not in funds.values()]
    return {
        **head(night),
        "date": str(night.asof),
        "stocks": list(said),
        "signals": said,
        "stock_charts": {s: [name for name in stocks if name.startswith(f"{s}_")] for s in said},
        "sectors": [
            {"id": fund, "name": FUND_NAMES[fund], "filename": name} for fund, name in funds.items()
        ],
        "has_market_returns": "market_returns.jpg" in images,
    }
