"""signals.csv: read whole, or refused whole with line and column."""

import re
from datetime import date
from pathlib import Path

import pytest
from fakes import make_ports
from market_signals import rows_to, signal

from bft.adapters.store.tables import schema
from bft.domain.errors import DataError
from bft.steps.execute_file import FIRST, read_file
from bft.steps.execute_rows import stored_rows
from bft.strategies.tables import signals_csv

ASOF = date(2026, 1, 2)
HEAD = ",".join(FIRST)
LINE = "BUY,AAPL,0,100.5,bollinger,rsi 27,2026-01-02T23:00:00,7,12,0,0,20,STOCK"


def write(folder: Path, *lines: str, end: str = "\n", head: str = HEAD) -> Path:
    path = folder / "signals.csv"
    path.write_bytes((end.join([head, *lines]) + end).encode())
    return path


def refused(folder: Path, *lines: str, **how: str) -> str:
    with pytest.raises(DataError) as caught:
        read_file(write(folder, *lines, **how), ASOF)
    return str(caught.value)


def test_thirteen_columns_become_a_body(tmp_path: Path) -> None:
    (row,) = read_file(write(tmp_path, LINE), ASOF)
    assert row.body | {"client_order_id": ""} == {
        "client_order_id": "",
        "side": "BUY",
        "symbol": "AAPL",
        "price": "100.5",
        "strategy_id": "bollinger",
        "strategy_type": "close",
        "reason": "rsi 27",
        "decided_at": "2026-01-02T23:00:00+00:00",
        "asof": "2026-01-02",
        "max_hold_days": 20,
        "instrument": "STOCK",
        "stop_frac": "0.07",
        "target_frac": "0.12",
    }


def test_line_without_an_id_has_a_key_that_no_price_time_or_place_enters(tmp_path: Path) -> None:
    other = LINE.replace("100.5", "99").replace("23:00", "23:30").replace("rsi 27", "rsi 26")
    rows = [
        read_file(write(tmp_path, LINE), ASOF)[0],
        read_file(write(tmp_path, LINE.replace("AAPL", "MSFT"), other), ASOF)[1],
        read_file(write(tmp_path, LINE.replace("BUY", "SELL")), ASOF)[0],
    ]
    keys = [row.body["client_order_id"] for row in rows]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) <= 64


def test_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    plain = read_file(write(tmp_path, LINE), ASOF)
    path = write(tmp_path, LINE, end="\r\n", head="\ufeff" + HEAD)
    assert read_file(path, ASOF) == plain


@pytest.mark.parametrize("text", ["", "\n", HEAD + "\n", "\ufeff"])
def test_empty_file_and_header_alone_hold_no_signal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "signals.csv"
    path.write_text(text)
    assert read_file(path, ASOF) == []


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("BUY", "HOLD", "action"),
        ("AAPL", "", "symbol"),
        (",0,100.5", ",1.5,100.5", "shares"),
        (",0,100.5", ",-1,100.5", "shares"),
        ("100.5", "nan", "price"),
        ("100.5", "0", "price"),
        ("2026-01-02T23:00:00", "yesterday", "timestamp"),
        ("2026-01-02T23:00:00", "2025-12-30T23:00:00", "timestamp"),
        (",7,12", ",0.07,12", "stop_loss_pct"),
        (",7,12", ",7,inf", "take_profit_pct"),
        (",20,", ",x,", "max_hold_days"),
        ("STOCK", "STO", "instrument_type"),
    ],
)
def test_wrong_cell_is_named_by_line_and_column(
    tmp_path: Path, old: str, new: str, column: str
) -> None:
    good = LINE.replace("AAPL", "MSFT")
    assert f"line 3, column {column}:" in refused(tmp_path, good, LINE.replace(old, new, 1))


def test_torn_last_line_is_refused_even_where_its_cells_look_whole(tmp_path: Path) -> None:
    path = tmp_path / "signals.csv"
    path.write_text(f"{HEAD}\n{LINE}\n{LINE.replace('AAPL', 'MSFT')}"[:-2])
    with pytest.raises(DataError, match="line 3, column instrument_type"):
        read_file(path, ASOF)
    assert "line 2, column instrument_type" in refused(tmp_path, LINE.removesuffix(",STOCK"))
    assert "line 2, column 1" in refused(tmp_path, '"' + LINE)


def test_missing_and_extra_columns_are_named(tmp_path: Path) -> None:
    short = HEAD.replace("price,", "")
    assert "line 1, column price" in refused(tmp_path, LINE, head=short)
    extra = HEAD + ",mood"
    assert "line 1, column mood" in refused(tmp_path, LINE + ",good", head=extra)
    assert "line 1, column asof" in refused(tmp_path, LINE + ",a", head=HEAD + ",signal_id")


def test_mixed_dates_are_refused(tmp_path: Path) -> None:
    other = LINE.replace("AAPL", "MSFT").replace("02T23:00", "05T15:00")
    assert "line 3, column timestamp: 2026-01-05" in refused(tmp_path, LINE, other)


def test_equal_lines_count_once_and_contradicting_ones_refuse_the_file(tmp_path: Path) -> None:
    assert len(read_file(write(tmp_path, LINE, LINE), ASOF)) == 1
    said = refused(tmp_path, LINE, LINE.replace(",7,", ",8,"))
    assert "line 3, column stop_loss_pct: contradicts line 2" in said
    assert "column action" in refused(tmp_path, LINE, LINE.replace("BUY", "SELL"))


def test_old_files_in_fractions_are_read_when_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, LINE.replace(",7,12", ",0.07,0.12"))
    (row,) = read_file(path, ASOF, fractions=True)
    assert (float(row.body["stop_frac"]), float(row.body["target_frac"])) == (0.07, 0.12)


def scanned(folder: Path, *rows: dict[str, object]) -> Path:
    table = rows_to("signals", list(rows)).to_pandas()
    path = folder / "scanned.csv"
    path.write_bytes(signals_csv(table))
    return path


def test_file_of_a_scan_gives_the_bodies_of_its_table(tmp_path: Path) -> None:
    rows = [
        signal(ASOF, "AAPL", evidence='{"rank_10d": 0.9}', set_digest="d1"),
        signal(ASOF, "MSFT", tag="watch"),
        signal(ASOF, "NVDA", kind="exit", direction="long", qty=0),
    ]
    ports = make_ports(tmp_path / "root")
    parts = {f"asof={ASOF},slot=close": rows_to("signals", rows)}
    ports.store.publish("signals", asof=ASOF, partitions=parts)
    stored = {row.body["signal_id"]: row for row in stored_rows(ports, ASOF, "close")}
    read = {row.body["signal_id"]: row for row in read_file(scanned(tmp_path, *rows), ASOF)}
    assert read.keys() == stored.keys()
    for name, row in read.items():
        assert row.body == stored[name].body  # one key, one body: sent both ways it is replayed
        assert (row.tag, row.sent) == (stored[name].tag, stored[name].sent)
    aapl = stored["aaplbollinger20260102"].body
    assert (aapl["side"], aapl["model_score"]) == ("BUY", 0.9)
    assert stored["nvdabollinger20260102"].body["side"] == "SELL"


def test_edited_level_in_a_scans_file_is_refused_not_ignored(tmp_path: Path) -> None:
    path = scanned(tmp_path, signal(ASOF, "AAPL"))
    path.write_text(path.read_text().replace(",7.0,", ",9.0,", 1))
    with pytest.raises(DataError, match="line 2, column stop_loss_pct: contradicts stop_frac"):
        read_file(path, ASOF)


def test_two_forecast_sets_in_one_file_are_refused(tmp_path: Path) -> None:
    rows = [signal(ASOF, "AAPL", set_digest="a" * 64), signal(ASOF, "MSFT", set_digest="b" * 64)]
    with pytest.raises(DataError, match="line 3, column set_digest: bbbbbbbbbbbb beside aaaa"):
        read_file(scanned(tmp_path, *rows), ASOF)


def test_another_days_scan_is_refused(tmp_path: Path) -> None:
    path = scanned(tmp_path, signal(ASOF, "AAPL"))
    with pytest.raises(DataError, match=r"line 2, column (asof|timestamp)"):
        read_file(path, date(2026, 1, 5))


def test_signals_that_no_scan_made_name_the_command(tmp_path: Path) -> None:
    ports = make_ports(tmp_path / "root")
    with pytest.raises(DataError, match="run: bft run nightly --asof 2026-01-02"):
        stored_rows(ports, ASOF, "close")
    for table, day in (("gold", ASOF), ("signals", date(2025, 12, 31))):
        ports.store.publish(table, asof=day, partitions={"p": schema(table).empty_table()})
    told = (
        "signals 2026-01-02 is absent (newest: 2025-12-31); run: bft scan --asof 2026-01-02; "
        "as of the newest: bft VERB --asof 2025-12-31"
    )
    with pytest.raises(DataError, match=re.escape(told)):
        stored_rows(ports, ASOF, "close")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"confidence": float("nan")}, "aaplbollinger20260102, column confidence: nan"),
        ({"evidence": '{"rank_10d": NaN}'}, "column evidence: rank_10d is nan"),
    ],
)
def test_stored_number_that_is_none_refuses_the_night(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    ports = make_ports(tmp_path / "root")
    parts = {f"asof={ASOF},slot=close": rows_to("signals", [signal(ASOF, "AAPL", **wrong)])}
    ports.store.publish("signals", asof=ASOF, partitions=parts)
    with pytest.raises(DataError, match=said):
        stored_rows(ports, ASOF, "close")
