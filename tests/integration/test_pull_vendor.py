"""`bft pull` from a vendor over HTTP: the call plan, quirks, budgets, resumption."""

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from desks import ASOF, BARS, INFO, NOW, Desk
from fakes import no_tick
from vendor import Vendor, said, serving

from bft.adapters.sources.bucket import Bucket
from bft.domain.delivery import Want
from bft.domain.errors import UnavailableError


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
    found = [path for path in desk.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".gz" for path in found)
    for path in found:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        assert b"s3cret" not in data, path


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


def test_calls_under_way_when_the_day_limit_comes_are_kept(desk: Desk, vendor: Vendor) -> None:
    """They are counted: red, they were cut off and asked again."""
    vendor.delay_s, vendor.prompt = 0.3, "AAA"
    vendor.scripts[f"{BARS} AAA"] = [said({INFO: "the limit is 25 requests per day"})]
    with pytest.raises(UnavailableError, match="day limit"):
        desk.pull("--topics", "bars")
    desk.pull("--topics", "bars")
    asked = sorted(query["symbol"] for query in vendor.calls(BARS))
    assert asked == ["AAA", "AAA", "BBB", "SPY"]


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


def test_nothing_stale_is_no_fault(desk: Desk, vendor: Vendor) -> None:
    desk.pull("--topics", "bars")
    before = desk.table("bars")
    vendor.asked.clear()
    summary = desk.pull("--only-stale", "--topics", "bars")
    assert (summary.exit_code, summary.error) == (0, None)
    assert not vendor.calls(BARS)
    told = [note for note in summary.values["notes"] if note.startswith("nothing is stale")]
    assert told == ["nothing is stale: all 3 active symbols have a bar of 2026-01-05"]
    assert desk.table("bars").equals(before)


def test_stale_ones_of_a_list_whose_members_all_left_are_a_fault(desk: Desk) -> None:
    path = desk.root.parent / "left.csv"
    path.write_text("symbol,from,to\nAAA,2020-01-02,2025-06-30\n")
    summary = desk.pull("--only-stale", "--topics", "bars", "--universe", str(path))
    assert summary.exit_code == 65
    assert "nobody of the universe is listed on 2026-01-05" in str(summary.error)


def test_symbol_once_delisted_stays_so_on_other_days(desk: Desk, vendor: Vendor) -> None:
    path = desk.root.parent / "old.csv"
    path.write_text("AAA\nOLD\n")
    words = ("--topics", "listings", "--universe", str(path))
    desk.pull(*words)  # a Monday: both lists
    vendor.asof = date(2026, 1, 6)
    desk.pull(*words, asof=vendor.asof, now=NOW + timedelta(days=1))
    assert [q["state"] for q in vendor.calls("LISTING_STATUS")].count("delisted") == 1
    ends = desk.table("universe", vendor.asof).query("symbol == 'OLD'")["to"]
    assert ends.astype(str).tolist() == ["2025-06-30"]


def test_chains_alone_use_the_closes_already_stored(desk: Desk) -> None:
    desk.pull("--topics", "bars")
    assert desk.pull("--topics", "options").values["tables"]["options_summary"] == 3


def quotes(desk: Desk, names: str) -> Any:
    client = desk.client(NOW)
    source = desk.ports(client, NOW).sources["v"]
    try:
        want = Want(topic="quotes", name=names)
        (answer,) = source.fetch([want], asof=ASOF, fresh=False, tick=no_tick)
    finally:
        client.close()
    return answer


def test_bulk_quotes_are_new_york_times_and_never_staged(desk: Desk, vendor: Vendor) -> None:
    row = {"symbol": "AAA", "timestamp": "2026-01-05 15:59:59.5", "close": "10.5"}
    row |= {"open": "10", "high": "11", "low": "9", "previous_close": "10", "volume": "5"}
    vendor.scripts["REALTIME_BULK_QUOTES"] = [said({"message": "ok", "data": [row]})] * 2
    for _ in range(2):
        (told,) = quotes(desk, "AAA,BBB").tables["quotes"].to_pylist()
        assert (told["last"], told["volume"], told["bulk"]) == (10.5, 5.0, True)
        assert told["at"] == datetime(2026, 1, 5, 20, 59, 59, 500_000, tzinfo=UTC)
    assert len(vendor.calls("REALTIME_BULK_QUOTES")) == 2


def test_sample_quotes_fall_back_to_single_ones(desk: Desk, vendor: Vendor) -> None:
    sample = {"message": "This is sample data.", "data": [{"symbol": "MSFT", "close": "1"}]}
    vendor.scripts["REALTIME_BULK_QUOTES"] = [said(sample)] * 2
    one = {"01. symbol": "AAA", "05. price": "10.5", "07. latest trading day": "2026-01-05"}
    vendor.scripts["GLOBAL_QUOTE AAA"] = [said({"Global Quote": one})]
    vendor.scripts["GLOBAL_QUOTE BBB"] = [said({"Global Quote": {}})]
    answer = quotes(desk, "AAA,BBB")
    (told,) = answer.tables["quotes"].to_pylist()
    assert (told["symbol"], told["last"], told["bulk"]) == ("AAA", 10.5, False)
    assert answer.refused.names == {"empty": ["BBB"]}


def test_bucket_spaces_calls_evenly_and_pauses_once_for_all() -> None:
    now, told = [100.0], list[float]()
    pace = {"now": lambda: now[0], "sleep": lambda s: now.__setitem__(0, now[0] + s)}
    bucket = Bucket(60, **pace, tell=told.append)
    slots = [bucket.take() for _ in range(4)]
    assert slots == [100.0, 101.0, 102.0, 103.0]
    bucket.pause(slot=103.0)
    bucket.pause(slot=102.0)  # under way when the pause began
    assert bucket.take() == pytest.approx(163.0)
    bucket.pause(slot=163.0)
    assert told == [60.0, 120.0]


def test_bucket_is_shared_between_threads() -> None:
    taken: list[float] = []
    bucket = Bucket(6000, now=lambda: 0.0, sleep=lambda _s: None)
    threads = [threading.Thread(target=lambda: taken.append(bucket.take())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == pytest.approx([0.01 * n for n in range(20)])


@pytest.mark.parametrize("name", ["options", "options_summary"])
def test_broken_chains_of_a_past_night_are_asked_for_again(
    desk: Desk, vendor: Vendor, name: str
) -> None:
    desk.pull()
    (desk.root / f"tables/{name}/arrived={ASOF}.parquet").write_bytes(b"PAR1 not any more")
    vendor.asked.clear()
    desk.pull(now=NOW + timedelta(days=2), fresh=True)
    assert len(vendor.calls("HISTORICAL_OPTIONS")) == 3
    assert len(desk.table("options_summary")) == 3
    assert len(desk.table("options")) == 252
    vendor.asked.clear()
    desk.pull(now=NOW + timedelta(days=2), fresh=True)
    assert vendor.calls("HISTORICAL_OPTIONS") == []
