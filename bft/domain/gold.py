"""The gold table: 96 columns, their rules, and every threshold that a flag of it tests.

One row per symbol and session on that day's own basis. Basis C columns are rescaled by
C(t)/C(A), basis S columns by S(t)/S(A) when read at A; the rest is invariant. `docs/gold.md` is
generated from this module (data specification, section 3.2).
"""

from dataclasses import dataclass

from bft.domain.market import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One gold column; `pit` says what it may know (B bars, E reports, M macro, O chain, ...)."""

    name: str
    type: str
    unit: str
    basis: str
    pit: str
    formula: str


def _columns(text: str) -> tuple[Column, ...]:
    fields = ("name", "type", "unit", "basis", "pit", "formula")
    lines = (line.split(" | ", 5) for line in text.strip().split("\n"))
    return tuple(Column(**dict(zip(fields, line, strict=True))) for line in lines)


COLUMNS = _columns("""
date | d | - | - | key | session
symbol | s | - | - | key | normalised ticker
open | f8 | USD | - | B | as traded
high | f8 | USD | - | B | as traded
low | f8 | USD | - | B | as traded
adjusted_close | f8 | USD | C | B | close
volume | i8 | shares | - | B | as traded
sma_20 | f4 | USD | C | B | TA SMA(x, 20)
sma_50 | f4 | USD | C | B | TA SMA(x, 50)
sma_200 | f4 | USD | C | B | TA SMA(x, 200)
ema_20 | f4 | USD | C | B | TA EMA(x, 20)
ema_50 | f4 | USD | C | B | TA EMA(x, 50)
ema_200 | f4 | USD | C | B | TA EMA(x, 200)
macd | f4 | USD | C | B | TA MACD(12, 26, 9), the line
rsi_14 | f4 | 0..100 | - | B | TA RSI(x, 14)
adx_14 | f4 | 0..100 | - | B | TA ADX(14) on forward high, low, close
atr_14 | f4 | USD | C | B | TA ATR(14) on forward high, low, close
cci_14 | f4 | index | - | B | TA CCI(14) on forward high, low, close
bbands_upper_20 | f4 | USD | C | B | TA BBANDS(x, 20, 2, 2), upper
bbands_middle_20 | f4 | USD | C | B | TA BBANDS(x, 20, 2, 2), middle
bbands_lower_20 | f4 | USD | C | B | TA BBANDS(x, 20, 2, 2), lower
call_volume | f8 | contracts | - | O | options_summary
put_volume | f8 | contracts | - | O | options_summary
total_volume | f8 | contracts | - | O | options_summary
treasury_yield_2year | f4 | pct | - | M | latest known
treasury_yield_10year | f4 | pct | - | M | latest known
ffer | f4 | pct | - | M | latest known
cpi | f4 | index | - | M | latest known
inflation | f4 | pct | - | M | latest known, annual
retail_sales | f4 | USD m | - | M | latest known
durables | f4 | USD m | - | M | latest known
unemployment | f4 | pct | - | M | latest known
nonfarm_payroll | f4 | thousand | - | M | latest known
fiscal_date_ending | d | - | - | E | quarter of the latest known report
reported_eps | f4 | USD | - | E | of that quarter, basis t
estimated_eps | f4 | USD | - | E | of that quarter, basis t
ttm_eps | f4 | USD | - | E | sum of the last 4 consecutive reported_eps, else null
surprise | f4 | USD | - | E | reported - estimated, basis t
surprise_percentage | f4 | pct | - | E | vendor's, else 100*surprise/abs(estimated)
exchange | s | - | - | K | newest label
country | s | - | - | K | newest label
sector | s | - | - | K | newest label, upper-case; constituents with from/to win
industry | s | - | - | K | newest label
market_capitalization | f8 | USD | - | R | px * shares_outstanding
book_value | f4 | USD/share | - | R, then S | statements equity / shares, basis t; else snapshot
dividend_yield | f4 | frac | - | R | dividends with ex-date in (t-365 d, t], basis t, / px
eps | f4 | USD | - | S | snapshot, basis t; before the first: ttm_eps
price_to_book_ratio | f4 | ratio | - | R | px / book_value; null if book_value <= 0
beta | f4 | ratio | - | R | cov/var, last 252 of 59 on SPY's (proxy: 4), >= 126 pairs
shares_outstanding | f8 | shares | - | R, then S | statements, else snapshot, basis t
52_week_high | f4 | USD | S | R | TA MAX(high*S, 252)/S(t)
52_week_low | f4 | USD | S | R | TA MIN(low*S, 252)/S(t)
forward_pe | f4 | ratio | - | S | snapshot
analyst_rating_strong_buy | f4 | count | - | S | snapshot
analyst_rating_buy | f4 | count | - | S | snapshot
analyst_rating_hold | f4 | count | - | S | snapshot
analyst_rating_sell | f4 | count | - | S | snapshot
analyst_rating_strong_sell | f4 | count | - | S | snapshot
adjusted_close_pct | f4 | pct | - | B | 100*(x[t]/x[t-1] - 1)
volume_pct | f4 | pct | - | B | 100*(v[t]/v[t-1] - 1) on volume/S; null after a zero
open_pct | f4 | pct | - | B | 100*(o[t]/o[t-1] - 1) on forward open
high_pct | f4 | pct | - | B | same on forward high
low_pct | f4 | pct | - | B | same on forward low
options_14_mean | f4 | contracts | - | O | mean of total_volume, 14 rows, nulls skipped, min 1
options_14_std | f4 | contracts | - | O | sample sd of total_volume, 14 rows, nulls skipped, min 2
pcr | f4 | ratio | - | O | put_volume / call_volume; null if that is 0
pcr_14_mean | f4 | ratio | - | O | mean of pcr, 14 rows, nulls skipped, min 1
macd_9_ema | f4 | USD | C | B | TA MACD signal line
pe_ratio | f4 | ratio | - | E | px / ttm_eps; null if ttm_eps = 0
day_of_week_num | i1 | - | - | calendar | of date; Monday = 0
day_of_week_name | s | - | - | calendar | English name of the day
month | i1 | - | - | calendar | of date
day_of_year | i2 | - | - | calendar | of date
year | i2 | - | - | calendar | of date
future_3_day_pct | f4 | pct | - | L | 100*(x[t+3 sessions]/x[t] - 1); null if no bar there
future_10_day_pct | f4 | pct | - | L | 100*(x[t+10 sessions]/x[t] - 1); null if no bar there
future_30_day_pct | f4 | pct | - | L | 100*(x[t+30 sessions]/x[t] - 1); null if no bar there
sma_20_pct | f4 | pct | - | B | 100*(x - sma_20)/sma_20
sma_50_pct | f4 | pct | - | B | 100*(x - sma_50)/sma_50
sma_200_pct | f4 | pct | - | B | 100*(x - sma_200)/sma_200
52_week_high_pct | f4 | pct | - | R | 100*(px - 52_week_high)/52_week_high
52_week_low_pct | f4 | pct | - | R | 100*(px - 52_week_low)/52_week_low
adjusted_open | f8 | USD | C | B | as traded, repaired
adjusted_high | f8 | USD | C | B | as traded, repaired
adjusted_low | f8 | USD | C | B | as traded, repaired
macd_signal | i1 | -1..1 | - | B | sign(macd - macd_9_ema)
macd_zero_signal | i1 | -1..1 | - | B | sign(macd)
adx_signal | i1 | -1..1 | - | B | +1 if adx > 25; -1 if adx < 20
atr_signal | i1 | -1..1 | - | B | +1 if px < sma_20 - 2 atr; -1 if px > sma_20 + 2 atr
pe_ratio_signal | i1 | -1..1 | - | E | +1 if 0 < pe < 15; -1 if pe > 35
bollinger_bands_signal | i1 | -1..1 | - | B | -1 if px > upper; +1 if px < lower
rsi_signal | i1 | -1..1 | - | B | -1 if rsi > 70; +1 if rsi < 30
sma_cross_signal | i1 | -1..1 | - | B | sign(sma_20 - sma_50)
cci_signal | i1 | -1..1 | - | B | -1 if cci >= 100; +1 if cci <= -100
pcr_signal | i1 | -1..1 | - | O | -1 if pcr > 0.7; +1 if pcr <= 0.5
bull_bear_delta | i1 | -10..10 | - | parts | sum of 86-95
""")
"""The 96 columns in order. x is the forward series (price * C), px the as-traded close."""

BOOKKEEPING = (("adj_factor", "f8"), ("split_factor", "f8"), ("row_flags", "i4"))
"""Stored after the 96: the forward factors C and S, and the row's flags."""

GOLD = Table(
    name="gold",
    key=("symbol", "date"),
    columns=(*((c.name, c.type) for c in COLUMNS), *BOOKKEEPING),
    partition="date",
)
LOOKAHEAD = tuple(c.name for c in COLUMNS if c.pit == "L")
"""Targets; dropped by every reader except `dataset` and `backtest` reports."""
FLAGS = tuple(c.name for c in COLUMNS if c.unit == "-1..1")
"""The ten flags, in table order; their sum is bull_bear_delta."""

HORIZONS = (3, 10, 30)
"""Sessions ahead of the three targets."""

# What the ten flags test (section 3.2, rows 86-95); every other place derives from here.
ADX_TREND, ADX_FLAT = 25.0, 20.0
ATR_BAND = 2.0  # average true ranges around sma_20
PE_CHEAP, PE_DEAR = 15.0, 35.0
RSI_HIGH, RSI_LOW = 70.0, 30.0
CCI_HIGH, CCI_LOW = 100.0, -100.0
PCR_BEARISH, PCR_BULLISH = 0.7, 0.5

THRESHOLDS = (
    *("ADX_TREND", "ADX_FLAT", "ATR_BAND", "PE_CHEAP", "PE_DEAR", "RSI_HIGH", "RSI_LOW"),
    *("CCI_HIGH", "CCI_LOW", "PCR_BEARISH", "PCR_BULLISH"),
)
"""Names of the above, for documents."""

SNAPSHOT_DAYS = 120  # an older snapshot (S) counts as unknown
GAP_SESSIONS = 20  # a longer gap starts a new segment: all windows restart
YEAR_ROWS = 252  # window of 52-week levels and of beta
WINDOW_ROWS = {
    "rsi_14": 15,
    "adx_14": 28,
    "atr_14": 15,
    "cci_14": 14,
    **dict.fromkeys(("bbands_lower_20", "bbands_middle_20", "bbands_upper_20"), 20),
    **dict.fromkeys(("52_week_high", "52_week_low"), YEAR_ROWS),
}
"""Rows of a segment that a column needs before it has a value; those not named need one."""
BETA_PAIRS = 126  # fewer pairs of returns give no beta
SUSPECTED = 0.7  # confidence from which a price step counts as a suspected split

# row_flags bits
REPAIRED, ZERO_VOLUME, AFTER_GAP, PROVISIONAL = 1, 2, 4, 16
REVISED, SUSPECTED_SPLIT, MARKET_PROXY, SIMULATED = 32, 64, 128, 256
ROW_FLAGS = {
    REPAIRED: "open, high or low was missing or crossed and has been repaired",
    ZERO_VOLUME: "volume is null or 0",
    AFTER_GAP: "sessions are missing before this row",
    PROVISIONAL: "the session is not over (never stored)",
    REVISED: "the bar is a later revision",
    SUSPECTED_SPLIT: "the price step looks like a split that nobody announced",
    MARKET_PROXY: "market or sector return is a mean of members, not a fund's",
    SIMULATED: "the bar comes from the vendor simulator",
}

CONTEXT_INPUTS = (
    "treasury_yield_10year",
    "treasury_yield_2year",
    "unemployment",
    "nonfarm_payroll",
    "sector_etf_ret_1d",
    "sector_etf_ret_5d",
    "sector_etf_vol_5d",
    "sector_rel_ret_1d",
    "spy_ret_1d",
    "spy_ret_5d",
    "spy_vol_5d",
)
"""Inputs of the economy, the market and the sector, the last of `INPUTS`."""

INPUTS = (
    "volume_pct",
    "close_1d_roc",
    "close_3d_roc",
    "close_10d_roc",
    "close_5d_vol",
    "vol_3d_mean",
    "vol_10d_mean",
    "sma_20_pct",
    "sma_50_pct",
    "sma_200_pct",
    "rsi_14",
    "adx_14",
    "cci_14",
    "52_week_high_pct",
    "52_week_low_pct",
    "high_pct",
    "low_pct",
    "open_pct",
    "adjusted_close_pct",
    "macd_signal",
    "rsi_signal",
    "adx_signal",
    "atr_signal",
    "cci_signal",
    "bollinger_bands_signal",
    "sma_cross_signal",
    "pe_ratio_signal",
    "bull_bear_delta",
    "pe_ratio",
    "forward_pe",
    "beta",
    "dividend_yield",
    "price_to_book_ratio",
    "surprise_percentage",
    "analyst_rating_strong_buy",
    "analyst_rating_buy",
    "analyst_rating_hold",
    "analyst_rating_sell",
    "analyst_rating_strong_sell",
    "day_of_week_num",
    "month",
    *CONTEXT_INPUTS,
)
"""The 52 model inputs (feature set bft52), in order."""
SNAPSHOT_INPUTS = frozenset(
    {"forward_pe", *(name for name in INPUTS if name.startswith("analyst_rating_"))}
)
"""Inputs from snapshots (S): null in the past; they do not count towards a window's null share."""
