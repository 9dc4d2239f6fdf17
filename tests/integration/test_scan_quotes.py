"""`bft scan --mode intraday --quotes` on files of bars and quotes: what a running session shows."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import NOW, FakePorts, FixedClock, make_ports
from markets import raw
from running_session import (
    ASOF,
    FALLEN,
    QUOTES,
    TODAY,
    intraday,
    market,
    rows_of,
    run,
    tell,
)

from bft.adapters.sources.files import Files
from bft.domain import sessions
from bft.domain.errors import DataError, StaleDataError, UnavailableError, UsageError
from bft.steps import scan


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built") / "root"
    market(root)
    return root


@pytest.fixture
def ports(built: Path, tmp_path: Path) -> FakePorts:
    """A root of its own, and a folder of files beside it."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "bars.csv").write_text("symbol,date\n")
    shutil.copytree(built, tmp_path / "root")
    made = make_ports(tmp_path / "root", sources={"files": Files(folder)})
    tell(made, QUOTES)
    return made


def test_pending_entries_are_dropped_by_drift_or_condition_else_shown(
    ports: FakePorts, tmp_path: Path
) -> None:
    ids = {key[0]: row["signal_id"] for key, row in rows_of(ports, "close").items()}
    assert set(ids) == set(FALLEN)
    file = tmp_path / "book.json"
    file.write_text(json.dumps({"pending": list(ids.values())}))
    summary = intraday(ports, "--positions", str(file))
    rows = {key[0]: row for key, row in rows_of(ports).items() if row["source"] == "close"}
    assert {name: (row["tag"], row["tag_reason"]) for name, row in rows.items()} == {
        "FELL": ("watch", "pending, drift +0.5 %"),  # 94.5 / 94
        "GONE": ("drop", "drift +2.7 %"),  # 96.5 / 94
        "NEAR": ("drop", "condition no longer holds"),  # 98.9 is above the band; drift 1.5 %
    }
    assert {name: row["signal_id"] for name, row in rows.items()} == ids
    assert (summary.values["pending"], summary.values["send"]) == (3, True)


def test_without_a_book_what_the_close_executes_is_pending(ports: FakePorts) -> None:
    wanted = [row for row in rows_of(ports, "close").values() if row["tag"] == "execute"]
    assert intraday(ports).values["pending"] == len(wanted) == 1


def test_provisional_entry_is_shown_and_expires(ports: FakePorts) -> None:
    summary = intraday(ports)
    row = rows_of(ports)["NEWS", "entry"]
    assert (row["tag"], row["tag_reason"]) == ("watch", "intraday_entries")
    assert (row["provisional"], row["source"], row["ref_price_usd"]) == (True, "intraday", 94.0)
    assert (row["asof"], row["bar_key"]) == (ASOF, "2018-02-07")
    assert row["decided_at"] == datetime(2018, 2, 7, 15, 5, tzinfo=UTC)
    assert (row["expires_at"] - row["decided_at"]).total_seconds() == 300
    assert summary.values["send"] is False
    assert summary.values["signals"]["bollinger"] >= 1
    assert list(summary.values)[:3] == ["session", "slot", "provisional"]


def test_provisional_entry_is_sent_where_its_strategy_wants_it(ports: FakePorts) -> None:
    intraday(ports, "--param", "bollinger.intraday_entries=true")
    row = rows_of(ports)["NEWS", "entry"]
    assert (row["tag"], row["tag_reason"]) == ("execute", None)
    again = rows_of(ports, "1005")["NEWS", "entry"]["signal_id"]
    tell(ports, QUOTES, at="10:19:30")
    intraday(ports, "--param", "bollinger.intraday_entries=true", slot="1020")
    assert rows_of(ports, "1020")["NEWS", "entry"]["signal_id"] == again  # one order


def test_last_scan_before_the_close_sends_no_entry(ports: FakePorts) -> None:
    tell(ports, QUOTES, at="15:49:30")
    intraday(ports, "--param", "bollinger.intraday_entries=true", slot="1550")
    row = rows_of(ports, "1550")["NEWS", "entry"]
    assert (row["tag"], row["tag_reason"]) == ("watch", "exits_only")


def held(**values: Any) -> dict[str, Any]:
    return {
        "symbol": "HELD",
        "direction": "long",
        "strategy_id": "bollinger",
        "held_days": 3,
        "value_usd": 9000.0,
        **values,
    }


def test_option_level_on_the_underlying_exits_and_daily_rules_wait(
    ports: FakePorts, tmp_path: Path
) -> None:
    file = tmp_path / "book.json"
    option = held(instrument="CALL", stop_usd=95.0, target_usd=107.5)
    file.write_text(json.dumps({"held": [option, held(symbol="QUIET")], "pending": []}))
    summary = intraday(ports, "--positions", str(file))
    rows = rows_of(ports)
    call, quiet = rows["HELD", "exit"], rows["QUIET", "exit"]
    assert (call["tag"], call["instrument"], call["kind"]) == ("execute", "CALL", "exit")
    assert call["reason"] == "exit: underlying 108.00 at its target 107.50"
    assert (quiet["tag"], quiet["tag_reason"]) == ("watch", "decided_at_close")  # c >= mid
    assert (summary.values["exits"], summary.values["held"], summary.values["pending"]) == (2, 2, 0)


def test_held_symbol_gets_no_second_entry(ports: FakePorts, tmp_path: Path) -> None:
    file = tmp_path / "book.json"
    file.write_text(json.dumps({"held": [held(symbol="NEWS")]}))
    words = ("--param", "bollinger.intraday_entries=true", "--positions", str(file))
    intraday(ports, *words)
    assert rows_of(ports)["NEWS", "entry"]["tag_reason"] == "held_or_pending"


def test_unreadable_book_blocks_entries_and_asks_for_a_retry(
    ports: FakePorts, tmp_path: Path
) -> None:
    file = tmp_path / "book.json"
    file.write_text('{"held": [{"symbol": "AAA", "sort": 1}]}')
    words = ("--param", "bollinger.intraday_entries=true", "--positions", str(file))
    summary = intraday(ports, *words)
    assert summary.exit_code == 75
    assert "a held position has no key 'sort'" in str(summary.error)
    assert rows_of(ports)["NEWS", "entry"]["tag_reason"] == "positions_unreadable"


def test_few_bad_quotes_are_said_first_and_more_block_entries(ports: FakePorts) -> None:
    tell(ports, {**QUOTES, "QUIET": 0})
    words = ("--param", "bollinger.intraday_entries=true")
    summary = intraday(ports, *words)
    first = next(iter(summary.values.items()))
    assert first == ("warning", "1 of 6 symbols have no usable quote: bad_quote 1")
    assert summary.skipped["bad_quote"] == 1
    assert rows_of(ports)["NEWS", "entry"]["tag"] == "execute"
    tell(ports, {name: QUOTES[name] for name in ("FELL", "GONE", "NEAR", "NEWS")}, at="10:19:30")
    intraday(ports, *words, slot="1020")
    assert rows_of(ports, "1020")["NEWS", "entry"]["tag_reason"] == "too_few_quotes"


def test_half_of_the_quotes_stale_ends_the_scan_and_writes_nothing(ports: FakePorts) -> None:
    tell(ports, QUOTES, at="10:02:59")
    before = ports.store.keys("")
    with pytest.raises(UnavailableError, match="6 of 6 symbols have no usable quote: stale_quote"):
        intraday(ports)
    assert ports.store.keys("") == before


def test_scan_again_gives_the_same_bytes_and_the_close_stays_beside_it(ports: FakePorts) -> None:
    close = rows_of(ports, "close")
    first = intraday(ports)
    ports.clock = FixedClock(NOW + timedelta(minutes=1))
    assert intraday(ports).objects == first.objects
    assert rows_of(ports, "close") == close
    run(ports, "scan", scan.STEP, "--equity", "50000")
    assert rows_of(ports, "1005")
    assert f"reports/{ASOF}/signals-1005.csv" in first.objects
    assert f"lineage/scan/{ASOF}-1005-quotes.json" in ports.store.keys("lineage/scan/")
    kept = ports.store.read("quotes", asof=TODAY).to_pylist()
    assert [row["symbol"] for row in kept] == sorted(QUOTES)
    assert kept[0]["known_at"] == datetime(2018, 2, 7, 15, 4, 30, tzinfo=UTC)


def test_changed_quotes_are_scanned_again(ports: FakePorts) -> None:
    intraday(ports)
    ports.clock = FixedClock(NOW + timedelta(minutes=1))
    tell(ports, {**QUOTES, "NEWS": 94.2}, at="10:04:40")
    intraday(ports)
    assert rows_of(ports)["NEWS", "entry"]["ref_price_usd"] == 94.2
    assert ports.store.read("quotes", asof=TODAY).num_rows == 2 * len(QUOTES)


def test_suspected_split_and_quarantine_make_no_row(ports: FakePorts) -> None:
    tell(ports, {**QUOTES, "NEWS": 50.0})
    summary = intraday(ports)
    assert summary.skipped["suspected_split"] == 1
    assert ("NEWS", "entry") not in rows_of(ports)


def test_split_of_today_moves_neither_drift_nor_rules(ports: FakePorts) -> None:
    split = {"symbol": "FELL", "ex_date": TODAY, "kind": "split", "value": 2.0}
    part = {f"arrived={ASOF}": raw("actions", [split], asof=ASOF)}
    ports.store.publish("actions", asof=ASOF, partitions=part)
    tell(ports, {**QUOTES, "FELL": 47.2})
    intraday(ports)
    row = rows_of(ports)["FELL", "entry"]
    assert (row["tag"], row["tag_reason"]) == ("watch", "pending, drift +0.4 %")  # 94.4 / 94


def test_what_cannot_be_judged_stays_and_is_counted(ports: FakePorts, tmp_path: Path) -> None:
    tell(ports, {name: last for name, last in QUOTES.items() if name != "FELL"})
    file = tmp_path / "book.json"
    ids = [row["signal_id"] for row in rows_of(ports, "close").values() if row["symbol"] == "FELL"]
    file.write_text(json.dumps({"held": [held(symbol="FELL")], "pending": ids}))
    summary = intraday(ports, "--positions", str(file))
    assert rows_of(ports)["FELL", "entry"]["tag_reason"] == "pending, no_row"
    assert summary.skipped["held_without_row"] == summary.skipped["no_quote"] == 1
    tell(ports, QUOTES, at="10:19:30")
    intraday(ports, "--positions", str(file), "--strategies", "low_bounce", slot="1020")
    reason = rows_of(ports, "1020")["FELL", "entry"]["tag_reason"]
    assert reason == "pending, its strategy is off"


def test_watchlist_limits_what_is_entered(ports: FakePorts, tmp_path: Path) -> None:
    file = tmp_path / "watch.csv"
    file.write_text("Symbol\nQUIET\n")
    summary = intraday(ports, "--watchlist", str(file))
    assert (summary.values["symbols"], summary.skipped["not_on_watchlist"]) == (1, 2)
    assert ("NEWS", "entry") not in rows_of(ports)


def test_quotes_without_a_zone_are_refused(ports: FakePorts) -> None:
    path = ports.sources["files"].path / "quotes.csv"
    path.write_text("symbol,at,last\nFELL,2018-02-07T10:04:00,94\n")
    with pytest.raises(DataError, match=r"line 2, column at: .* no timestamp with a zone"):
        intraday(ports)


def test_source_without_quotes_is_unavailable(ports: FakePorts) -> None:
    (ports.sources["files"].path / "quotes.csv").unlink()
    with pytest.raises(UnavailableError, match="no_quote 6"):
        intraday(ports)


@pytest.mark.parametrize(
    ("words", "fault", "said"),
    [
        (("--slot", "0930"), UsageError, "outside 2018-02-07 09:35-16:00"),
        (("--slot", "1600"), UsageError, "outside"),
        (("--slot", "10:5"), UsageError, "no HHMM"),
        (("--source", ""), DataError, "no pull of 2018-02-06 names a source"),
    ],
)
def test_scan_without_a_running_session_says_so(
    ports: FakePorts, words: tuple[str, ...], fault: type[Exception], said: str
) -> None:
    with pytest.raises(fault, match=said):
        intraday(ports, *words)


def test_quotes_and_mode_belong_together(ports: FakePorts) -> None:
    for words in (("--quotes",), ("--mode", "intraday"), ("--slot", "1005")):
        with pytest.raises(UsageError, match="go together"):
            run(ports, "scan", scan.STEP, *words)


def test_live_source_after_the_close_is_stale(ports: FakePorts) -> None:
    class Live(Files):
        replayed = False

    ports.sources = {"files": Live(ports.sources["files"].path)}
    ports.clock = FixedClock(sessions.close_at(TODAY))
    with pytest.raises(StaleDataError, match="use --asof 2018-02-07"):
        intraday(ports)


def test_old_slots_leave_the_manifest_and_closes_stay(ports: FakePorts) -> None:
    intraday(ports)
    rows = ports.store.read("signals", asof=ASOF, partitions=[f"asof={ASOF},slot=close"])
    later = sessions.shift(ASOF, 5)
    view = SimpleNamespace(simulated=False)
    for _ in range(2):
        scan.write(ports, later, "close", [], view)  # type: ignore[arg-type]
    names = [ref.partition for ref in ports.store.manifest("signals", asof=later).objects]
    assert names == [f"asof={ASOF},slot=close", f"asof={later},slot=close"]
    assert rows.num_rows
