"""A plausible simulated market for tests of what people see: gold, forecasts, signals, picks."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import talib
from market_signals import ASOF, STOCKS, build_picks, build_signals, filled, rows_to

from bft.adapters.store.tables import TableStore, schema
from bft.domain import sessions
from bft.domain.gold import COLUMNS, FLAGS, SIMULATED
from bft.domain.market import SECTOR_FUNDS
from bft.reports.shown import CHARTED_FUNDS

SECTORS = tuple(SECTOR_FUNDS)


@dataclass(frozen=True)
class Market:
    """Tables of one night."""

    gold: pa.Table
    forecasts: pa.Table
    outcomes: pa.Table
    signals: pa.Table
    picks: pa.Table
    quality: pa.Table
    news: pa.Table
    universe: pa.Table
    earnings: pa.Table
    earnings_calendar: pa.Table
    days: list[date] = field(default_factory=list)

    def tables(self) -> dict[str, pa.Table]:
        names = [name for name in self.__dataclass_fields__ if name != "days"]
        return {name: getattr(self, name) for name in names}


def _sign(value: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.sign(value)).astype("i1")


def _gold_of(
    symbol: str, sector: str, days: list[date], rng: np.random.Generator, market: np.ndarray
) -> dict[str, object]:
    n = len(days)
    returns = market * rng.normal(1, 0.25) + rng.standard_t(5, n) * rng.uniform(0.006, 0.014)
    close = np.round(rng.uniform(20, 400) * np.exp(np.cumsum(returns)), 2)
    openp = np.round(np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, 0.004, n)), 2)
    high = np.round(np.maximum(openp, close) * (1 + np.abs(rng.normal(0, 0.006, n))), 2)
    low = np.round(np.minimum(openp, close) * (1 - np.abs(rng.normal(0, 0.006, n))), 2)
    volume = (rng.uniform(8e5, 4e7) * np.exp(rng.normal(0, 0.25, n) + 12 * abs(returns))).astype(
        "i8"
    )
    up, mid, lo = talib.BBANDS(close, 20)
    macd, line, _ = talib.MACD(close)
    sma20, sma50, sma200 = (talib.SMA(close, k) for k in (20, 50, 200))
    rsi, adx = talib.RSI(close, 14), talib.ADX(high, low, close, 14)
    atr, cci = talib.ATR(high, low, close, 14), talib.CCI(high, low, close, 14)
    high52, low52 = talib.MAX(high, 252), talib.MIN(low, 252)
    is_fund = symbol in CHARTED_FUNDS
    ttm = np.full(n, np.nan if is_fund else close[0] / rng.uniform(11, 42))
    pcr = rng.lognormal(-0.45, 0.35, n)
    calls = np.round(rng.uniform(2e3, 9e4, n))
    pe = close / ttm

    def ratio(a: np.ndarray) -> np.ndarray:
        return np.r_[np.nan, 100 * (a[1:] / a[:-1] - 1)]

    def away(level: np.ndarray) -> np.ndarray:
        return 100 * (close - level) / level

    with np.errstate(invalid="ignore"):
        flags = {
            "macd_signal": _sign(macd - line),
            "macd_zero_signal": _sign(macd),
            "adx_signal": (adx > 25) * 1 - (adx < 20) * 1,
            "atr_signal": (close < sma20 - 2 * atr) * 1 - (close > sma20 + 2 * atr) * 1,
            "pe_ratio_signal": ((pe > 0) & (pe < 15)) * 1 - (pe > 35) * 1,
            "bollinger_bands_signal": (close < lo) * 1 - (close > up) * 1,
            "rsi_signal": (rsi < 30) * 1 - (rsi > 70) * 1,
            "sma_cross_signal": _sign(sma20 - sma50),
            "cci_signal": (cci <= -100) * 1 - (cci >= 100) * 1,
            "pcr_signal": (pcr <= 0.5) * 1 - (pcr > 0.7) * 1,
        }
    flags = {name: values.astype("i1") for name, values in flags.items()}
    values: dict[str, object] = {
        "symbol": [symbol] * n,
        "date": days,
        "open": openp,
        "high": high,
        "low": low,
        "adjusted_close": close,
        "volume": volume,
        "sma_20": sma20,
        "sma_50": sma50,
        "sma_200": sma200,
        "ema_20": talib.EMA(close, 20),
        "ema_50": talib.EMA(close, 50),
        "ema_200": talib.EMA(close, 200),
        "macd": macd,
        "macd_9_ema": line,
        "rsi_14": rsi,
        "adx_14": adx,
        "atr_14": atr,
        "cci_14": cci,
        "bbands_upper_20": up,
        "bbands_middle_20": mid,
        "bbands_lower_20": lo,
        "call_volume": calls,
        "put_volume": np.round(calls * pcr),
        "total_volume": np.round(calls * (1 + pcr)),
        "pcr": pcr,
        "52_week_high": high52,
        "52_week_low": low52,
        "52_week_high_pct": away(high52),
        "52_week_low_pct": away(low52),
        "sma_20_pct": away(sma20),
        "sma_50_pct": away(sma50),
        "sma_200_pct": away(sma200),
        "adjusted_close_pct": ratio(close),
        "volume_pct": ratio(volume.astype("f8")),
        "adjusted_open": openp,
        "adjusted_high": high,
        "adjusted_low": low,
        "beta": np.full(n, rng.normal(1, 0.2)),
        "row_flags": np.full(n, SIMULATED, "i4"),
        "adj_factor": np.ones(n),
        "split_factor": np.ones(n),
        "exchange": ["NYSE"] * n,
        "country": ["USA"] * n,
        **flags,
        "bull_bear_delta": sum(flags.values()).astype("i1"),
    }
    if not is_fund:
        shares = rng.uniform(5e7, 3e9)
        values |= {
            "sector": [sector] * n,
            "industry": ["MADE UP"] * n,
            "ttm_eps": ttm,
            "pe_ratio": pe,
            "forward_pe": pe * 0.9,
            "eps": ttm,
            "book_value": close / 3,
            "price_to_book_ratio": np.full(n, 3.0),
            "dividend_yield": np.full(n, 0.0123),
            "market_capitalization": close * shares,
            "shares_outstanding": np.full(n, shares),
            "surprise_percentage": np.full(n, 4.2),
            **{
                f"analyst_rating_{k}": np.full(n, float(v))
                for k, v in zip(
                    ("strong_buy", "buy", "hold", "sell", "strong_sell"),
                    (4, 9, 7, 2, 0),
                    strict=True,
                )
            },
        }
    return values


def _clean(values: dict[str, object], count: int) -> pa.Table:
    rows = {
        k: pa.array(v, from_pandas=True) if isinstance(v, np.ndarray) else v
        for k, v in values.items()
    }
    arrow = schema("gold")
    rows = {
        k: v.cast(arrow.field(k).type) if isinstance(v, pa.Array) else v for k, v in rows.items()
    }
    return filled("gold", rows, count)


def build_gold(
    days: list[date], *, seed: int = 7, funds: tuple[str, ...] = CHARTED_FUNDS
) -> pa.Table:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0004, 0.008, len(days))
    names = [(f, "") for f in funds]
    names += [(s, SECTORS[i % len(SECTORS)]) for i, s in enumerate(STOCKS)]
    parts = [
        _clean(_gold_of(symbol, sector, days, rng, market), len(days))
        for symbol, sector in sorted(names)
    ]
    assert {*FLAGS} <= {c.name for c in COLUMNS}
    return pa.concat_tables(parts)


def build_forecasts(
    gold: pa.Table, days: list[date], *, seed: int = 3
) -> tuple[pa.Table, pa.Table]:
    """Forecasts of every day, and the outcomes known at the last."""
    rng = np.random.default_rng(seed)
    frame = gold.select(["symbol", "date", "adjusted_open"]).to_pandas()
    opens = frame[frame.symbol.isin(STOCKS)].pivot(
        index="date", columns="symbol", values="adjusted_open"
    )
    symbols = list(opens.columns)
    table, known = [], []
    place = {day: i for i, day in enumerate(opens.index)}
    for day in days:
        i, rows = place[day], {}
        for h in (3, 10, 30):
            done = i + 1 + h < len(opens)
            real = (
                opens.iloc[i + 1 + h].to_numpy() / opens.iloc[i + 1].to_numpy() - 1
                if done
                else rng.normal(0, 0.02, len(symbols))
            )
            spread = 0.016 * h**0.5
            guess = 0.1 * real + rng.normal(0.001, 0.12 * spread, len(symbols))
            rank = (np.argsort(np.argsort(guess)) + 0.5) / len(symbols)
            p1 = np.clip(0.4 + 4 * guess, 0.05, 0.95)
            buck = np.c_[0.33 - 3 * guess, np.full(len(guess), 0.34), 0.33 + 3 * guess]
            buck = np.clip(buck, 0.02, 1)
            buck /= buck.sum(axis=1, keepdims=True)
            rows |= {
                f"pred_return_reg_{h}d": guess,
                f"lo_return_reg_{h}d": guess - 1.6 * spread,
                f"hi_return_reg_{h}d": guess + 1.6 * spread,
                f"prob_1_bin_{h}d": p1,
                f"prob_0_bin_{h}d": 1 - p1,
                f"lift_bin_{h}d": p1 / 0.4,
                **{f"prob_{k}_buck_{h}d": buck[:, k] for k in range(3)},
                f"expected_return_{h}d": guess,
                f"rank_{h}d": rank,
                f"agreement_{h}d": np.full(len(symbols), 2.0),
            }
            if done:
                n = len(symbols)
                known.append(
                    filled(
                        "outcomes",
                        {"asof": [day] * n, "symbol": symbols, "h": [h] * n, "y": real},
                        n,
                    )
                )
        n = len(symbols)
        score = 2 * np.mean([rows[f"rank_{h}d"] for h in (3, 10, 30)], axis=0) - 1
        rows |= {
            "asof": [day] * n,
            "symbol": symbols,
            "score": score,
            "consensus_direction": np.where(
                score > 0.4, "BUY", np.where(score < -0.4, "SELL", "NEUTRAL")
            ).tolist(),
            "horizon_agreement": [3] * n,
            "consensus_confidence": np.abs(score) / 2,
            "status": ["ok"] * n,
            "degraded": [False] * n,
            "missing_models": [""] * n,
            "oos": [True] * n,
            "set_digest": ["5e7d" * 16] * n,
            "gold_digest": ["601d" * 16] * n,
            "feature_set": ["bft52"] * n,
            "model_age_days_max": [4] * n,
            "paper_only": [True] * n,
            "simulated": [True] * n,
        }
        table.append(filled("forecasts", rows, n))
    return pa.concat_tables(table), pa.concat_tables(known) if known else schema(
        "outcomes"
    ).empty_table()


def raw(known: datetime, **values: object) -> dict[str, object]:
    """Bookkeeping of a raw row."""
    return {
        "known_at": known,
        "arrived_at": known,
        "source": "sim",
        "revision": 0,
        "backfilled": False,
        "status": "ok",
        **values,
    }


def build_market(*, sessions_back: int = 300, forecast_days: int = 90) -> Market:
    """The whole night of ASOF."""
    days = list(sessions.sessions(date(2020, 1, 1), ASOF))[-sessions_back:]
    gold = build_gold(days)
    forecasts, outcomes = build_forecasts(gold, days[-forecast_days:])
    signals = build_signals(gold, days[-60:])
    at = datetime(2026, 1, 2, 20, tzinfo=UTC)
    news = [
        raw(
            at,
            article_id=f"{i:064x}",
            symbol=STOCKS[i % 3],
            title=f"Headline {i} <b>& more</b>",
            url=f"https://news.example/{i}" if i else "javascript:alert(1)",
            publisher="The Wire",
            summary="text",
            published_at=at - timedelta(hours=i),
            relevance=0.9,
            sentiment=0.3 - 0.1 * (i % 3),
        )
        for i in range(9)
    ]
    first = days[0]
    universe = [
        raw(at, symbol=s, **{"from": first}, name=f"{s.title()} & Sons Inc.", is_etf=False)
        for s in (*STOCKS, "GONE")
    ]
    universe += [
        raw(at, symbol=s, **{"from": first}, name=f"{s} fund", is_etf=True) for s in CHARTED_FUNDS
    ]
    quality = [
        ("Q02", "", "pass", 1.0, 0.98, "all active symbols have a row"),
        ("Q09", "LIMA", "warn", 0.4, 0.7, "a jump of -31 % without an action"),
        ("Q13", "KILO", "quarantine", 7.0, 5.0, "7 sessions missing in the last 60"),
        ("Q24", "", "warn", None, None, "survivors only"),
    ]
    names = ("check", "symbol", "severity", "value", "threshold", "message")
    earnings = [
        raw(
            at,
            symbol=s,
            fiscal_date_ending=date(2025, 9, 30),
            reported_on=date(2025, 10, 28),
            reported_eps=1.31,
            estimated_eps=1.25,
            surprise=0.06,
            surprise_percentage=4.8,
        )
        for s in STOCKS
    ]
    calendar = [
        raw(
            at,
            symbol=s,
            fiscal_date_ending=date(2025, 12, 31),
            expected_on=date(2026, 1, 27),
            estimate=1.4,
        )
        for s in STOCKS[:5]
    ]
    return Market(
        gold=gold,
        forecasts=forecasts,
        outcomes=outcomes,
        signals=signals,
        picks=build_picks(gold, signals),
        quality=rows_to(
            "quality", [{"asof": ASOF, **dict(zip(names, q, strict=True))} for q in quality]
        ),
        news=rows_to("news", news),
        universe=rows_to("universe", universe),
        earnings=rows_to("earnings", earnings),
        earnings_calendar=rows_to("earnings_calendar", calendar),
        days=days,
    )


def publish(store: TableStore, market: Market) -> None:
    """Put every table of the night into a store."""
    for name, table in market.tables().items():
        store.publish(name, asof=ASOF, partitions={f"asof={ASOF}": table})
    lineage = {"args": {"source": "sim"}, "skipped": {"stale_day": 2}, "rows": 1, "outputs": {}}
    store.put(f"lineage/pull/{ASOF}.json", json.dumps(lineage).encode())
