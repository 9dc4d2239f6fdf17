"""Schemas of the stored tables (gold and forecasts have modules of their own).

Type codes: f4, f8 floats; i1..i8 integers; d date; ts timestamp in UTC microseconds; s string;
b bool. Null means unknown, never 0. Rows are sorted by key.
"""

from dataclasses import dataclass

EXCLUDED = frozenset(
    ["XLK", "XLV", "XLF", "XLY", "XLP", "XLI", "XLE", "XLU", "XLRE", "XLB", "SPY", "QQQ"]
)
"""Context funds: inputs only, never trained on or forecast (data specification, section 6)."""

RAW_COLUMNS = (
    ("known_at", "ts"),
    ("arrived_at", "ts"),
    ("source", "s"),
    ("revision", "i2"),
    ("backfilled", "b"),
    ("status", "s"),
)
"""Carried by every raw table; status is ok, refused or expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A stored table: its name, key, columns in order, and what one partition is called."""

    name: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    partition: str = "arrived"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(name for name, _ in self.columns)


def _raw(name: str, key: str, columns: str) -> Table:
    pairs = [tuple(word.split(":")) for word in columns.split()]
    return Table(
        name=name,
        key=tuple(key.split()),
        columns=(*((c, t) for c, t in pairs), *RAW_COLUMNS),
    )


BARS = _raw(
    "bars",
    "symbol date",
    "symbol:s date:d open:f8 high:f8 low:f8 close:f8 volume:i8 vendor_adjusted_close:f8",
)
ACTIONS = _raw("actions", "symbol ex_date kind", "symbol:s ex_date:d kind:s value:f8 declared_on:d")
FUNDAMENTALS = _raw(
    "fundamentals",
    "symbol arrived_on",
    "symbol:s arrived_on:d name:s asset_type:s basis_on:d exchange:s country:s sector:s industry:s "
    "market_capitalization:f8 book_value:f8 dividend_yield:f8 eps:f8 price_to_book_ratio:f8 "
    "beta:f8 shares_outstanding:f8 52_week_high:f8 52_week_low:f8 forward_pe:f8 "
    "analyst_rating_strong_buy:f8 analyst_rating_buy:f8 analyst_rating_hold:f8 "
    "analyst_rating_sell:f8 analyst_rating_strong_sell:f8",
)
STATEMENTS = _raw(
    "statements",
    "symbol fiscal_date_ending",
    "symbol:s fiscal_date_ending:d total_equity_usd:f8 shares_outstanding:f8 basis_on:d",
)
EARNINGS = _raw(
    "earnings",
    "symbol fiscal_date_ending",
    "symbol:s fiscal_date_ending:d reported_on:d report_time:s basis_on:d reported_eps:f8 "
    "estimated_eps:f8 surprise:f8 surprise_percentage:f8",
)
EARNINGS_CALENDAR = _raw(
    "earnings_calendar",
    "symbol fiscal_date_ending",
    "symbol:s fiscal_date_ending:d expected_on:d estimate:f8",
)
MACRO = _raw("macro", "series reference_on", "series:s reference_on:d value:f8")
OPTIONS = _raw(
    "options",
    "contract_id date",
    "contract_id:s date:d symbol:s type:s expiration:d strike:f8 last:f8 mark:f8 bid:f8 ask:f8 "
    "bid_size:i8 ask_size:i8 volume:i8 open_interest:i8 implied_volatility:f4 delta:f4 gamma:f4 "
    "theta:f4 vega:f4 rho:f4",
)
OPTIONS_SUMMARY = _raw(
    "options_summary",
    "symbol date",
    "symbol:s date:d call_volume:i8 put_volume:i8 total_volume:i8 contracts:i4",
)
NEWS = _raw(
    "news",
    "article_id symbol",
    "article_id:s symbol:s title:s url:s publisher:s summary:s published_at:ts relevance:f4 "
    "sentiment:f4",
)
QUOTES = _raw(
    "quotes",
    "symbol at",
    "symbol:s at:ts last:f8 open:f8 high:f8 low:f8 prev_close:f8 volume:i8 bulk:b",
)
LISTINGS = _raw(
    "listings",
    "symbol",
    "symbol:s name:s exchange:s asset_type:s ipo_on:d delisted_on:d active:b",
)
UNIVERSE = _raw(
    "universe",
    "symbol from",
    "symbol:s from:d to:d name:s sector:s industry:s renamed_from:s is_etf:b watch:i2",
)
RAW_TABLES = (
    BARS,
    ACTIONS,
    FUNDAMENTALS,
    STATEMENTS,
    EARNINGS,
    EARNINGS_CALENDAR,
    MACRO,
    OPTIONS,
    OPTIONS_SUMMARY,
    NEWS,
    QUOTES,
    LISTINGS,
    UNIVERSE,
)

GOLD_TARGETS = Table(
    name="gold_targets",
    key=("symbol", "date", "horizon"),
    columns=(("symbol", "s"), ("date", "d"), ("horizon", "i2"), ("value", "f4")),
    partition="known",
)
QUALITY = Table(
    name="quality",
    key=("asof", "check", "symbol"),
    columns=(
        ("asof", "d"),
        ("check", "s"),
        ("symbol", "s"),
        ("severity", "s"),
        ("value", "f8"),
        ("threshold", "f8"),
        ("message", "s"),
    ),
    partition="asof",
)
MACRO_SERIES = (
    "treasury_yield_2year",
    "treasury_yield_10year",
    "ffer",
    "cpi",
    "inflation",
    "retail_sales",
    "durables",
    "unemployment",
    "nonfarm_payroll",
)
SECTOR_FUNDS = {
    "TECHNOLOGY": "XLK",
    "COMMUNICATION SERVICES": "XLC",
    "HEALTHCARE": "XLV",
    "FINANCIAL SERVICES": "XLF",
    "CONSUMER CYCLICAL": "XLY",
    "CONSUMER DEFENSIVE": "XLP",
    "INDUSTRIALS": "XLI",
    "ENERGY": "XLE",
    "UTILITIES": "XLU",
    "REAL ESTATE": "XLRE",
    "BASIC MATERIALS": "XLB",
}
"""Sector name as stored -> its fund (data specification, section 6; features use XLK for XLC)."""
_SPELLINGS = {
    "INFORMATION TECHNOLOGY": "TECHNOLOGY",
    "TELECOMMUNICATION SERVICES": "COMMUNICATION SERVICES",
    "TELECOMMUNICATIONS SERVICES": "COMMUNICATION SERVICES",
    "HEALTH CARE": "HEALTHCARE",
    "LIFE SCIENCES": "HEALTHCARE",
    "FINANCE": "FINANCIAL SERVICES",
    "FINANCIALS": "FINANCIAL SERVICES",
    "CONSUMER DISCRETIONARY": "CONSUMER CYCLICAL",
    "CONSUMER STAPLES": "CONSUMER DEFENSIVE",
    "ENERGY & TRANSPORTATION": "ENERGY",
    "MATERIALS": "BASIC MATERIALS",
}


def sector_of(text: str | None) -> str | None:
    """Sector in its stored spelling, or None where the text names no known sector."""
    word = (text or "").strip().upper()
    word = _SPELLINGS.get(word, word)
    return word if word in SECTOR_FUNDS else None
