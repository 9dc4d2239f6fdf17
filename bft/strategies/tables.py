"""Signals and picks as stored rows, and as the files people open."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date

import pandas as pd
import pyarrow as pa

from bft.domain.market import SECTOR_FUNDS
from bft.domain.trading import (
    PICKS,
    SIGNALS,
    Direction,
    Instrument,
    Signal,
    SignalKind,
    policy_of,
    policy_values,
)
from bft.strategies.ranking import Ranked

LEGACY_COLUMNS = (
    "action",
    "symbol",
    "shares",
    "price",
    "strategy",
    "reason",
    "timestamp",
    "stop_loss_pct",
    "take_profit_pct",
    "trailing_stop_pct",
    "trailing_activation_pct",
    "max_hold_days",
    "instrument_type",
)
"""First columns of signals.csv, in the order older tools read; `_pct` are percent."""


_ENCODED = {"kind", "direction", "instrument", "exits", "evidence"}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def signal_rows(rows: Sequence[Ranked], *, slot: str, simulated: bool) -> pd.DataFrame:
    """Rows of the table `signals`."""
    made = []
    for row in rows:
        values = asdict(row.signal)
        values |= {
            "slot": slot,
            "evidence": _json(row.signal.evidence),
            "exits": _json(policy_values(row.signal.exits)),
            "tag": row.tag,
            "tag_reason": row.tag_reason,
            "simulated": simulated,
        }
        made.append({name: values[name] for name in SIGNALS.names})
    return pd.DataFrame(made, columns=list(SIGNALS.names))


def signals_of(table: pa.Table) -> list[Signal]:
    """Stored rows as signals again (the inverse of `signal_rows`)."""
    found = []
    for row in table.to_pylist():
        values = {name: row[name] for name in Signal.__slots__ if name not in _ENCODED}
        found.append(
            Signal(
                **values,
                kind=SignalKind(row["kind"]),
                direction=Direction(row["direction"]),
                instrument=Instrument(row["instrument"]),
                exits=policy_of(json.loads(row["exits"])),
                evidence=json.loads(row["evidence"]),
            )
        )
    return found


def signals_csv(table: pd.DataFrame) -> bytes:
    """The file signals.csv: legacy columns first, then the rest."""
    out = pd.DataFrame(index=table.index)
    exits = [policy_of(json.loads(text)) for text in table["exits"]]
    buys = (table["kind"] == SignalKind.ENTRY) & (table["direction"] == Direction.LONG)
    closes_short = (table["kind"] == SignalKind.EXIT) & (table["direction"] == Direction.SHORT)
    out["action"] = (buys | closes_short).map({True: "BUY", False: "SELL"})
    out["symbol"] = table["symbol"]
    out["shares"] = [qty or None for qty in table["qty"]]  # empty: sized when it is sent
    out["shares"] = out["shares"].astype("Int64")
    out["price"], out["strategy"] = table["ref_price_usd"], table["strategy_id"]
    out["reason"], out["timestamp"] = table["reason"], table["decided_at"]
    out["stop_loss_pct"] = [_pct(e.stop_frac) for e in exits]
    out["take_profit_pct"] = [_pct(e.target_frac) for e in exits]
    out["trailing_stop_pct"] = [_pct(e.trail_frac) for e in exits]
    out["trailing_activation_pct"] = [_pct(e.activation_frac) for e in exits]
    out["max_hold_days"] = [e.max_hold_days for e in exits]
    out["instrument_type"] = table["instrument"]
    rest = [name for name in table.columns if name not in {"symbol", "reason", "signal_id"}]
    out = pd.concat([out, table[["signal_id", *rest]]], axis=1)
    text: str = out.to_csv(index=False, lineterminator="\n")
    return text.encode()


def picks_csv(picks: pd.DataFrame) -> bytes:
    """The file portfolio_picks.csv: USD to 4 decimals, other numbers to 6; the day comes last.

    Source of the order of columns: strategies specification, section 6.
    """
    picks = picks[[*(n for n in picks if n not in {"asof", "simulated"}), "asof", "simulated"]]
    floats = picks.select_dtypes("floating").columns
    places = {name: 4 if name.endswith("_usd") else 6 for name in floats}
    text: str = picks.round(places).to_csv(index=False, lineterminator="\n")
    return text.encode()


def pick_rows(
    rows: Sequence[Ranked],
    facts: pd.DataFrame,
    sized: dict[str, tuple[int, float]],
    *,
    asof: date,
    simulated: bool,
) -> pd.DataFrame:
    """Rows of the table `picks`; `sized` maps a signal id to (qty, stop distance in USD)."""
    made: list[dict[str, object]] = []
    for row in rows:
        listed = {pick["symbol"] for pick in made}  # a barred short stands in signals alone
        if row.signal.kind is SignalKind.EXIT or row.tag in {"merged", "conflict"}:
            continue
        if row.signal.symbol in listed:
            continue
        signal, at = row.signal, facts.loc[row.signal.symbol]
        qty, distance = sized[signal.signal_id]
        made.append(
            _fact_columns(at)
            | _levels(signal, qty, distance)
            | {
                "asof": asof,
                "rank": len(made) + 1,
                "tag": row.tag,
                "tag_reason": row.tag_reason,
                "score": round(row.score, 6),
                "edge": round(row.edge, 6),
                "agreeing": row.agreeing,
                "strategy_id": signal.strategy_id,
                "signal_id": signal.signal_id,
                "confidence": signal.confidence,
                "strength": signal.strength,
                "simulated": simulated,
            }
        )
    return pd.DataFrame(made, columns=list(PICKS.names))


def universe_rows(
    facts: pd.DataFrame,
    sized: dict[str, tuple[int, float]],
    *,
    asof: date,
    top_n: int,
    blocked: Mapping[str, str],
    simulated: bool,
) -> pd.DataFrame:
    """Rows of `picks` for a list of symbols without signals, in the order of `facts`.

    The first `top_n` that may be bought are `execute`; `blocked` says why others may not.
    """
    made: list[dict[str, object]] = []
    picked = 0
    for symbol, at in facts.iterrows():
        qty, distance = sized[str(symbol)]
        price = float(at["adjusted_close"])
        why = blocked.get(str(symbol)) or (None if qty else "min_order")
        why = why or ("top_n" if picked >= top_n else None)
        picked += why is None
        made.append(
            dict.fromkeys(PICKS.names)
            | _fact_columns(at)
            | {
                "asof": asof,
                "symbol": symbol,
                "rank": len(made) + 1,
                "tag": "watch" if why else "execute",
                "tag_reason": why,
                "direction": "long",
                "price_usd": price,
                "stop_usd": price - distance,
                "qty": qty,
                "notional_usd": qty * price,
                "risk_usd": qty * distance,
                "simulated": simulated,
            }
        )
    return pd.DataFrame(made, columns=list(PICKS.names))


def _fact_columns(at: pd.Series) -> dict[str, object]:
    same = "rsi_14 adx_14 beta atr_frac adv_20_usd sharpe_252 on_watchlist is_etf ret_5d_frac "
    same += "ret_20d_frac expected_return_3d expected_return_10d expected_return_30d"
    sector = at["sector"] or "UNKNOWN"
    return {name: at[name] for name in same.split()} | {
        "sector": sector,
        "sector_etf": SECTOR_FUNDS.get(sector),
        "atr_14_usd": at["atr_14"],
    }


def _levels(signal: Signal, qty: int, distance: float) -> dict[str, object]:
    sign = 1 if signal.direction is Direction.LONG else -1
    price, exits = signal.ref_price_usd, signal.exits
    target = None if exits.target_frac is None else price * (1 + sign * exits.target_frac)
    stop = None if exits.stop_frac is None else price * (1 - sign * exits.stop_frac)
    return {
        "symbol": signal.symbol,
        "direction": str(signal.direction),
        "price_usd": price,
        "stop_usd": stop,
        "target_usd": target,
        "qty": qty,
        "notional_usd": qty * price,
        "risk_usd": qty * distance,
    }


def _pct(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 6)
