"""The JSON of one symbol (data specification, section 9): null for unknown, never NaN."""

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from bft.domain import sessions
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.runs import Json
from bft.reports.night import Night, fund_of, value
from bft.reports.shown import FLAG_OF, INDEX_NAMES, SECTOR_NAMES

PRICE_PLACES, PCT_PLACES = 2, 4
ARTICLES = 20
LEANING = 0.15
"""Sentiment above it is bullish, below its negative bearish."""
_PRICES = {
    "price": "adjusted_close",
    "atr": "atr_14",
    "sma_20": "sma_20",
    "sma_50": "sma_50",
    "sma_200": "sma_200",
    "ema_20": "ema_20",
    "ema_50": "ema_50",
    "bbands_upper": "bbands_upper_20",
    "bbands_lower": "bbands_lower_20",
    "bbands_middle": "bbands_middle_20",
    "book_value": "book_value",
    "eps": "eps",
    "52_week_high": "52_week_high",
    "52_week_low": "52_week_low",
}
_RATIOS = {
    "rsi": "rsi_14",
    "macd": "macd",
    "macd_signal": "macd_9_ema",
    "adx": "adx_14",
    "cci": "cci_14",
    "pe_ratio": "pe_ratio",
    "price_to_book_ratio": "price_to_book_ratio",
    "beta": "beta",
    "dividend_yield": "dividend_yield",
    "forward_pe": "forward_pe",
}
_RATINGS = ("strong_buy", "buy", "hold", "sell", "strong_sell")
_PROVISIONAL_BIT = 16


def symbol_json(night: Night, symbol: str, bullets: list[str], news: Any) -> Json:
    """Everything the site shows of a symbol; `news` are its articles, newest first, or None."""
    return {
        "symbol": symbol,
        "report_date": str(night.asof),
        "quote": quote(night, symbol),
        "technical": _technical(night, symbol, bullets),
        "news": None if news is None else news_json(news),
        "earnings": _earnings(night, symbol),
        "signal": _signal(night, symbol),
        "forecast": _forecast(night, symbol),
        "meta": _meta(night, symbol),
    }


def quote(night: Night, symbol: str) -> Json:
    """Price, change and volume at asof."""
    flags = value(night.now, symbol, "row_flags") or 0
    return {
        **short_quote(night, symbol),
        "prev_close": rounded(value(night.before, symbol, "adjusted_close"), PRICE_PLACES),
        "provisional": bool(flags & _PROVISIONAL_BIT),
    }


def short_quote(night: Night, symbol: str) -> Json:
    """price, change_pct, volume, last_updated."""
    return {
        "price": rounded(value(night.now, symbol, "adjusted_close"), PRICE_PLACES),
        "change_pct": rounded(value(night.now, symbol, "adjusted_close_pct"), PCT_PLACES),
        "volume": value(night.now, symbol, "volume"),
        "last_updated": instant(night.asof),
    }


def instant(day: date) -> str:
    """Closing instant of a session."""
    return sessions.close_at(day).astimezone(UTC).isoformat()


def rounded(cell: Any, places: int) -> float | None:
    """A float of so many decimals; None stays None, minus zero becomes zero."""
    return None if cell is None else round(float(cell), places) + 0.0


def side(kind: str, direction: str) -> str:
    """BUY for a long entry; SELL for an exit or a short entry."""
    return "BUY" if (kind, direction) == ("entry", "long") else "SELL"


def signal_json(row: Mapping[str, Any]) -> Json:
    """One signal as the site lists it."""
    return {
        "symbol": row["symbol"],
        "type": side(row["kind"], row["direction"]),
        "strategy": row["strategy_id"],
        "reason": row["reason"],
        "confidence": rounded(row["confidence"], PCT_PLACES),
    }


def sentiment(articles: Any) -> float | None:
    """Relevance-weighted mean sentiment of the newest 20 articles."""
    rows = articles.head(ARTICLES).dropna(subset=["relevance", "sentiment"])
    weight = float(rows["relevance"].sum())
    return float((rows["relevance"] * rows["sentiment"]).sum()) / weight if weight > 0 else None


def label(score: float | None) -> str | None:
    """Bullish, bearish or neutral."""
    if score is None:
        return None
    return "bullish" if score > LEANING else "bearish" if score < -LEANING else "neutral"


def news_json(articles: Any) -> Json:
    """Sentiment and the newest articles; links other than http(s) become null."""
    score, newest = sentiment(articles), articles.head(ARTICLES)
    word = label(score)
    said = f"Sentiment {score:+.2f} over {len(newest)} articles." if score is not None else None
    return {
        "sentiment": rounded(score, PCT_PLACES),
        "label": word,
        "summary": said,
        "bullets": newest["title"].dropna().head(5).tolist(),
        "articles": [_article(row) for row in newest.to_dict("records")],
    }


def _article(row: Mapping[str, Any]) -> Json:
    at = row["published_at"]
    return {
        "title": row["title"],
        "source": row["publisher"],
        "url": link(row["url"]),
        "published_at": None if pd.isna(at) else at.isoformat(),
        "relevance": _float(row["relevance"]),
        "sentiment": _float(row["sentiment"]),
    }


def link(url: Any) -> str | None:
    """A web address, or None for anything else (javascript:, data:, files)."""
    text = url if isinstance(url, str) else ""
    return text if urlsplit(text).scheme in {"http", "https"} else None


def _float(cell: Any) -> float | None:
    return None if pd.isna(cell) else rounded(cell, PCT_PLACES)


def _whole(cell: Any) -> int | None:
    return None if cell is None else round(cell)


def _technical(night: Night, symbol: str, bullets: list[str]) -> Json:
    ratings = {
        name: _whole(value(night.now, symbol, f"analyst_rating_{name}")) for name in _RATINGS
    }
    now = night.now
    prices = {k: rounded(value(now, symbol, c), PRICE_PLACES) for k, c in _PRICES.items()}
    ratios = {k: rounded(value(now, symbol, c), PCT_PLACES) for k, c in _RATIOS.items()}
    return {
        **prices,
        **ratios,
        **{f"analyst_rating_{name}": count for name, count in ratings.items()},
        "analyst_ratings": ratings,
        "flags": {check: value(now, symbol, column) for check, column in FLAG_OF.items()},
        "summary": {"bullets": bullets},
    }


def _earnings(night: Night, symbol: str) -> Json | None:
    past, planned = night.earnings, night.earnings_calendar
    last = None if past.empty else _last(past[past["symbol"] == symbol], "fiscal_date_ending")
    coming = None if planned.empty else _next(planned, symbol, night.asof)
    if last is None and coming is None:
        return None
    return {
        "eps_estimate": _cell(last, "estimated_eps", PRICE_PLACES),
        "eps_actual": _cell(last, "reported_eps", PRICE_PLACES),
        "next_date": None if coming is None else str(coming["expected_on"].date()),
        "surprise_percentage": _cell(last, "surprise_percentage", PCT_PLACES),
    }


def _last(rows: Any, by: str) -> Any:
    known = rows.dropna(subset=["reported_eps"])
    return None if known.empty else known.sort_values(by).iloc[-1]


def _next(planned: Any, symbol: str, asof: date) -> Any:
    rows = planned[(planned["symbol"] == symbol) & planned["expected_on"].notna()]
    rows = rows[rows["expected_on"].dt.date > asof].sort_values("expected_on")
    return None if rows.empty else rows.iloc[0]


def _cell(row: Any, name: str, places: int) -> float | None:
    return None if row is None or pd.isna(row[name]) else rounded(row[name], places)


def _signal(night: Night, symbol: str) -> Json | None:
    if night.signals.empty:
        return None
    rows = night.signals[night.signals["symbol"] == symbol]
    if rows.empty:
        return None
    first = rows.assign(first=rows["tag"].isin(["exit", "execute"])).sort_values(
        ["first", "confidence", "signal_id"], ascending=[False, False, True]
    )
    row = first.iloc[0].to_dict()
    body = signal_json(row)
    del body["symbol"]
    return {**body, "id": row["signal_id"]}


def _forecast(night: Night, symbol: str) -> Json | None:
    if value(night.forecasts, symbol, "status") != "ok":
        return None
    return {
        "horizons": [_horizon(night.forecasts, symbol, days) for days in HORIZONS_DAYS],
        "consensus": value(night.forecasts, symbol, "consensus_direction"),
        "model_set": value(night.forecasts, symbol, "set_digest"),
    }


def _horizon(frame: Any, symbol: str, days: int) -> Json:
    expected = value(frame, symbol, f"expected_return_{days}d")
    buckets = [value(frame, symbol, f"prob_{k}_buck_{days}d") for k in range(3)]
    return {
        "days": days,
        "expected_return_pct": None if expected is None else rounded(100 * expected, PCT_PLACES),
        "prob_up": rounded(value(frame, symbol, f"prob_1_bin_{days}d"), PCT_PLACES),
        "bucket_probs": None if None in buckets else [rounded(p, PCT_PLACES) for p in buckets],
    }


def _meta(night: Night, symbol: str) -> Json:
    sector = fund_of(value(night.now, symbol, "sector"))
    return {
        "name": value(night.universe, symbol, "name"),
        "sector": SECTOR_NAMES[sector] if sector else None,
        "industry": value(night.now, symbol, "industry"),
        "exchange": value(night.now, symbol, "exchange"),
        "market_capitalization": _whole(value(night.now, symbol, "market_capitalization")),
        "shares_outstanding": _whole(value(night.now, symbol, "shares_outstanding")),
        "is_etf": is_fund(night, symbol),
    }


def is_fund(night: Night, symbol: str) -> bool:
    """Tell whether a symbol is a fund: by the universe, or as one of the context funds."""
    said = value(night.universe, symbol, "is_etf")
    return bool(said) or symbol in SECTOR_NAMES or symbol in INDEX_NAMES
