"""The site's JSON: keys of the data specification (section 9), null for unknown, never NaN."""

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from market import ASOF, Market
from market_signals import STOCKS, filled

from bft.reports import site
from bft.reports.night import Night, open_night
from bft.reports.shown import SECTOR_ORDER
from bft.reports.symbol import label, link, sentiment, side

TECHNICAL = set(
    "price rsi macd macd_signal adx cci atr sma_20 sma_50 sma_200 ema_20 ema_50 bbands_upper "
    "bbands_lower bbands_middle pe_ratio price_to_book_ratio book_value eps beta dividend_yield "
    "forward_pe 52_week_high 52_week_low analyst_rating_strong_buy analyst_rating_buy "
    "analyst_rating_hold analyst_rating_sell analyst_rating_strong_sell analyst_ratings flags "
    "summary".split()
)
IMAGES = ["ALFA_daily_price.jpg", "XLK_sector_Technology_analysis.jpg", "market_returns.jpg"]


@pytest.fixture(scope="module")
def files(night: Night, market: Market) -> dict[str, Any]:
    made = site.files(
        night, market.gold, bullets={"ALFA": ["said"]}, images=IMAGES, screened=["ALFA"]
    )
    return {name: json.loads(data, parse_constant=_refused) for name, data in made}


def _refused(word: str) -> None:
    raise AssertionError(f"{word} in JSON")


def test_every_symbol_has_a_file_and_a_history(files: dict[str, Any], night: Night) -> None:
    for symbol in night.now.index:
        assert f"{symbol}.json" in files
        assert f"{symbol}_history.json" in files
    assert {f"sector_{fund}.json" for fund in SECTOR_ORDER} <= set(files)


def test_symbol_file_has_the_keys_of_the_specification(files: dict[str, Any]) -> None:
    body = files["ALFA.json"]
    named = "symbol report_date quote technical news earnings signal forecast meta"
    assert set(body) == {*named.split(), "asof", "simulated", "failed"}
    quote = "price change_pct volume last_updated prev_close provisional"
    assert set(body["quote"]) == set(quote.split())
    assert set(body["technical"]) == TECHNICAL
    assert len(body["technical"]["flags"]) == 10
    assert body["technical"]["summary"] == {"bullets": ["said"]}
    assert set(body["news"]) == set("sentiment label summary bullets articles".split())
    article = "title source url published_at relevance sentiment"
    assert set(body["news"]["articles"][0]) == set(article.split())
    earnings = "eps_estimate eps_actual next_date surprise_percentage"
    assert set(body["earnings"]) == set(earnings.split())
    assert set(body["signal"]) == set("type strategy reason confidence id".split())
    assert set(body["forecast"]) == {"horizons", "consensus", "model_set"}
    assert [h["days"] for h in body["forecast"]["horizons"]] == [3, 10, 30]
    horizon = "days expected_return_pct prob_up bucket_probs"
    assert set(body["forecast"]["horizons"][0]) == set(horizon.split())
    meta = "name sector industry exchange market_capitalization shares_outstanding is_etf"
    assert set(body["meta"]) == set(meta.split())


def test_symbol_figures_are_those_of_the_tables(files: dict[str, Any], market: Market) -> None:
    gold = market.gold.to_pandas()
    row = gold[(gold["symbol"] == "ALFA") & (gold["date"] == ASOF)].iloc[0]
    body = files["ALFA.json"]
    assert body["quote"]["price"] == round(row["adjusted_close"], 2)
    assert body["quote"]["change_pct"] == round(float(row["adjusted_close_pct"]), 4)
    assert body["technical"]["macd_signal"] == round(float(row["macd_9_ema"]), 4)  # the line
    forecasts = market.forecasts.to_pandas()
    guess = forecasts[(forecasts["symbol"] == "ALFA") & (forecasts["asof"] == ASOF)].iloc[0]
    shown = body["forecast"]["horizons"][1]["expected_return_pct"]
    assert shown == pytest.approx(100 * guess["expected_return_10d"], abs=5e-5)


def test_absent_facts_are_null(files: dict[str, Any]) -> None:
    fund = files["XLK.json"]
    for part in ("news", "earnings", "signal", "forecast"):
        assert fund[part] is None
    assert fund["technical"]["pe_ratio"] is None
    assert fund["meta"]["is_etf"] is True


def test_history_has_rows_of_the_whole_table(files: dict[str, Any], market: Market) -> None:
    rows = files["ALFA_history.json"]
    assert len(rows) == len(market.days)
    assert set(rows[0]) == set("date close volume sma_20 sma_50 sma_200 bb_upper bb_lower".split())
    assert rows[0]["sma_200"] is None
    assert rows[-1]["date"] == str(ASOF)


def test_history_turns_nan_into_null() -> None:
    rows = {
        "symbol": ["A"],
        "date": [ASOF],
        "adjusted_close": [1.005],
        "volume": [7],
        "sma_20": pa.array([float("nan")], pa.float32()),
    }
    ((name, data),) = site.histories(filled("gold", rows, 1))
    assert name == "A_history.json"
    assert json.loads(data, parse_constant=_refused)[0]["sma_20"] is None


def test_sectors_are_the_unweighted_mean_of_their_stocks(
    files: dict[str, Any], market: Market
) -> None:
    now = market.gold.to_pandas().query("date == @ASOF").set_index("symbol")
    members = [s for s in STOCKS if now.at[s, "sector"] == "TECHNOLOGY"]
    mean = sum(float(now.at[s, "adjusted_close_pct"]) for s in members) / len(members)
    tech = files["sector_XLK.json"]
    assert tech["change_pct"] == pytest.approx(mean, abs=1e-4)
    assert [row["symbol"] for row in tech["stocks"]] == sorted(members)
    listed = files["sectors.json"]
    assert [row["id"] for row in listed["sectors"]] == list(SECTOR_ORDER)
    assert [row["id"] for row in listed["indices"]] == ["SPY", "QQQ"]
    assert listed["total_stocks"] == len(STOCKS)


def test_overnight_lists_flags_charts_and_funds(files: dict[str, Any]) -> None:
    body = files["overnight.json"]
    assert body["stocks"] == ["ALFA"]
    assert len(body["signals"]["ALFA"]) == 11
    assert sum(body["signals"]["ALFA"][:10]) == body["signals"]["ALFA"][10]
    assert body["stock_charts"] == {"ALFA": [IMAGES[0]]}
    assert body["sectors"] == [{"id": "XLK", "name": "Technology", "filename": IMAGES[1]}]
    assert body["has_market_returns"] is True


def test_manifest_names_files_quality_and_missing(night: Night) -> None:
    body = json.loads(site.manifest(night, {"b.json": "2", "a.json": "1"}))
    assert list(body["files"]) == ["a.json", "b.json"]
    assert body["quality"] == {"fail": 0, "warn": 2, "quarantined": ["KILO"]}
    assert list(body["missing"]) == ["GONE"]
    assert body["simulated"] is True


def test_site_of_gold_alone_is_written(market: Market) -> None:
    bare = open_night({"gold": market.gold}, asof=ASOF)
    made = dict(site.files(bare, market.gold, bullets={}, images=[], screened=[]))
    assert json.loads(made["signals_today.json"])["count"] == 0
    assert json.loads(made["ALFA.json"])["news"] is None


def test_sentiment_weights_by_relevance() -> None:
    rows = pd.DataFrame({"relevance": [1.0, 0.5, None], "sentiment": [0.3, -0.3, 1.0]})
    assert sentiment(rows) == pytest.approx(0.1)
    assert [label(s) for s in (0.16, 0.15, -0.15, -0.16, None)] == [
        "bullish",
        "neutral",
        "neutral",
        "bearish",
        None,
    ]


def test_links_other_than_web_addresses_are_dropped() -> None:
    assert link("https://a.example/x") == "https://a.example/x"
    assert [link(u) for u in ("javascript:alert(1)", "data:text/html,x", None, "file:///x")] == [
        None
    ] * 4


def test_side_sells_exits_and_short_entries() -> None:
    found = [side(*pair) for pair in (("entry", "long"), ("entry", "short"), ("exit", "long"))]
    assert found == ["BUY", "SELL", "SELL"]
