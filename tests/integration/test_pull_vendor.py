"""`bft pull` from a vendor over HTTP: the call plan, quirks, budgets, resumption."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes import FakePorts, FixedClock, arguments, make_ports, no_tick
from vendor import Vendor, said, serving

from bft.adapters.sources.alphavantage import AlphaVantage
from bft.adapters.sources.av_client import Client, Timeouts
from bft.adapters.sources.av_client import Vendor as Address
from bft.adapters.sources.bucket import Bucket
from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.ports import Summary
from bft.steps import pull

ASOF = date(2026, 1, 5)
NOW = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
BARS = "TIME_SERIES_DAILY_ADJUSTED"
INFO = "Information"


@dataclass
class Desk:
    """A root, a vendor, and a clock; waits are recorded, not slept."""

    root: Path
    vendor: Vendor
    sim: bool = False
    waits: list[float] = field(default_factory=list)
    allowed: int = 10**6
    timeouts: Timeouts = field(default_factory=Timeouts)

    def pull(self, *words: str, asof: date = ASOF, now: datetime = NOW, **given: Any) -> Summary:
        client = self.client(now)
        lists = () if self.sim or "--universe" in words else self._lists()
        values = {"fresh": False, "asof": asof, **given}
        args = arguments(pull.STEP, "--source", "v", *lists, *words, **values)
        try:
            return pull.STEP.run(self.ports(client, now), args, no_tick)
        finally:
            client.close()

    def client(self, now: datetime) -> Client:
        calls = iter(range(self.allowed))
        return Client(
            Address(url=self.vendor.url, key="s3cret-key", sim=self.sim),
            bucket=Bucket(0, sleep=self.waits.append),
            clock=FixedClock(now),
            charge=lambda _day: next(calls, None) is not None,
            timeouts=self.timeouts,
        )

    def ports(self, client: Client, now: datetime) -> FakePorts:
        source = AlphaVantage(
            client,
            store=make_ports(self.root).store,
            clock=FixedClock(now),
            sim=self.sim,
            address=self.vendor.url,
            in_flight=8,
        )
        return make_ports(self.root, clock=FixedClock(now), sources={"v": source})

    def _lists(self) -> tuple[str, ...]:
        path = self.root.parent / "mine.csv"
        funds = "".join(f"{s},true\n" for s in self.vendor.funds)
        path.write_text(
            "symbol,is etf\n" + "".join(f"{s},false\n" for s in self.vendor.stocks) + funds
        )
        return ("--universe", str(path))

    def table(self, name: str, asof: date = ASOF) -> pd.DataFrame:
        return make_ports(self.root).store.read(name, asof=asof).to_pandas()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor(asof=ASOF)) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, vendor: Vendor) -> Desk:
    return Desk(root=tmp_path / "root", vendor=vendor)


def test_first_night_fills_every_table(desk: Desk, vendor: Vendor) -> None:
    summary = desk.pull("--watchlist", "all")
    assert summary.exit_code == 0
    assert summary.values["tables"] == {
        "actions": 0,
        "bars": 390,
        "earnings": 4,
        "earnings_calendar": 1,
        "fundamentals": 2,
        "listings": 3,
        "macro": 9,
        "news": 3,
        "options": 252,
        "options_summary": 3,
        "statements": 2,
        "universe": 3,
    }
    assert {q["outputsize"] for q in vendor.calls(BARS)} == {"full"}
    assert len(vendor.calls("OVERVIEW")) == 2
    assert summary.values["calls"] == len(vendor.asked)
    assert not any("X-Bft-Asof" in h for h in vendor.headers)
    bars = desk.table("bars")
    assert bars["backfilled"].all()
    assert set(bars["source"]) == {"alphavantage"}
    assert set(bars["arrived_at"]) == {NOW}
    earnings = desk.table("earnings").set_index("fiscal_date_ending")
    assert earnings["status"].tolist() == ["ok", "expected"] * 2
    facts = desk.table("fundamentals").set_index("symbol").loc["AAA"]
    assert facts["sector"] == "FINANCIAL SERVICES"
    assert facts["forward_pe"] == 15.0
    assert pd.isna(facts["dividend_yield"])
    assert pd.isna(facts["eps"])
    assert facts["known_at"] == NOW
    summary_row = desk.table("options_summary").iloc[0]
    assert summary_row[["call_volume", "put_volume", "total_volume", "contracts"]].tolist() == [
        420,
        210,
        630,
        84,
    ]


def test_second_night_asks_little_and_stores_what_is_new(desk: Desk, vendor: Vendor) -> None:
    desk.pull()
    vendor.asked.clear()
    vendor.asof = date(2026, 1, 6)
    later = NOW + timedelta(days=1)
    summary = desk.pull(asof=vendor.asof, now=later)
    sizes = {q["symbol"]: q["outputsize"] for q in vendor.calls(BARS)}
    # 2026-01-06 is session 6541 since 2000-01-03: 1 mod 20, the second symbol's turn
    assert sizes == {"AAA": "compact", "BBB": "full", "SPY": "compact"}
    assert {q["symbol"] for q in vendor.calls("SPLITS")} == {"BBB"}
    assert not vendor.calls("BALANCE_SHEET")
    bars = desk.table("bars", vendor.asof)
    new = bars[bars["arrived_at"] == later]
    assert new["date"].astype(str).tolist() == ["2026-01-06"] * 3
    assert not new["backfilled"].any()
    assert summary.values["tables"]["fundamentals"] == 0
    assert summary.values["tables"]["macro"] == 0


def test_simulator_is_told_the_day_and_labels_what_it_says(tmp_path: Path) -> None:
    with serving(Vendor(asof=ASOF, simulated=True)) as vendor:
        desk = Desk(root=tmp_path / "root", vendor=vendor, sim=True)
        summary = desk.pull()
        assert {h["X-Bft-Asof"] for h in vendor.headers} == {"2026-01-05"}
        assert summary.values["simulated"]
        bars = desk.table("bars")
        assert set(bars["source"]) == {"sim"}
        assert set(bars["arrived_at"]) == {datetime(2026, 1, 5, 23, tzinfo=UTC)}
        assert set(bars["symbol"]) == {"AAA", "BBB", "OLD", "SPY"}
        universe = desk.table("universe").set_index("symbol")
        assert str(universe.loc["OLD", "to"]) == "2025-06-30"
        assert universe.loc["SPY", "is_etf"]


def test_key_is_nowhere_on_disk(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts["CPI"] = [said({INFO: "your API key as s3cret-key is premium"})]
    desk.pull("--topics", "macro,bars")
    for path in desk.root.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path


def test_killed_pull_asks_only_what_is_missing_and_gives_the_same_bytes(
    tmp_path: Path, vendor: Vendor
) -> None:
    whole = Desk(root=tmp_path / "whole", vendor=vendor)
    first = whole.pull()
    total = len(vendor.asked)
    vendor.asked.clear()
    broken = Desk(root=tmp_path / "broken", vendor=vendor, allowed=10)
    with pytest.raises(UnavailableError, match=r"BFT_AV_CALLS_PER_DAY.*00:00"):
        broken.pull()
    assert broken.table("bars").empty
    made = len(vendor.asked)
    assert made == 10
    again = Desk(root=tmp_path / "broken", vendor=vendor)
    second = again.pull(now=NOW + timedelta(hours=11))
    assert len(vendor.asked) == total
    assert first.objects == second.objects


def test_staged_answers_expire_after_twelve_hours(desk: Desk, vendor: Vendor) -> None:
    desk.pull("--topics", "bars")
    vendor.asked.clear()
    desk.pull("--topics", "bars", now=NOW + timedelta(hours=11, minutes=59))
    assert vendor.asked == []
    desk.pull("--topics", "bars", now=NOW + timedelta(hours=12))
    assert len(vendor.calls(BARS)) == 3


def test_never_more_than_eight_calls_are_under_way(tmp_path: Path) -> None:
    stocks = tuple(f"S{n}" for n in range(30))
    with serving(Vendor(asof=ASOF, stocks=stocks, delay_s=0.01)) as vendor:
        Desk(root=tmp_path / "root", vendor=vendor).pull("--topics", "bars")
        assert 2 <= vendor.most_in_flight <= 8


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


def test_nobody_there_is_unavailable(desk: Desk, vendor: Vendor) -> None:
    vendor.url = "http://127.0.0.1:9/query"
    with pytest.raises(UnavailableError, match="ConnectError"):
        desk.pull("--topics", "earnings_calendar")


def test_unknown_symbol_is_missing_and_counted(desk: Desk, vendor: Vendor) -> None:
    vendor.scripts[f"{BARS} BBB"] = [said({"Error Message": "Invalid API call."})]
    summary = desk.pull("--topics", "bars")
    assert summary.exit_code == 65
    assert summary.values["names"]["missing"] == ["BBB bars"]
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
    with pytest.raises(DataError, match="IBM"):
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


def test_new_action_brings_the_whole_history_and_a_split_its_list(
    desk: Desk, vendor: Vendor
) -> None:
    desk.pull("--topics", "bars")
    vendor.asked.clear()
    vendor.asof = date(2026, 1, 6)
    split = vendor.bars("AAA", "compact")
    today = split["Time Series (Daily)"]["2026-01-06"]
    before = float(split["Time Series (Daily)"]["2026-01-05"]["4. close"])
    for name in ("1. open", "2. high", "3. low", "4. close"):
        today[name] = f"{before / 2:.4f}"
    today["8. split coefficient"] = "2.0"
    whole = {**split, "Time Series (Daily)": {**vendor.bars("AAA", "full")["Time Series (Daily)"]}}
    whole["Time Series (Daily)"]["2026-01-06"] = today
    dividend = vendor.bars("BBB", "compact")
    dividend["Time Series (Daily)"]["2026-01-06"]["7. dividend amount"] = "0.5"
    vendor.scripts[f"{BARS} AAA"] = [said(split), said(whole)]
    vendor.scripts[f"{BARS} BBB"] = [said(dividend), said(dividend)]
    listed = [{"effective_date": "2026-01-06", "split_factor": "2.0000"}]
    listed += [{"effective_date": "2026-01-05", "split_factor": "2.0000"}]
    vendor.scripts["SPLITS AAA"] = [said({"symbol": "AAA", "data": listed})]
    summary = desk.pull("--topics", "bars,splits", asof=vendor.asof, now=NOW + timedelta(days=1))
    sizes = [q["outputsize"] for q in vendor.calls(BARS) if q["symbol"] == "AAA"]
    assert sizes == ["compact", "full"]
    assert "AAA" in {q["symbol"] for q in vendor.calls("SPLITS")}
    actions = desk.table("actions", vendor.asof)[["symbol", "ex_date", "kind", "status"]]
    assert actions.astype(str).to_numpy().tolist() == [
        ["AAA", "2026-01-05", "split", "refused"],
        ["AAA", "2026-01-06", "split", "ok"],
        ["BBB", "2026-01-06", "dividend", "ok"],
    ]
    assert summary.skipped["unconfirmed_split"] == 1


def test_halved_price_without_an_action_asks_for_splits(desk: Desk, vendor: Vendor) -> None:
    desk.pull("--topics", "bars")
    vendor.asked.clear()
    vendor.asof = date(2026, 1, 6)
    crash = vendor.bars("AAA", "compact")
    for name in ("1. open", "2. high", "3. low", "4. close"):
        crash["Time Series (Daily)"]["2026-01-06"][name] = "30.0"
    vendor.scripts[f"{BARS} AAA"] = [said(crash)]
    desk.pull("--topics", "bars,splits", asof=vendor.asof, now=NOW + timedelta(days=1))
    assert "AAA" in {q["symbol"] for q in vendor.calls("SPLITS")}


def test_past_day_drops_later_rows_and_asks_for_no_snapshot(desk: Desk, vendor: Vendor) -> None:
    day = date(2025, 12, 30)
    summary = desk.pull(asof=day)
    assert summary.exit_code == 0
    bars = desk.table("bars", day)
    assert bars["date"].max() == day
    assert bars["backfilled"].all()
    assert set(bars["arrived_at"]) == {NOW}
    assert not vendor.calls("OVERVIEW")
    assert desk.table("options", day)["backfilled"].all()
    vendor.asked.clear()
    desk.pull(asof=day, fresh=True)
    assert not vendor.calls("HISTORICAL_OPTIONS")
    assert len(desk.table("options_summary", day)) == 3


def test_only_stale_symbols_are_pulled_again(desk: Desk, vendor: Vendor) -> None:
    desk.pull("--symbols", "AAA,SPY", "--topics", "bars")
    assert set(desk.table("bars")["symbol"]) == {"AAA", "SPY"}
    vendor.asked.clear()
    summary = desk.pull("--only-stale", "--topics", "bars")
    assert {q["symbol"] for q in vendor.calls(BARS)} == {"BBB"}
    assert set(desk.table("bars")["symbol"]) == {"AAA", "BBB", "SPY"}
    assert any("BBB: very stale, listed" in note for note in summary.values["notes"])


def test_bucket_spaces_calls_evenly_and_pauses_once_for_all() -> None:
    now = [100.0]
    bucket = Bucket(60, now=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    slots = [bucket.take() for _ in range(4)]
    assert slots == [100.0, 101.0, 102.0, 103.0]
    bucket.pause(slot=103.0)
    bucket.pause(slot=102.0)  # under way when the pause began
    assert bucket.take() == pytest.approx(163.0)


def test_bucket_is_shared_between_threads() -> None:
    taken: list[float] = []
    bucket = Bucket(6000, now=lambda: 0.0, sleep=lambda _s: None)
    threads = [threading.Thread(target=lambda: taken.append(bucket.take())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == pytest.approx([0.01 * n for n in range(20)])
