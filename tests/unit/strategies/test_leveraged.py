"""Names of funds as listed in the US: which are leveraged or inverse."""

import pytest
from panels import ASOF, gold_rows, table

from bft.strategies.facts import symbol_facts

LEVERAGED = (
    "ProShares Ultra QQQ",
    "ProShares UltraPro QQQ",
    "ProShares UltraPro Short QQQ",
    "ProShares UltraShort S&P500",
    "ProShares UltraShort 20+ Year Treasury",
    "PROSHARES ULTRASHORT BLOOMBERG NATURAL GAS",
    "ProShares Ultra VIX Short-Term Futures ETF",
    "ProShares Ultra High Yield",
    "ProShares Short S&P500",
    "ProShares Short VIX Short-Term Futures ETF",
    "UltraShort Dow30",
    "Direxion Daily Semiconductor Bull 3X Shares",
    "Direxion Daily S&P 500 Bear 1X Shares",
    "Direxion Daily AAPL Bull 2X ETF",
    "MicroSectors FANG+ Index 3X Leveraged ETNs",
    "GraniteShares 2x Long NVDA Daily ETF",
    "GraniteShares 1x Short TSLA Daily ETF",
    "Defiance Daily Target 1.75X Long MSTR ETF",
    "T-REX 2X Inverse Tesla Daily Target ETF",
    "AXS Short Innovation Daily ETF",
    "-1x Short VIX Futures ETF",
    "AdvisorShares Ranger Equity Bear ETF",
)
PLAIN = (
    "PIMCO Enhanced Short Maturity Active Exchange-Traded Fund",
    "iShares Ultra Short-Term Bond Active ETF",
    "iShares Ultra Short Duration Bond Active ETF",
    "JPMorgan Ultra-Short Income ETF",
    "JPMorgan Ultra-Short Municipal Income ETF",
    "Vanguard Ultra-Short Bond ETF",
    "Invesco Ultra Short Duration ETF",
    "ClearShares Ultra-Short Maturity ETF",
    "Dimensional Ultrashort Fixed Income ETF",
    "SPDR SSGA ULTRA SHORT TERM BOND ETF",
    "First Trust Ultra Short Duration Municipal ETF",
    "Innovator U.S. Equity Ultra Buffer ETF - January",
    "ProShares VIX Short-Term Futures ETF",
    "ProShares S&P 500 Dividend Aristocrats ETF",
    "Vanguard Short-Term Bond ETF",
    "First Trust Long/Short Equity ETF",
    "Invesco DB US Dollar Index Bullish Fund",
    "Invesco BulletShares 2027 Corporate Bond ETF",
    "Virtus Seix Leveraged Loan ETF",
    "Vanguard S&P 500 ETF",
    "Xtrackers MSCI EAFE Hedged Equity ETF",
)


def leveraged(name: str) -> bool:
    frame, _ = symbol_facts(
        table("gold", gold_rows("FUND", days=2)),
        table("forecasts", []),
        table("universe", [{"symbol": "FUND", "name": name, "is_etf": True, "revision": 0}]),
        asof=ASOF,
    )
    return bool(frame.at["FUND", "leveraged"])


@pytest.mark.parametrize("name", LEVERAGED)
def test_fund_that_moves_by_a_multiple_or_against_is_leveraged(name: str) -> None:
    assert leveraged(name)


@pytest.mark.parametrize("name", PLAIN)
def test_fund_of_short_bonds_or_plain_shares_is_not(name: str) -> None:
    assert not leveraged(name)
