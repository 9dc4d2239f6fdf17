"""What an Alpha Vantage answer is: facts, nothing, a notice in disguise, or broken (1.2).

HTTP 200 proves nothing and notices change wording, so the absence of the data key comes first.
"""

import csv
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bft.domain.symbols import symbol_of

DATA_KEYS = {
    "TIME_SERIES_DAILY_ADJUSTED": "Time Series (Daily)",
    "OVERVIEW": "Symbol",
    "EARNINGS": "quarterlyEarnings",
    "BALANCE_SHEET": "quarterlyReports",
    "NEWS_SENTIMENT": "feed",
    "GLOBAL_QUOTE": "Global Quote",
    **{
        name: f"Technical Analysis: {name}"
        for name in ("SMA", "EMA", "MACD", "RSI", "ADX", "ATR", "CCI", "BBANDS")
    },
}
"""Key that holds the facts; `data` for all other functions."""
CSV_HEADERS = {"EARNINGS_CALENDAR": "symbol,name,reportDate", "LISTING_STATUS": "symbol,name,exch"}
_NOTICES = (
    ("minute_limit", r"frequency|per minute|per second|spreading out"),
    ("day_limit", r"requests per day"),
    ("demo_key", r"\bdemo\b"),
    ("premium", r"premium|entitlement"),
    ("missing", r"invalid inputs"),  # NEWS_SENTIMENT of an unknown ticker
)


class Kind(StrEnum):
    """What became of a call."""

    FACTS = "facts"
    EMPTY = "empty"
    MISSING = "missing"
    SAMPLE = "sample_data"
    PREMIUM = "premium"
    MINUTE_LIMIT = "minute_limit"
    DAY_LIMIT = "day_limit"
    DEMO_KEY = "demo_key"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Kind of a body; `payload` is the parsed JSON, or the CSV text."""

    kind: Kind
    payload: Any = None
    detail: str = ""


class Repeated(dict[str, Any]):
    """A JSON object that names a key more than once; `pairs` holds them all."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def judge(function: str, text: str, *, asked: frozenset[str]) -> Verdict:
    """Tell what a body is; `asked` are the symbols the call was about, if any."""
    if function in CSV_HEADERS and not text.lstrip().startswith("{"):
        text = text.lstrip("\ufeff")
        good = text.startswith(CSV_HEADERS[function]) and _whole(text)
        return Verdict(kind=Kind.FACTS if good else Kind.BROKEN, payload=text, detail=_start(text))
    try:
        body = json.loads(text, object_pairs_hook=_object)
    except ValueError:
        return Verdict(kind=Kind.BROKEN, detail=_start(text))
    if not isinstance(body, dict):
        return Verdict(kind=Kind.BROKEN, detail=_start(text))
    key = DATA_KEYS.get(function, "data")
    if function in CSV_HEADERS or key not in body:
        return _without_data(body, text)
    return _with_data(function, body, body[key], asked)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else Repeated(pairs)


def _with_data(function: str, body: dict[str, Any], data: Any, asked: frozenset[str]) -> Verdict:
    message = str(body.get("message", ""))
    foreign = sorted(_answered(function, body) - asked) if asked else []
    if foreign or (asked and re.search(r"\bsample", message, re.IGNORECASE)):
        return Verdict(kind=Kind.SAMPLE, detail=f"{foreign[:3]} {message}"[:120])
    if not data:
        return Verdict(kind=Kind.EMPTY, detail=message)
    return Verdict(kind=Kind.FACTS, payload=body)


def _without_data(body: dict[str, Any], text: str) -> Verdict:
    if not body:
        return Verdict(kind=Kind.EMPTY)
    if "Error Message" in body:
        return Verdict(kind=Kind.MISSING, detail=str(body["Error Message"])[:120])
    notice = " ".join(str(body[key]) for key in ("Information", "Note") if key in body)
    for kind, pattern in _NOTICES:
        if re.search(pattern, notice, re.IGNORECASE):
            return Verdict(kind=Kind(kind), detail=notice[:120])
    return Verdict(kind=Kind.BROKEN, detail=notice[:120] or _start(text))


def _answered(function: str, body: dict[str, Any]) -> set[str]:
    """Symbols an answer is about, as far as it says."""
    said = {body.get("Symbol"), body.get("symbol")}
    meta = body.get("Meta Data")
    if isinstance(meta, dict):
        said |= {meta.get("2. Symbol"), meta.get("1: Symbol")}
    quote = body.get("Global Quote")
    if isinstance(quote, dict):
        said.add(quote.get("01. symbol"))
    if "OPTIONS" in function or function == "REALTIME_BULK_QUOTES":
        rows = body.get("data")
        said |= {row.get("symbol") for row in rows or () if isinstance(row, dict)}
    return {symbol_of(str(word)) or str(word) for word in said if word}


def _whole(text: str) -> bool:
    """Whether the last line of a CSV has as many cells as the first."""
    lines = text.splitlines()
    first, last = csv.reader([lines[0], lines[-1]])
    return len(first) == len(last)


def _start(text: str) -> str:
    return " ".join(text[:80].split())
