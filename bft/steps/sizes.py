"""Sizes shown beside signals and picks: risk sizing at an equity, before any account is asked.

Source: strategies specification, section 6.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from bft.domain.trading import Signal


def sizes(
    facts: "pd.DataFrame", signals: "Sequence[Signal]", *, equity_usd: float
) -> dict[str, tuple[int, float]]:
    """Shares and stop distance of each entry by signal id: risk sizing on its own stop."""
    from bft.domain.trading import SignalKind

    entries = [signal for signal in signals if signal.kind is SignalKind.ENTRY]
    named = {signal.symbol for signal in entries}
    chosen = facts.loc[facts.index.isin(named), ["adjusted_close", "atr_14", "adv_20"]]
    about = chosen.to_dict("index")
    return {
        signal.signal_id: sized(
            about[signal.symbol],
            signal.ref_price_usd * (signal.exits.stop_frac or 0.0),
            equity_usd=equity_usd,
        )
        for signal in entries
    }


def sized(
    at: "Mapping[Any, Any] | pd.Series", stop_usd: float, *, equity_usd: float
) -> tuple[int, float]:
    """Shares at risk sizing with distance max(|ref - stop|, ATR); 0 without either."""
    from decimal import Decimal

    from bft.risk.sizing import Account, Setup, Sizing, Terms, size

    atr, adv_20 = float(at["atr_14"]), float(at["adv_20"])
    atr = 0.0 if isnan(atr) else atr
    distance = max(stop_usd, atr)
    equity = Decimal(str(equity_usd))
    setup = Setup(
        ref_price_usd=Decimal(str(at["adjusted_close"])),
        stop_distance_usd=Decimal(str(distance)),
        atr_14_usd=Decimal(str(atr)),
        adv_20=None if isnan(adv_20) else Decimal(str(adv_20)),
    )
    account = Account(equity_usd=equity, cash_usd=equity)
    return size(setup, account, Terms(mode=Sizing.RISK)).qty, distance
