"""Signals and picks of a small market."""

import json
from datetime import date

import numpy as np
import pyarrow as pa

from bft.adapters.store.tables import schema
from bft.domain import sessions
from bft.domain.market import SECTOR_FUNDS

ASOF = date(2026, 1, 2)
STOCKS = (
    "ALFA BRVO CHRL DLTA ECHO FXTR GOLF HOTL INDI JULT KILO LIMA MIKE NVMB OSCR PAPA QUBC ROMO"
).split()


def filled(name: str, rows: dict[str, object], count: int) -> pa.Table:
    """A table of a schema; columns not given are null."""
    arrow = schema(name)
    arrays = [
        pa.array(rows[f.name], type=f.type) if f.name in rows else pa.nulls(count, type=f.type)
        for f in arrow
    ]
    return pa.Table.from_arrays(arrays, schema=arrow)


def signal(day: date, symbol: str, **over: object) -> dict[str, object]:
    """One row of signals."""
    strategy = over.get("strategy_id", "bollinger")
    return {
        "asof": day,
        "slot": "close",
        "signal_id": f"{symbol.lower()}{strategy}{day:%Y%m%d}",
        "kind": "entry",
        "direction": "long",
        "strategy_id": strategy,
        "strategy_type": "nightly",
        "strategy_version": 1,
        "params_digest": "0" * 8,
        "source": "close",
        "symbol": symbol,
        "bar_key": str(day),
        "decided_at": sessions.evening(day),
        "provisional": False,
        "instrument": "STOCK",
        "confidence": 0.66,
        "confidence_kind": "prior",
        "strength": 0.3,
        "horizon_days": 10,
        "expires_at": sessions.close_at(sessions.shift(day, 1)),
        "reason": f"{symbol} closed below the lower band with RSI 27.4",
        "evidence": "{}",
        "ref_price_usd": 100.0,
        "entry_order": "collar",
        "exits": json.dumps({"stop_frac": 0.07, "target_frac": 0.12, "max_hold_days": 20}),
        "qty": 0,
        "tag": "execute",
        "tag_reason": "",
        "simulated": True,
        **over,
    }


def rows_to(name: str, rows: list[dict[str, object]]) -> pa.Table:
    """Rows as a table of a schema, missing columns null."""
    columns = {key for row in rows for key in row}
    return filled(name, {c: [row.get(c) for row in rows] for c in columns}, len(rows))


def build_signals(gold: pa.Table, days: list[date], *, seed: int = 11) -> pa.Table:
    rng = np.random.default_rng(seed)
    frame = gold.select(["symbol", "date", "adjusted_close"]).to_pandas()
    close = frame.set_index(["symbol", "date"]).adjusted_close
    names = ("bollinger", "oversold_bounce", "ml_prediction", "regression_momentum")
    horizon = dict(zip(names, (10, 3, 3, 10), strict=True))
    rows = []
    for day in days:
        for symbol in rng.choice(
            STOCKS, 6 if day == days[-1] else rng.integers(1, 5), replace=False
        ):
            strategy = str(rng.choice(names))
            price = float(close[(str(symbol), day)])
            more = {"strategy_id": strategy, "horizon_days": horizon[strategy]}
            rows.append(
                signal(
                    day, str(symbol), ref_price_usd=price, confidence=0.5 + rng.random() / 3, **more
                )
            )
    rows.append(
        signal(
            days[-1],
            "ALFA",
            kind="exit",
            tag="exit",
            signal_id="exit-alfa",
            reason="RSI 71.3 is above 70 <script>alert(1)</script>",
        )
    )
    return rows_to("signals", rows)


def build_picks(gold: pa.Table, signals: pa.Table) -> pa.Table:
    rows = []
    last = signals.to_pandas()
    last = last[(last["asof"] == ASOF) & (last["kind"] == "entry")]
    now = gold.to_pandas()
    now = now[now["date"] == ASOF].set_index("symbol")
    for rank, s in enumerate(last.itertuples(), 1):
        g = now.loc[s.symbol]
        rows.append(
            {
                "asof": ASOF,
                "symbol": s.symbol,
                "rank": rank,
                "tag": "execute" if rank < 3 else "watch",
                "tag_reason": None if rank < 3 else "sector_cap",
                "score": 78.4 - 6 * rank,
                "direction": "long",
                "strategy_id": s.strategy_id,
                "signal_id": s.signal_id,
                "price_usd": g.adjusted_close,
                "rsi_14": g.rsi_14,
                "adx_14": g.adx_14,
                "beta": g.beta,
                "sector": g.sector,
                "sector_etf": SECTOR_FUNDS[g.sector],
                "confidence": s.confidence,
                "strength": 0.3,
                "edge": 0.55,
                "atr_14_usd": g.atr_14,
                "stop_usd": g.adjusted_close * 0.93,
                "target_usd": g.adjusted_close * 1.12,
                "qty": 40,
                "notional_usd": 40 * g.adjusted_close,
                "risk_usd": 40 * g.adjusted_close * 0.07,
                "agreeing": 1,
                "expected_return_3d": 0.004,
                "expected_return_10d": 0.011,
                "expected_return_30d": 0.024,
                "simulated": True,
            }
        )
    return rows_to("picks", rows)
