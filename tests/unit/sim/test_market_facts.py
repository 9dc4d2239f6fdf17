"""Reports, macro releases, chains and news: when they are known, and what they say."""

import csv
import io
import math
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from sims import ask

from bft.domain import sessions
from bft.sim.market.news import articles
from bft.sim.market.vendor import Vendor


def quarters(one: Vendor, symbol: str, asof: object = None) -> dict[str, dict[str, str]]:
    rows = ask(one, "EARNINGS", symbol, asof)["quarterlyEarnings"]
    return {row["fiscalDateEnding"]: row for row in rows}


def test_reports_come_20_to_50_days_after_the_quarter_on_sessions(market: Vendor) -> None:
    times = set()
    for one in market.world().stocks:
        for row in quarters(market, one.symbol).values() if not one.end_row else ():
            if row["reportedEPS"] == "None":
                continue
            end, told = (date.fromisoformat(row[k]) for k in ("fiscalDateEnding", "reportedDate"))
            assert 20 <= (told - end).days <= 50
            assert sessions.is_session(told)
            assert (end + timedelta(days=1)).day == 1
            times.add(row["reportTime"])
    assert times == {"pre-market", "post-market"}


def test_report_appears_on_its_day_and_not_before(market: Vendor) -> None:
    row = next(r for r in quarters(market, "GOPI").values() if r["reportedEPS"] != "None")
    told, end = date.fromisoformat(row["reportedDate"]), row["fiscalDateEnding"]
    eve = quarters(market, "GOPI", told - timedelta(days=1))[end]
    assert eve["reportedEPS"] == "None"
    assert eve["estimatedEPS"] == row["estimatedEPS"]
    assert quarters(market, "GOPI", told)[end]["reportedEPS"] == row["reportedEPS"]
    hour = "06:30" if row["reportTime"] == "pre-market" else "15:59"
    assert quarters(market, "GOPI", f"{told}T{hour}:00-05:00")[end]["reportedEPS"] == "None"


def test_surprise_is_reported_less_estimate(market: Vendor) -> None:
    for row in quarters(market, "BIVE").values():
        if row["reportedEPS"] != "None":
            told, meant = float(row["reportedEPS"]), float(row["estimatedEPS"])
            assert float(row["surprise"]) == pytest.approx(told - meant, abs=2e-4)
            share = 100 * (told - meant) / abs(meant)
            assert float(row["surprisePercentage"]) == pytest.approx(share, abs=0.02)


def test_eps_is_restated_after_a_split(market: Vendor) -> None:
    """The quarter before a split reads differently the day after it, by the ratio."""
    stocks = [one.symbol for one in market.world().stocks if not one.old_symbol]
    said = {symbol: ask(market, "SPLITS", symbol).get("data", []) for symbol in stocks}
    symbol, split = next((s, rows[0]) for s, rows in said.items() if rows)
    on = date.fromisoformat(split["effective_date"])
    before = quarters(market, symbol, sessions.shift(on, -1))
    after = quarters(market, symbol, on)
    end = [k for k, row in before.items() if row["reportedEPS"] != "None"][3]
    ratio = float(before[end]["reportedEPS"]) / float(after[end]["reportedEPS"])
    assert ratio == pytest.approx(float(split["split_factor"]), rel=0.02)
    assert before[end]["surprisePercentage"] == after[end]["surprisePercentage"]


def test_calendar_names_the_coming_reports(market: Vendor) -> None:
    asof = date(2022, 6, 15)
    rows = csv.DictReader(io.StringIO(ask(market, "EARNINGS_CALENDAR", asof=asof)))
    later = 0
    for row in rows:
        row_now = quarters(market, row["symbol"], "2022-12-30")[row["fiscalDateEnding"]]
        told = date.fromisoformat(row_now["reportedDate"])
        wait = (date.fromisoformat(row["reportDate"]) - told).days
        assert -1 <= wait <= 6  # expected up to 2 days late, then on a session
        later += wait != 0
        assert told >= asof
    assert later > 0


def test_balance_sheet_follows_its_report_within_two_weeks(market: Vendor) -> None:
    told = {end: row["reportedDate"] for end, row in quarters(market, "GOPI").items()}
    found = ask(market, "BALANCE_SHEET", "GOPI")["quarterlyReports"]
    newest = found[0]["fiscalDateEnding"]
    assert float(found[0]["totalShareholderEquity"]) > 0
    assert float(found[0]["commonStockSharesOutstanding"]) > 1e6
    day, seen = date.fromisoformat(told[newest]), False
    for wait in range(-1, 16):
        rows = ask(market, "BALANCE_SHEET", "GOPI", day + timedelta(days=wait))["quarterlyReports"]
        now = rows[0]["fiscalDateEnding"] == newest
        assert not (wait < 0 and now)
        assert now or not seen
        seen = now
    assert seen


def test_overview_is_of_the_evening_asked(market: Vendor) -> None:
    then, now = (ask(market, "OVERVIEW", "GOPI", day) for day in ("2020-03-02", "2022-12-30"))
    assert then["LatestQuarter"] == "2019-12-31"
    assert now["LatestQuarter"] == "2022-09-30"
    assert then["MarketCapitalization"] != now["MarketCapitalization"]
    last_four = [row for row in quarters(market, "GOPI").values() if row["reportedEPS"] != "None"]
    eps = sum(float(row["reportedEPS"]) for row in last_four[:4])
    assert float(now["EPS"]) == pytest.approx(eps, abs=3e-4)


LIMITS = {  # the latest day by which a reference month is out: day of the month after it
    "UNEMPLOYMENT": 10, "NONFARM_PAYROLL": 10, "CPI": 16, "RETAIL_SALES": 18, "DURABLES": 28,
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_monthly_macro_is_out_by_its_day_and_revised_once(market: Vendor, name: str) -> None:
    def known(asof: date) -> dict[str, str]:
        return {row["date"]: row["value"] for row in ask(market, name, asof=asof)["data"]}

    revised = 0
    for month in range(1, 10):
        reference = f"2021-{month:02}-01"
        limit = date(2021, month + 1, LIMITS[name])
        assert reference not in known(limit - timedelta(days=4))
        first = known(limit)[reference]
        final = known(limit + timedelta(days=30))[reference]
        assert final == known(date(2022, 12, 30))[reference]
        revised += first != final
    assert revised >= 3
    assert known(date(2018, 1, 2))  # a first night has more than a year of history
    assert min(known(date(2018, 1, 2))) <= "2016-12-01"


def test_daily_and_annual_macro_keep_their_lags(market: Vendor) -> None:
    def newest(asof: object, **params: str) -> str:
        return ask(market, asof=asof, **params)["data"][0]["date"]

    daily = {"function": "TREASURY_YIELD", "interval": "daily", "maturity": "10year"}
    assert newest("2021-06-15", **daily) == "2021-06-15"
    assert newest("2021-06-15T12:00:00-04:00", **daily) == "2021-06-14"
    assert newest("2021-06-27", function="INFLATION") == "2019-01-01"
    assert newest("2021-07-01", function="INFLATION") == "2020-01-01"
    holiday = ask(market, **daily)["data"]
    assert {row["value"] for row in holiday if row["date"] == "2022-11-24"} == {"."}


def test_chain_obeys_put_call_parity_and_bid_ask(market: Vendor) -> None:
    """C - P = S - K exp(-r T), to half the two spreads; T counts to the expiration's evening."""
    quote = ask(market, "GLOBAL_QUOTE", "GOPI", "2022-06-15")["Global Quote"]
    rows = ask(market, "HISTORICAL_OPTIONS", "GOPI", "2022-06-15")["data"]
    price, chain = float(quote["05. price"]), {}
    for row in rows:
        bid, ask_price, mark = (float(row[k]) for k in ("bid", "ask", "mark"))
        assert 0 <= bid < ask_price
        assert 0.01 < float(row["implied_volatility"]) < 5
        assert row["last"] == "0.00" or bid - 0.006 <= float(row["last"]) <= ask_price + 0.006
        chain[row["expiration"], row["strike"], row["type"]] = (mark, ask_price - bid, row)
    for (end, strike, kind), (mark, width, row) in chain.items():
        if kind == "call":
            put, put_width, put_row = chain[end, strike, "put"]
            years = ((date.fromisoformat(end) - date(2022, 6, 15)).days + 0.3) / 365
            parity = price - float(strike) * math.exp(-0.03 * years)
            # a bid stops at zero: allow for the part of the spread that is cut off
            assert mark - put == pytest.approx(parity, abs=0.5 * (width + put_width) + 0.02)
            assert float(row["delta"]) - float(put_row["delta"]) == pytest.approx(1, abs=2e-5)
    smile = {s: float(v[2]["implied_volatility"]) for (e, s, k), v in chain.items()
             if k == "put" and e == max(key[0] for key in chain)}  # fmt: skip
    by_strike = [smile[s] for s in sorted(smile, key=float)]
    assert by_strike[0] > by_strike[20] < by_strike[-1]


def test_greeks_are_the_slopes_of_the_value() -> None:
    """Finite differences of the textbook formula, written out here with math.erf alone."""
    from bft.sim.market.chains import _black_scholes

    def call_value(s: float, t: float, v: float, r: float) -> float:
        d1 = (math.log(s / 105) + (r + v * v / 2) * t) / (v * math.sqrt(t))
        n1, n2 = ((1 + math.erf(d / math.sqrt(2))) / 2 for d in (d1, d1 - v * math.sqrt(t)))
        return s * n1 - 105 * math.exp(-r * t) * n2

    strike, years, vol = (np.array([x]) for x in (105.0, 0.5, 0.3))
    made = {k: float(v[0]) for k, v in _black_scholes(100, strike, years, vol, np.ones(1)).items()}
    at, h = (100, 0.5, 0.3, 0.03), 1e-4

    def slope(place: int) -> float:
        up, down = ([x + (h if n == place else 0) * s for n, x in enumerate(at)] for s in (1, -1))
        return (call_value(*up) - call_value(*down)) / (2 * h)

    assert made["value"] == pytest.approx(call_value(*at), rel=1e-12)
    assert made["delta"] == pytest.approx(slope(0), rel=1e-6)
    assert made["theta"] == pytest.approx(-slope(1) / 365, rel=1e-6)
    assert made["vega"] == pytest.approx(slope(2) / 100, rel=1e-6)
    assert made["rho"] == pytest.approx(slope(3) / 100, rel=1e-6)


# --- news ---------------------------------------------------------------------------------------


def test_articles_number_zero_to_five_and_some_come_twice(market: Vendor) -> None:
    world, counts, twice = market.world(), [], 0
    for n in range(400):
        feed = articles(world, n % 60, date(2020, 1, 1) + timedelta(days=n))
        urls = [one.entry["url"] for one in feed]
        counts.append(len(set(urls)))
        twice += len(urls) - len(set(urls))
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert twice == pytest.approx(0.05 * sum(counts), abs=15)
    assert articles(world, 60, date(2020, 1, 2)) == []  # a fund


def test_late_articles_appear_later_with_their_old_date(market: Vendor) -> None:
    def urls(asof: date) -> set[str]:
        found = ask(
            market, "NEWS_SENTIMENT", asof=asof, tickers="GOPI", time_from="20210601T0000",
            sort="EARLIEST", limit="1000",
        )  # fmt: skip
        return {a["url"] for a in found["feed"] if a["time_published"] < "20210615T235959"}

    evening, week_after = urls(date(2021, 6, 15)), urls(date(2021, 6, 22))
    assert evening <= week_after
    late = [
        one
        for n in range(300)
        for one in articles(market.world(), 0, date(2021, 1, 1) + timedelta(days=n))
        if one.arrives_at > one.published_at
    ]
    assert late
    day = late[0].published_at.date()
    params = {"tickers": "GOPI", "time_from": f"{day:%Y%m%d}T0000", "sort": "EARLIEST"}
    on_day = ask(market, "NEWS_SENTIMENT", asof=day, **params)["feed"]
    after = ask(market, "NEWS_SENTIMENT", asof=day + timedelta(days=5), **params)["feed"]
    assert late[0].entry["url"] not in [a["url"] for a in on_day]
    assert late[0].entry["url"] in [a["url"] for a in after]


def test_news_fields_order_and_bounds(market: Vendor) -> None:
    params = {"tickers": "GOPI", "time_from": "20210601T0000", "time_to": "20210701T0000"}
    found = ask(market, "NEWS_SENTIMENT", sort="EARLIEST", limit="1000", **params)
    stamps = [article["time_published"] for article in found["feed"]]
    assert found["items"] == str(len(stamps)) != "0"
    assert stamps == sorted(stamps)
    assert stamps[0] >= "20210601T000000"
    assert stamps[-1] <= "20210701T000000"
    one = found["feed"][0]
    assert {"title", "url", "time_published", "source", "summary", "ticker_sentiment"} <= set(one)
    own = [t for t in one["ticker_sentiment"] if t["ticker"] == "GOPI"]
    assert 0 < float(own[0]["relevance_score"]) <= 1
    assert len(ask(market, "NEWS_SENTIMENT", limit="3", **params)["feed"]) == 3
    newest = ask(market, "NEWS_SENTIMENT", **params)["feed"]
    assert newest[0]["time_published"] == stamps[-1]
    assert "Information" in ask(market, "NEWS_SENTIMENT", tickers="NOSUCH")


def test_sentiment_leans_with_the_day(market: Vendor) -> None:
    """Planned correlation 0.1; 3 standard errors of 3,200 articles are 0.053."""
    world, tones, moves = market.world(), [], []
    for n in range(60):
        level = world.returns.level[:, n]
        for row in range(1, 700, 20):
            for one in articles(world, n, world.days[row]):
                tones.append(one.entry["overall_sentiment_score"])
                moves.append((level[row] / level[row - 1] - 1) / world.traits.sd[n])
    assert len(tones) > 2_500
    assert np.corrcoef(tones, moves)[0, 1] == pytest.approx(0.1, abs=0.053)


def test_evening_includes_the_whole_day_of_news(market: Vendor) -> None:
    """Articles stop at 21:59 UTC, before 18:00 New York in summer and winter."""
    for n in range(100):
        for one in articles(market.world(), n % 60, date(2021, 1, 1) + timedelta(days=3 * n)):
            evening = sessions.evening(one.published_at.date())
            assert isinstance(one.published_at, datetime)
            assert one.published_at < evening
