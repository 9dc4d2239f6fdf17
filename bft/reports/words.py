"""Facts of a symbol as shown, and the check that a sentence states nothing else.

A figure passes only if it stands, character by character, in one of the facts: `+1.2%` is not
`1.2%`. So a sentence by a language model can choose among the table's cells, not invent one.
"""

import re
from collections.abc import Mapping, Sequence

from bft.reports.night import Night, value
from bft.reports.shown import MINUS, UNKNOWN, frac, known, number, pct, short, usd

_NAMES = re.compile(
    r"\b(?:SMA|EMA)[ -]?(?:20|50|200)\b|\b(?:RSI|ADX|ATR|CCI)[ -]?14\b"
    r"|\b(?:20|50|200)[ -](?:day|session) (?:simple |exponential |moving )*averages?\b"
    r"|\b(?:3|10|30)[ -](?:day|session) (?:expected return|forecast|horizon)\b"
    r"|\b52[ -]week (?:high|low|range)\b|\bS&P 500\b|\bNasdaq 100\b",
    re.IGNORECASE,
)
"""Numbers that are part of a name."""
_FIGURE = re.compile(r"\d{4}-\d{2}-\d{2}|[-+]?\$?\d[\d,]*(?:\.\d+)?(?: ?(?:%|percent|[kMBT])\b)?%?")
_SPELLED = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty"
    r"|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|trillion|half|halved"
    r"|twice|double\w*|triple\w*|quarter|third|percent|dozen)\b",
    re.IGNORECASE,
)
"""A figure in words cannot be traced to a cell."""


def facts(night: Night, symbol: str) -> dict[str, str]:
    """What is known of a symbol at asof, each cell as the report shows it; unknown is left out."""
    ratio = value(night.now, symbol, "pe_ratio")
    cells = {
        "name": value(night.universe, symbol, "name"),
        "close": usd(value(night.now, symbol, "adjusted_close")),
        "day_change": pct(value(night.now, symbol, "adjusted_close_pct")),
        "volume": short(value(night.now, symbol, "volume")),
        "from_sma_50": pct(value(night.now, symbol, "sma_50_pct"), 1),
        "from_sma_200": pct(value(night.now, symbol, "sma_200_pct"), 1),
        "from_52_week_high": pct(value(night.now, symbol, "52_week_high_pct"), 1),
        "from_52_week_low": pct(value(night.now, symbol, "52_week_low_pct"), 1),
        "rsi_14": number(value(night.now, symbol, "rsi_14"), 1),
        "adx_14": number(value(night.now, symbol, "adx_14"), 1),
        "flag_delta": number(value(night.now, symbol, "bull_bear_delta"), 0, sign=True),
        "pe_ratio": number(ratio if known(ratio) and ratio > 0 else None, 1),
        "trailing_earnings": "a loss" if known(ratio) and ratio < 0 else None,
        "forward_pe": number(value(night.now, symbol, "forward_pe"), 1),
    }
    for days in (3, 10, 30):
        guess = value(night.forecasts, symbol, f"expected_return_{days}d")
        cells[f"forecast_{days}_day"] = frac(guess)
    return {name: str(text) for name, text in cells.items() if text and text != UNKNOWN}


def checked(
    symbol: str, sentences: Sequence[str], cells: Mapping[str, str]
) -> tuple[list[str], int]:
    """Sentences whose every figure equals a cell as shown, and how many were dropped."""
    kept = [text for text in sentences if traced(symbol, text, cells)]
    return kept, len(sentences) - len(kept)


def traced(symbol: str, text: str, cells: Mapping[str, str]) -> bool:
    """Tell whether every figure of a sentence stands in the cells."""
    allowed = {f for fact, cell in cells.items() if fact != "name" for f in _figures(cell)}
    bare = text.replace(cells.get("name", symbol), " ")
    bare = re.sub(rf"\b{re.escape(symbol)}\b", " ", bare)
    bare = _NAMES.sub(" ", _plain(bare))
    return not _SPELLED.search(bare.replace(" percent", "%")) and set(_figures(bare)) <= allowed


def _figures(text: str) -> list[str]:
    return [
        re.sub(r" ?percent", "%", found).replace(" ", "").replace(",", "")
        for found in _FIGURE.findall(_plain(text))
    ]


def _plain(text: str) -> str:
    return text.replace(MINUS, "-").replace("\N{EN DASH}", "-")
