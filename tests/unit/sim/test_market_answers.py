"""Every function answers with the vendor's field names, and the same whenever it is asked."""

import csv
import io
import json
from datetime import date

import pytest
from sims import TODAY, ask, vendor

from bft.sim.market.vendor import Vendor

BARS = [
    "1. open", "2. high", "3. low", "4. close", "5. adjusted close", "6. volume",
    "7. dividend amount", "8. split coefficient",
]  # fmt: skip
CONTRACT = (
    "contractID symbol expiration strike type last mark bid bid_size ask ask_size volume "
    "open_interest date implied_volatility delta gamma theta vega rho"
).split()
OVERVIEW = (
    "Symbol AssetType Name Exchange Country Sector Industry MarketCapitalization BookValue "
    "DividendYield EPS ForwardPE PriceToBookRatio Beta 52WeekHigh 52WeekLow SharesOutstanding "
    "AnalystRatingStrongBuy AnalystRatingBuy AnalystRatingHold AnalystRatingSell "
    "AnalystRatingStrongSell"
).split()
QUARTER = [
    "fiscalDateEnding", "reportedDate", "reportedEPS", "estimatedEPS", "surprise",
    "surprisePercentage", "reportTime",
]  # fmt: skip
MACRO = ["FEDERAL_FUNDS_RATE", "CPI", "INFLATION", "RETAIL_SALES", "DURABLES", "UNEMPLOYMENT"]
MACRO += ["NONFARM_PAYROLL"]
INDICATORS = {
    "SMA": ["SMA"], "EMA": ["EMA"], "RSI": ["RSI"], "ADX": ["ADX"], "ATR": ["ATR"],
    "CCI": ["CCI"], "MACD": ["MACD", "MACD_Hist", "MACD_Signal"],
    "BBANDS": ["Real Upper Band", "Real Middle Band", "Real Lower Band"],
}  # fmt: skip
EVERY = [
    ("TIME_SERIES_DAILY_ADJUSTED", {"symbol": "GOPI"}),
    ("TIME_SERIES_DAILY_ADJUSTED", {"symbol": "SPY", "outputsize": "full"}),
    ("TIME_SERIES_DAILY_ADJUSTED", {"symbol": "REDU", "outputsize": "full", "datatype": "csv"}),
    ("SPLITS", {"symbol": "GOPI"}),
    ("OVERVIEW", {"symbol": "GOPI"}),
    ("EARNINGS", {"symbol": "GOPI"}),
    ("EARNINGS_CALENDAR", {"horizon": "3month"}),
    ("BALANCE_SHEET", {"symbol": "GOPI"}),
    ("LISTING_STATUS", {"state": "active"}),
    ("LISTING_STATUS", {"state": "delisted"}),
    ("HISTORICAL_OPTIONS", {"symbol": "GOPI", "date": "2022-12-29"}),
    ("HISTORICAL_OPTIONS", {"symbol": "QQQ"}),
    ("REALTIME_OPTIONS", {"symbol": "GOPI", "require_greeks": "true"}),
    ("REALTIME_BULK_QUOTES", {"symbol": "GOPI,SPY,XLK"}),
    ("GLOBAL_QUOTE", {"symbol": "GOPI"}),
    ("NEWS_SENTIMENT", {"tickers": "GOPI", "sort": "EARLIEST", "time_from": "20220801T0000"}),
    ("TREASURY_YIELD", {"interval": "daily", "maturity": "2year"}),
    ("TREASURY_YIELD", {"interval": "daily", "maturity": "10year", "datatype": "csv"}),
    *((name, {}) for name in MACRO),
    *(
        (name, {"symbol": "GOPI", "interval": "daily", "series_type": "close", "time_period": "20"})
        for name in INDICATORS
    ),
]


def bodies(one: Vendor, asof: date, calls: list) -> list[str]:
    return [one.query({"function": f, **params}, str(asof)).body for f, params in calls]


def test_answers_do_not_depend_on_call_order(market: Vendor) -> None:
    first = bodies(market, TODAY, EVERY)
    again = vendor()
    assert bodies(again, TODAY, EVERY[::-1])[::-1] == first
    assert all(body and "Error" not in body for body in first)


def test_answers_as_of_an_evening_hold_nothing_later(market: Vendor, later: Vendor) -> None:
    """The later vendor knows 18 months more; it must not show in a byte."""
    for now, then in zip(bodies(market, TODAY, EVERY), bodies(later, TODAY, EVERY), strict=True):
        assert now == then
    assert bodies(market, date(2024, 6, 28), EVERY) == bodies(market, TODAY, EVERY)
    assert bodies(later, date(2024, 6, 28), EVERY[:1]) != bodies(later, TODAY, EVERY[:1])


def test_other_seed_gives_other_prices(market: Vendor) -> None:
    other = vendor(seed=8)
    assert bodies(other, TODAY, EVERY[:1]) != bodies(market, TODAY, EVERY[:1])


@pytest.mark.parametrize(("size", "rows"), [("compact", 100), ("full", 1259)])
def test_daily_series_has_the_eight_fields_newest_first(
    market: Vendor, size: str, rows: int
) -> None:
    """1,259 sessions lie between 2018-01-02 and 2022-12-30 (exchange calendar)."""
    found = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI", outputsize=size)
    days = found["Time Series (Daily)"]
    assert found["Meta Data"]["2. Symbol"] == "GOPI"
    assert list(days) == sorted(days, reverse=True)
    assert len(days) == rows
    assert next(iter(days)) == "2022-12-30"
    assert all(list(row) == BARS for row in days.values())
    assert all(isinstance(text, str) for row in days.values() for text in row.values())


def test_daily_series_as_csv_says_the_same(market: Vendor) -> None:
    found = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI")["Time Series (Daily)"]
    text = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI", datatype="csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == (
        "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient"
    ).split(",")
    assert [row["timestamp"] for row in rows] == list(found)
    assert [float(row["close"]) for row in rows] == [float(r["4. close"]) for r in found.values()]


def test_overview_is_for_stocks_only(market: Vendor) -> None:
    found = ask(market, "OVERVIEW", "GOPI")
    assert set(OVERVIEW) <= set(found)
    assert ask(market, "OVERVIEW", "SPY") == {}
    assert ask(market, "EARNINGS", "XLK") == {}
    high = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI", outputsize="full")
    newest = next(iter(high["Time Series (Daily)"].values()))
    value = float(newest["4. close"]) * float(found["SharesOutstanding"])
    assert float(found["MarketCapitalization"]) == pytest.approx(value, rel=1e-9)


def test_options_have_twelve_expirations_of_41_strikes_shuffled(market: Vendor) -> None:
    rows = ask(market, "HISTORICAL_OPTIONS", "GOPI", date="2022-12-29")["data"]
    assert list(rows[0]) == CONTRACT
    assert len(rows) == 12 * 41 * 2
    assert len({row["contractID"] for row in rows}) == 12 * 41 * 2
    assert len({row["expiration"] for row in rows}) == 12
    assert {row["date"] for row in rows} == {"2022-12-29"}
    ends = [row["expiration"] for row in rows]
    assert ends != sorted(ends)
    one = rows[0]
    code = one["expiration"][2:].replace("-", "") + one["type"][0].upper()
    assert one["contractID"] == f"GOPI{code}{round(1000 * float(one['strike'])):08d}"


def test_options_of_no_session_or_of_the_future_are_empty(market: Vendor) -> None:
    assert ask(market, "HISTORICAL_OPTIONS", "GOPI", date="2022-12-31")["data"] == []
    assert ask(market, "HISTORICAL_OPTIONS", "GOPI", "2022-06-01", date="2022-06-02")["data"] == []


def test_quotes_agree_with_the_bar(market: Vendor) -> None:
    bars = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI")["Time Series (Daily)"]
    newest, before = list(bars.values())[:2]
    quote = ask(market, "GLOBAL_QUOTE", "GOPI")["Global Quote"]
    assert list(quote)[4:8] == [
        "05. price", "06. volume", "07. latest trading day", "08. previous close",
    ]  # fmt: skip
    assert quote["05. price"] == newest["4. close"]
    assert quote["08. previous close"] == before["4. close"]
    assert quote["10. change percent"].endswith("%")
    rows = ask(market, "REALTIME_BULK_QUOTES", "GOPI,NOSUCH,SPY")["data"]
    assert [row["symbol"] for row in rows] == ["GOPI", "SPY"]
    assert rows[0]["close"] == newest["4. close"]
    assert rows[0]["volume"] == newest["6. volume"]


def test_running_session_quotes_part_of_its_bar(market: Vendor) -> None:
    """At 11:00 New York the vendor has yesterday's bars and a piece of today's."""
    at = "2022-06-15T11:00:00-04:00"
    newest = next(
        iter(ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI", at)["Time Series (Daily)"])
    )
    assert newest == "2022-06-14"
    row = ask(market, "REALTIME_BULK_QUOTES", "GOPI", at)["data"][0]
    final = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI", "2022-06-15")["Time Series (Daily)"]
    whole = final["2022-06-15"]
    assert "2022-06-15 10:59:45" <= row["timestamp"] <= "2022-06-15 11:00:00.000"
    assert row["open"] == whole["1. open"]
    low, last, high = (float(row[name]) for name in ("low", "close", "high"))
    assert float(whole["3. low"]) <= low <= last <= high <= float(whole["2. high"])
    assert 0.2 < float(row["volume"]) / float(whole["6. volume"]) < 0.26  # 1.5 of 6.5 hours


@pytest.mark.parametrize("name", INDICATORS)
def test_indicators_name_their_columns(market: Vendor, name: str) -> None:
    found = ask(market, name, "GOPI", interval="daily", series_type="close", time_period="20")
    rows = found[f"Technical Analysis: {name}"]
    assert list(next(iter(rows.values()))) == INDICATORS[name]
    assert next(iter(rows)) == "2022-12-30"


def test_sma_is_the_mean_of_adjusted_closes(market: Vendor) -> None:
    found = ask(market, "SMA", "GOPI", interval="daily", series_type="close", time_period="20")
    bars = ask(market, "TIME_SERIES_DAILY_ADJUSTED", "GOPI")["Time Series (Daily)"]
    mean = sum(float(row["5. adjusted close"]) for row in list(bars.values())[:20]) / 20
    assert float(found["Technical Analysis: SMA"]["2022-12-30"]["SMA"]) == pytest.approx(
        mean, abs=6e-5
    )


def test_csv_functions_answer_in_csv(market: Vendor) -> None:
    reply = market.query({"function": "LISTING_STATUS"}, None)
    rows = list(csv.DictReader(io.StringIO(reply.body)))
    assert reply.kind == "text/csv"
    assert list(rows[0]) == [
        "symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status",
    ]  # fmt: skip
    assert {row["status"] for row in rows} == {"Active"}
    assert sum(row["assetType"] == "ETF" for row in rows) == 13
    rows = list(csv.DictReader(io.StringIO(ask(market, "EARNINGS_CALENDAR", horizon="3month"))))
    assert list(rows[0]) == [
        "symbol", "name", "reportDate", "fiscalDateEnding", "estimate", "currency",
    ]  # fmt: skip
    assert all("2022-12-30" <= row["reportDate"] <= "2023-03-31" for row in rows)


def test_unknown_things_are_refused_as_the_vendor_does(market: Vendor) -> None:
    assert "Error Message" in ask(market, "TIME_SERIES_DAILY_ADJUSTED", "NOSUCH")
    assert "does not exist" in ask(market, "TIME_SERIES_WEEKLY", "GOPI")["Error Message"]
    assert ask(market, "GLOBAL_QUOTE", "NOSUCH") == {"Global Quote": {}}
    assert "demo" in ask(market, "OVERVIEW", "GOPI", apikey="demo")["Information"]
    assert market.query({"function": "CPI"}, "yesterday").status == 400


def test_calls_over_the_rate_get_the_minute_notice() -> None:
    one = vendor(rate=2)
    answers = [ask(one, "CPI", apikey="secret") for _ in range(4)]
    assert ["data" in found for found in answers] == [True, True, False, False]
    assert "spreading out" in answers[2]["Information"]


def test_truth_is_refused_before_it_is_known(market: Vendor) -> None:
    assert market.truth("2023-01-03").status == 404
    assert market.truth("2022-12-25").status == 404
    assert market.truth("soon").status == 400
    assert len(json.loads(market.truth("2022-12-30").body)["truth"]) == 59  # one delisted
