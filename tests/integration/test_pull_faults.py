"""`bft pull` from a vendor that limits, breaks off, errs or says nothing."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from desks import ASOF, BARS, INFO, Desk
from vendor import Vendor, said, serving

from bft.adapters.sources.av_client import Timeouts
from bft.domain.errors import ConfigError, DataError, UnavailableError


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor(asof=ASOF)) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, vendor: Vendor) -> Desk:
    return Desk(root=tmp_path / "root", vendor=vendor)


NOTICES = {
    "minute": "Please consider spreading out your free API requests (1 request per second). "
    "Premium plans lift the free key rate limit (25 requests per day).",
    "old": "Our standard API call frequency is 5 calls per minute and 500 calls per day. Premium.",
    "day": "We have detected your API key as KEY and our standard API rate limit is 25 requests "
    "per day. Please subscribe to any of the premium plans.",
    "premium": "Thank you! This is a premium endpoint. You may subscribe to any plan.",
    "demo": "The **demo** API key is for demo purposes only.",
}


@pytest.mark.parametrize("notice", ["minute", "old"])
def test_minute_limit_pauses_everyone_and_spends_no_attempt(
    desk: Desk, vendor: Vendor, notice: str
) -> None:
    vendor.scripts["CPI"] = [said({"Note": NOTICES[notice]})] * 6
    assert desk.pull("--topics", "macro").exit_code == 0
    assert len(vendor.calls("CPI")) == 7
    assert max(desk.waits) > 250


def test_minute_limit_without_end_is_unavailable(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["CPI"] = [said({"Note": NOTICES["minute"]})] * 40
    with pytest.raises(UnavailableError, match="minute limit"):
        desk.pull("--topics", "macro")
    assert len(vendor.calls("CPI")) == 11


def test_day_limit_stops_and_says_when_to_resume(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["CPI"] = [said({INFO: NOTICES["day"]})]
    with pytest.raises(UnavailableError, match="00:00 America/New_York"):
        desk.pull("--topics", "macro")


def test_premium_topic_is_skipped_daily_series_is_misconfigured(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["HISTORICAL_OPTIONS"] = [said({INFO: NOTICES["premium"]})] * 3
    summary = desk.pull()
    assert summary.skipped["premium"] == 3
    assert summary.exit_code == 0
    vendor.scripts[BARS] = [said({INFO: NOTICES["premium"]})] * 3
    with pytest.raises(ConfigError, match=BARS):
        desk.pull(fresh=True)


def test_demo_key_is_misconfigured(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["CPI"] = [said({INFO: NOTICES["demo"]})]
    with pytest.raises(ConfigError, match="ALPHAVANTAGE_API_KEY"):
        desk.pull("--topics", "macro")


@pytest.mark.parametrize(
    "answer",
    [
        said("<html>busy</html>"),
        said('{"data": [{"date"'),
        said("oops", 500),
        said("slow down", 429),
        said({INFO: "words nobody has seen before"}),
        said([1, 2]),
    ],
)
def test_broken_answer_is_tried_again(
    desk: Desk, vendor: Vendor, answer: tuple[int, dict[str, str], str]
) -> None:
    vendor.scripts["CPI"] = [answer] * 4
    summary = desk.pull("--topics", "macro")
    assert summary.values["tables"]["macro"] == 9
    assert len(vendor.calls("CPI")) == 5
    assert [0.8 * w <= x <= 1.2 * w for w, x in zip((1, 2, 4, 8), desk.waits, strict=True)] == [
        True
    ] * 4


@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_half_a_csv_is_tried_again(desk: Desk, vendor: Vendor, kept: float) -> None:
    body = vendor.listing_status({"state": "active"})
    half = body[: int(kept * len(body.rstrip().rpartition("ETF")[0]))]
    vendor.scripts["LISTING_STATUS"] = [said(half)]
    desk.pull("--topics", "listings")
    assert len(vendor.calls("LISTING_STATUS")) == 3  # active twice, and delisted on a Monday
    assert desk.table("listings")["active"].tolist() == [True] * 3


def test_five_broken_answers_are_unavailable_and_the_others_are_kept(
    desk: Desk, vendor: Vendor
) -> None:
    vendor.scripts["CPI"] = [said("<html>", 503)] * 5
    with pytest.raises(UnavailableError, match=r"CPI.*HTTP 503"):
        desk.pull("--topics", "macro")
    assert len(vendor.calls("CPI")) == 5
    assert list((desk.root / "staging").rglob("*.json.gz"))


def test_server_says_how_long_to_wait(desk: Desk, vendor: Vendor) -> None:
    later = "Mon, 05 Jan 2026 23:30:20 GMT"
    vendor.scripts["CPI"] = [said("", 429, Retry_After="7"), said("", 503, Retry_After=later)]
    vendor.scripts["UNEMPLOYMENT"] = [said("", 503, Retry_After="9999")]
    desk.pull("--topics", "macro")
    assert sorted(desk.waits) == [7.0, 20.0, 60.0]


def test_silent_server_is_an_attempt(tmp_path: Path) -> None:
    with serving(Vendor(asof=ASOF, delay_s=0.3)) as vendor:
        desk = Desk(root=tmp_path / "root", vendor=vendor, timeouts=Timeouts(read_s=0.05))
        with pytest.raises(UnavailableError, match="ReadTimeout"):
            desk.pull("--topics", "earnings_calendar")
        assert len(desk.waits) == 4


def test_nobody_listening_on_this_machine_is_a_setting_at_fault(desk: Desk, vendor: Vendor) -> None:
    vendor.url = "http://127.0.0.1:9/query"
    with pytest.raises(ConfigError, match=r"nobody listens on .* check BFT_AV_URL"):
        desk.pull("--topics", "earnings_calendar")
    assert desk.waits == []


def test_unknown_symbol_is_missing_and_counted(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts[f"{BARS} BBB"] = [said({"Error Message": "Invalid API call."})]
    summary = desk.pull("--topics", "bars")
    assert summary.exit_code == 65
    assert summary.values["names"]["missing"] == ["BBB bars"]
    assert summary.values["notes"][0].endswith("symbol=BBB: Invalid API call.")
    assert len([q for q in vendor.calls(BARS) if q["symbol"] == "BBB"]) == 1
    assert desk.table("bars").empty


def test_unknown_ticker_of_the_news_is_missing(desk: Desk, vendor: Vendor) -> None:
    words = "Invalid inputs. Please refer to the API documentation and try again."
    vendor.scripts["NEWS_SENTIMENT AAA"] = [said({INFO: words})]
    summary = desk.pull("--topics", "news", "--watchlist", "all")
    assert summary.values["names"]["missing"] == ["AAA news"]


def test_late_vendor_is_a_matter_of_trying_again(desk: Desk, vendor: Vendor) -> None:
    stale = vendor.bars("BBB", "full")
    stale["Time Series (Daily)"].pop("2026-01-05")
    vendor.scripts[f"{BARS} BBB"] = [said(stale)]
    summary = desk.pull("--topics", "bars")
    assert summary.exit_code == 75
    assert summary.values["names"]["stale_day"] == ["BBB bars"]
    vendor.asked.clear()
    assert desk.pull("--topics", "bars").exit_code == 0
    assert {(q["function"], q["symbol"]) for q in vendor.asked if q["function"] == BARS} == {
        (BARS, "BBB")
    }


def test_chain_of_another_day_is_not_stored(desk: Desk, vendor: Vendor) -> None:
    _, headers, text = said(vendor.historical_options({"symbol": "AAA", "date": "2026-01-02"}))
    vendor.scripts["HISTORICAL_OPTIONS AAA"] = [(200, headers, text)]
    summary = desk.pull("--topics", "bars,options")
    assert summary.values["names"]["stale_day"] == ["AAA options"]
    assert set(desk.table("options")["symbol"]) == {"BBB", "SPY"}


def test_empty_answer_holds_no_facts(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["OVERVIEW AAA"] = [said({})]
    vendor.scripts["HISTORICAL_OPTIONS SPY"] = [said({"message": "No data", "data": []})]
    summary = desk.pull()
    assert summary.values["names"]["empty"][-2:] == ["AAA fundamentals", "SPY options"]


def test_sample_data_is_discarded(desk: Desk, vendor: Vendor) -> None:
    sample = vendor.overview({"symbol": "IBM"})
    vendor.scripts["OVERVIEW AAA"] = [said(sample)]
    vendor.scripts["OVERVIEW BBB"] = [said(sample)] * 2
    summary = desk.pull("--topics", "fundamentals")
    assert summary.values["names"]["sample_data"] == ["BBB fundamentals"]
    assert desk.table("fundamentals")["symbol"].tolist() == ["AAA"]
    vendor.scripts[f"{BARS} BBB"] = [said(vendor.bars("IBM", "full"))] * 2
    with pytest.raises(DataError, match=r"IBM.*run the same command again"):
        desk.pull(fresh=True)


def test_words_for_numbers_refuse_the_row(desk: Desk, vendor: Vendor) -> None:
    bars = vendor.bars("AAA", "full")
    bars["Time Series (Daily)"]["2025-12-30"]["6. volume"] = "many"
    bars["Time Series (Daily)"]["2025-12-31"]["1. open"] = "None"
    vendor.scripts[f"{BARS} AAA"] = [said(bars)]
    summary = desk.pull("--topics", "bars")
    assert "AAA 2025-12-30" in summary.values["names"]["bad_row"]
    stored = desk.table("bars").query("symbol == 'AAA'").set_index("date")
    assert date(2025, 12, 30) not in stored.index
    assert pd.isna(stored.loc[date(2025, 12, 31), "open"])
