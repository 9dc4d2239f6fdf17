"""Q22 builds the rows of some symbols again; who stands in for a fund must not depend on whose."""

from typing import Any

import pytest
from markets import LAST, column, raw, tables, walk

from bft.domain import sessions
from bft.domain.gold import MARKET_PROXY
from bft.features.build import build_gold
from bft.features.quality import Evidence, Severity, run_checks

SECTORS = ("ENERGY", "UTILITIES", "INDUSTRIALS", "TECHNOLOGY", "FINANCIALS")
NAMES = {f"S{n:02d}": SECTORS[n % 5] for n in range(40)}
"""Eight members a sector; of the 20 symbols that are drawn, five or six are of one sector."""


@pytest.mark.parametrize("told_by", ["universe", "fundamentals"])
def test_sound_night_without_bars_of_sector_funds_passes(told_by: str) -> None:
    """Red: the proxy was made of the drawn symbols alone, or of labels known at the past day."""
    members = [_said(told_by, name, sector) for name, sector in NAMES.items()]
    bars = [row for name in (*NAMES, "SPY") for row in walk(name, 300)]
    given = tables(bars=bars, **{told_by: members})
    made = build_gold(given)
    assert (column(made, "row_flags", "S07")[1:] == MARKET_PROXY).all()
    empty = raw("bars", [])
    ev = Evidence(asof=LAST, gold=made, tables=given, refused=empty, macro=given["macro"])
    assert [(f.severity, f.message) for f in run_checks(ev, only=["Q22"])] == [(Severity.PASS, "")]


def _said(table: str, symbol: str, sector: str) -> dict[str, Any]:
    if table == "universe":
        return {"symbol": symbol, "sector": sector, "is_etf": False}
    known_at = sessions.evening(LAST)
    own = {"arrived_on": LAST, "basis_on": LAST, "known_at": known_at}
    return {"symbol": symbol, "sector": sector, **own}
