"""`bft pull --source files:` on small files: what is stored, refused, named."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes import FakePorts, arguments, make_ports, no_tick

from bft.adapters.sources.files import Files
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.ports import Summary
from bft.steps import pull

ASOF = date(2018, 2, 7)
HEAD = "symbol,date,open,high,low,close,volume\n"
TWO = (
    HEAD
    + "B,2018-02-07,20,21,19,20.5,200\nA,2018-02-06,10,11,9,10.5,100\nA,2018-02-07,10,11,9,10,90\n"
)


def run(ports: FakePorts, folder: Path, *words: str, asof: date = ASOF) -> Summary:
    given = make_ports(Path(ports.store.root), sources={"f": Files(folder)})
    args = arguments(pull.STEP, "--source", "f", *words, fresh=False, asof=asof)
    return pull.STEP.run(given, args, no_tick)


def stored(ports: FakePorts, table: str, asof: date = ASOF) -> pd.DataFrame:
    return ports.store.read(table, asof=asof).to_pandas()


def files(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_bars_are_sorted_backfilled_and_known_at_their_close(
    ports: FakePorts, tmp_path: Path
) -> None:
    summary = run(ports, files(tmp_path / "in", bars=TWO))
    bars = stored(ports, "bars")
    assert bars[["symbol", "close"]].to_numpy().tolist() == [["A", 10.5], ["A", 10.0], ["B", 20.5]]
    assert set(bars["arrived_at"]) == {datetime(2018, 2, 7, 23, tzinfo=UTC)}
    assert bars["known_at"][0] == datetime(2018, 2, 6, 21, tzinfo=UTC)
    assert bars["backfilled"].all()
    assert set(bars["source"]) == {"files"}
    assert summary.values["with_bar"] == 2
    assert stored(ports, "universe")["symbol"].tolist() == ["A", "B"]


def test_second_night_stores_only_what_is_new_and_revises_what_changed(
    ports: FakePorts, tmp_path: Path
) -> None:
    folder = files(tmp_path / "in", bars=TWO)
    run(ports, folder, asof=ASOF)
    changed = (
        TWO.replace("10,90", "10.05,90")
        + "A,2018-02-08,10,11,9,10,80\nB,2018-02-08,20,21,19,20,80\n"
    )
    summary = run(ports, files(folder, bars=changed), asof=date(2018, 2, 8))
    bars = stored(ports, "bars", date(2018, 2, 8))
    new = bars[bars["arrived_at"] == datetime(2018, 2, 8, 23, tzinfo=UTC)]
    assert len(bars) == 6
    assert new[["symbol", "close", "revision"]].to_numpy().tolist() == [
        ["A", 10.05, 1],
        ["A", 10.0, 0],
        ["B", 20.0, 0],
    ]
    assert summary.values["revisions"] == 1
    assert len(stored(ports, "bars", ASOF)) == 3


def test_same_files_give_the_same_bytes(ports: FakePorts, tmp_path: Path) -> None:
    folder = files(tmp_path / "in", bars=TWO)
    first, again = run(ports, folder), run(ports, folder)
    assert first.objects == again.objects
    assert len(first.objects) == 2


def test_aliases_case_and_parquet_mean_the_same(ports: FakePorts, tmp_path: Path) -> None:
    frame = pd.read_csv(files(tmp_path / "in", bars=TWO) / "bars.csv")
    frame["date"] = pd.to_datetime(frame["date"]).dt.tz_localize("America/New_York")
    names = {"symbol": "Ticker", "date": "Timestamp", "close": "CLOSE"}
    frame.rename(columns=names).assign(note=1).to_parquet(tmp_path / "prices.parquet")
    run(ports, tmp_path / "prices.parquet")
    other = make_ports(tmp_path / "other")
    run(other, tmp_path / "in")
    assert stored(ports, "bars").equals(stored(other, "bars"))


def test_files_beside_are_taken_and_named(ports: FakePorts, tmp_path: Path) -> None:
    folder = files(
        tmp_path / "in",
        bars=TWO,
        constituents="symbol,name,sector,from,to\nA,Alpha,Financials,2010-01-01,\nZ,Zed,Nonsense,,\n",
        macro="date,series,value\n2017-12-01,cpi,246.5\n2018-01-01,cpi,247\n2017-12-01,gdp,1\n"
        "2017-12-01,ffer,text\n",
        earnings="symbol,fiscal_date_ending,reported_on,report_time,reported_eps\n"
        "A,2017-12-31,2018-01-30,pre-market,1.5\nA,2017-09-30,2017-09-01,,1.4\nA,2018-03-31,,,\n",
    )
    (folder / "bars.csv").rename(folder / "prices.csv")
    summary = run(ports, folder / "prices.csv")
    assert set(summary.values["files"]) == {
        "prices.csv",
        "constituents.csv",
        "macro.csv",
        "earnings.csv",
    }
    macro = stored(ports, "macro")  # January's index is out on 16 February only
    assert macro[["series", "value"]].to_numpy().tolist() == [["cpi", 246.5]]
    earnings = stored(ports, "earnings")
    assert earnings["status"].tolist() == ["ok", "expected"]
    assert earnings["known_at"][0] == datetime(2018, 1, 30, 21, tzinfo=UTC)
    assert str(earnings["basis_on"][0]) == "2018-02-07"
    universe = stored(ports, "universe").set_index("symbol")
    assert universe.loc["A", "sector"] == "FINANCIAL SERVICES"
    assert summary.skipped == {
        "macro_row": 2,
        "macro_after_asof": 1,
        "bad_report": 1,
        "no_bars": 1,
    }
    assert "Nonsense" not in universe["sector"].tolist()


def test_macro_vintages_keep_their_own_days(ports: FakePorts, tmp_path: Path) -> None:
    macro = (
        "date,series,value,known_on\n2017-11-01,cpi,2,2018-01-12\n2017-11-01,cpi,1,2017-12-13\n"
        "2017-11-01,cpi,3,2018-02-08\n"
    )
    folder = files(tmp_path / "in", bars=TWO, macro=macro)
    run(ports, folder)
    found = stored(ports, "macro")
    assert found[["value", "revision"]].to_numpy().tolist() == [[1, 0], [2, 1]]
    later = TWO + "A,2018-02-08,10,11,9,10,80\nB,2018-02-08,20,21,19,20,80\n"
    run(ports, files(folder, bars=later), asof=date(2018, 2, 8))
    found = stored(ports, "macro", date(2018, 2, 8))
    assert found[["value", "revision"]].to_numpy().tolist() == [[1, 0], [2, 1], [3, 2]]


def test_adjusted_closes_imply_actions_and_entered_ones_win(
    ports: FakePorts, tmp_path: Path
) -> None:
    bars = "symbol,date,open,high,low,close,volume,adj_close\n" + "".join(
        f"A,2018-02-{day},{close},{close},{close},{close},100,{adjusted}\n"
        for day, close, adjusted in (
            ("01", 100, 48),
            ("02", 100, 49),
            ("05", 51, 51),
            ("06", 51, 51),
            ("07", 51, 51),
        )
    )
    folder = files(tmp_path / "in", bars=bars)
    run(ports, folder)
    actions = stored(ports, "actions")
    # 48/100 -> 49/100 is a dividend of 100 (1 - 48/49); 0.49 -> 1 is 2 within 2.1 %: no candidate
    assert actions["kind"].tolist() == ["dividend", "dividend"]
    assert actions["value"][0] == pytest.approx(100 / 49)
    entered = "symbol,ex_date,kind,value\nA,2018-02-05,split,2\nA,2018-02-06,none,\n"
    other = make_ports(tmp_path / "other")
    run(other, files(folder, actions=entered))
    assert stored(other, "actions")["kind"].tolist() == ["dividend", "split", "none"]


def test_delivered_dividends_and_splits_are_taken_as_they_are(
    ports: FakePorts, tmp_path: Path
) -> None:
    bars = (
        "symbol,date,open,high,low,close,volume,dividend_amount,split_coefficient\n"
        "A,2018-02-05,100,100,100,100,5,0,1\nA,2018-02-06,50,50,50,50,5,0,2\n"
        "A,2018-02-07,50,50,50,50,5,0.5,4\n"
    )
    summary = run(ports, files(tmp_path / "in", bars=bars))
    actions = stored(ports, "actions")[["kind", "value", "status"]]
    assert actions.to_numpy().tolist() == [
        ["split", 2.0, "ok"],
        ["dividend", 0.5, "ok"],
        ["split", 4.0, "refused"],
    ]
    assert summary.skipped == {"unconfirmed_split": 1}


def test_rows_that_cannot_be_are_refused_and_counted(ports: FakePorts, tmp_path: Path) -> None:
    good = "".join(f"A,{d:%Y-%m-%d},1,1,1,1,100\n" for d in pd.bdate_range("2017-06-01", ASOF))
    good = good.replace("A,2017-07-04,1,1,1,1,100\n", "")
    for holiday in ("2017-09-04", "2017-11-23", "2017-12-25", "2018-01-01", "2018-01-15"):
        good = good.replace(f"A,{holiday},1,1,1,1,100\n", "")
    bad = (
        "A,1961-12-29,1,1,1,1,1\nA,2018-02-08,1,1,1,1,1\nA,2018-02-03,1,1,1,1,1\n"
        "B,2018-01-30,1,1,1,,1\nB,2018-01-31,1,1,1,abc,1\nB,2018-02-01,1,1,1,-1,1\n"
        "B,2018-02-02,1,1,1,2e7,1\nB,2018-02-05,1,1,1,1,-5\nB,2018-02-06,1,1,1,1,2.5\n"
        "B,2018-02-07,,0,1,1,\n@@,2018-02-07,1,1,1,1,1\nA,2018-02-07,1,1,1,1,100\n"
    )
    summary = run(ports, files(tmp_path / "in", bars=HEAD + good + bad))
    assert summary.skipped == {
        "bad_symbol": 1,
        "before_1962": 1,
        "after_asof": 1,
        "no_session": 1,
        "bad_close": 4,
        "bad_volume": 2,
        "merged_duplicate": 1,
        "repaired_ohlc": 1,
    }
    lines = (HEAD + good + bad).splitlines()
    line = lines.index("B,2018-02-01,1,1,1,-1,1") + 1
    names = summary.values["names"]
    assert f"bars.csv:{line}: B 2018-02-01 close=-1" in names["bad_close"]
    assert names["merged_duplicate"] == [f"bars.csv:{len(lines)}: A 2018-02-07"]
    assert names["no_session"] == [f"bars.csv:{line - 3}: A 2018-02-03"]
    assert f"bars.csv:{line - 1}: B 2018-01-31 close='abc'" in names["bad_close"]
    assert f"bars.csv:{line - 2}: B 2018-01-30 close=''" in names["bad_close"]
    assert names["bad_volume"][1] == f"bars.csv:{line + 2}: B 2018-02-05 volume=-5"
    assert names["repaired_ohlc"][0].endswith("B 2018-02-07 open=nan high=0 low=1 close=1")
    assert "@@" in summary.values["names"]["bad_symbol"][0]
    kept = stored(ports, "bars").query("symbol == 'B'")
    assert kept[["open", "high", "volume"]].isna().to_numpy().tolist() == [[True, False, True]]


def test_refused_bar_of_the_last_day_is_the_reason_given(ports: FakePorts, tmp_path: Path) -> None:
    days = [f"{d:%Y-%m-%d}" for d in pd.bdate_range("2018-01-16", ASOF)]
    good = "".join(f"{s},{d},1,1,1,1,100\n" for s in "ABC" for d in days)
    text = HEAD + good.replace(f"B,{ASOF},1,1,1,1,", f"B,{ASOF},1,1,1,-42.5,")
    summary = run(ports, files(tmp_path / "in", bars=text))
    assert summary.exit_code == 65
    line = 1 + 2 * len(days)
    assert f"refused: bad_close: bars.csv:{line}: B {ASOF} close=-42.5; nothing" in summary.error
    assert summary.error.endswith("; mend these rows")


def test_days_on_no_session_are_shown_with_lines_and_the_limit(
    ports: FakePorts, tmp_path: Path
) -> None:
    text = TWO + "A,2018-02-03,1,1,1,1,1\nA,2018-02-04,1,1,1,1,1\n"
    with pytest.raises(DataError, match="only 1% of the rows may be left out") as told:
        run(ports, files(tmp_path / "in", bars=text))
    assert str(told.value).startswith(
        "bars.csv, column date: a day when the exchange (XNYS) was closed in 2 of 5 rows, first "
        "line 5: A 2018-02-03 Saturday, line 6: A 2018-02-04 Sunday; give New York exchange days"
    )


def test_rows_out_of_order_are_sorted_and_counted(ports: FakePorts, tmp_path: Path) -> None:
    turned = HEAD + "A,2018-02-07,10,11,9,10,90\nA,2018-02-06,10,11,9,10,90\n"
    summary = run(ports, files(tmp_path / "in", bars=turned))
    assert summary.skipped == {"sorted_rows": 1}
    assert summary.values["names"]["sorted_rows"] == ["bars.csv:3: A 2018-02-06"]
    assert [str(day) for day in stored(ports, "bars")["date"]] == ["2018-02-06", "2018-02-07"]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"bars": ""}, "empty"),
        ({"bars": HEAD}, "no rows"),
        ({"bars": "PAR1 text"}, "holds Parquet"),
        ({"bars": TWO.replace(",", ";")}, r"line 1: .* a semicolon \(;\), expected a comma; save"),
        ({"bars": TWO.replace(",", "\t")}, "line 1: .* by a tab, expected a comma"),
        ({"bars": TWO.replace("close", "last")}, "misses column close; add it, .*; columns:.*last"),
        ({"bars": "symbol,date,open\nA,2018-02-07,1\n"}, "misses column high, low, close, volume;"),
        ({"bars": TWO.replace("open", "ticker")}, "two columns mean symbol"),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,-,5\n"}, "only nulls in column close"),
        ({"bars": TWO.replace("20,21", "20,x")}, "line 2, column high: 'x'"),
        ({"bars": TWO.replace("20.5", '"20,5"')}, "line 2, column close: '20,5' .* point, 20.5$"),
        ({"bars": TWO.replace("2018-02-06", "06/02/2018")}, "line 3, column date.*2018-02-07"),
        ({"bars": TWO.replace("02-06", "02-06T16:00:00")}, "line 3.*no time zone.*T16:00:00-05"),
        ({"bars": TWO.replace("2018-02-06", "2017-07-03T23:30:00")}, "too, 2017-07-03T23:30:00-04"),
        ({"bars": TWO.replace("2018-02-06", "2018-02-06 16:00 EST")}, "line 3.*zone EST may mean"),
        ({"bars": TWO + "A,2018-02-07,10,11,9,10,91\n"}, "A 2018-02-07"),
        (
            {"bars": TWO + "A,2018-02-07,10,11,9,10,91\nA,2018-02-07,10,11,9,10,92\n"},
            r"a day of a symbol stands .* A 2018-02-07 \(line 4: volume 90, line 5: volume 91",
        ),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,-1,1\n" * 2}, "close: a price of 0 or less in 2 of 2"),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,1,1.5\n" * 9}, "a fraction of a share in 9 of 9 rows"),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,1,-2\n" * 9}, "volume: a negative number in 9 of 9"),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,x,2\n" * 9}, "no number in 9 .* line 2: .*-07 'x'"),
        ({"bars": HEAD + "A,2018-02-07,1,1,1,3e7,2\n" * 9}, "close: a price above 10,000,000 USD"),
        ({"bars": TWO.replace("A", "@A").replace("B", "@B")}, "line 2, column symbol: @B is no"),
        ({"bars": TWO.replace("2018-02-06", "2018-02-03")}, r"exchange \(XNYS\) was closed"),
        ({"bars": TWO.replace("A,2018-02-07,10,11,9,10,90\n", "")}, None),
        ({"bars": TWO, "actions": "symbol,ex_date,kind\nA,2018-02-07,merger\n"}, "merger"),
    ],
)  # fmt: skip
def test_broken_file_is_refused_by_name(
    ports: FakePorts, tmp_path: Path, texts: Mapping[str, Any], words: str | None
) -> None:
    folder = files(tmp_path / "in", **texts)
    if words is None:
        summary = run(ports, folder)
        assert summary.exit_code == 65
        assert "['A']" in (summary.error or "")
        assert len(stored(ports, "bars")) == 0
    else:
        with pytest.raises(DataError, match=words):
            run(ports, folder)


def test_asof_before_the_first_bar_names_it(ports: FakePorts, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2018-02-06"):
        run(ports, files(tmp_path / "in", bars=TWO), asof=date(2018, 2, 5))


def test_missing_path_is_refused(ports: FakePorts, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv"):
        run(ports, tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"bars\.csv"):
        run(ports, tmp_path)


def test_only_some_symbols_leave_the_others_of_that_day_alone(
    ports: FakePorts, tmp_path: Path
) -> None:
    folder = files(tmp_path / "in", bars=TWO)
    run(ports, folder)
    run(ports, files(folder, bars=TWO.replace("20.5", "20.6")), "--symbols", "b")
    assert stored(ports, "bars")["close"].tolist() == [10.5, 10.0, 20.6]
    assert len(stored(ports, "universe")) == 2


def test_symbol_that_left_the_list_gets_an_end(ports: FakePorts, tmp_path: Path) -> None:
    folder = files(tmp_path / "in", bars=TWO)
    run(ports, folder)
    later = HEAD + "A,2018-02-08,10,11,9,10,80\n"
    run(ports, files(folder, bars=later), asof=date(2018, 2, 8))
    ends = stored(ports, "universe", date(2018, 2, 8)).query("symbol == 'B'")["to"].tolist()
    assert ends == [None, date(2018, 2, 8)]


def test_unlisted_symbol_that_trades_no_more_gets_an_end(ports: FakePorts, tmp_path: Path) -> None:
    """Without a list the bars say who trades: `validate` must not miss the others for ever."""
    gone = "C,2017-12-01,20,21,19,20.5,200\nC,2018-01-08,20,21,19,20.5,200\n"
    summary = run(ports, files(tmp_path / "in", bars=TWO + gone))
    members = stored(ports, "universe").set_index("symbol")["to"]
    assert members["C"] == date(2018, 1, 9)
    assert members[["A", "B"]].isna().all()
    assert summary.values["active"] == 2


def test_history_goes_on_under_the_new_name(ports: FakePorts, tmp_path: Path) -> None:
    bars = HEAD + "OLD,2018-02-06,1,1,1,1,1\nNEW,2018-02-07,1,1,1,1,1\n"
    folder = files(tmp_path / "in", bars=bars)
    files(tmp_path / "lists", renames="old,new,date\nOLD,NEW,2018-02-07\n", mine="OLD\n")
    run(ports, folder, "--universe", str(tmp_path / "lists" / "mine.csv"))
    assert stored(ports, "bars")["symbol"].tolist() == ["NEW", "NEW"]
    assert stored(ports, "universe")["renamed_from"].tolist() == ["OLD"]


def test_closed_month_becomes_one_object_on_the_third_session(
    ports: FakePorts, tmp_path: Path
) -> None:
    days = list(pd.bdate_range("2018-01-30", "2018-02-06"))
    bars = HEAD + "".join(f"A,{d:%Y-%m-%d},1,1,1,{n + 1},1\n" for n, d in enumerate(days))
    folder = files(tmp_path / "in", bars=bars)
    held = {}
    for day in days:
        run(ports, folder, asof=day.date())
        manifest = ports.store.manifest("bars", asof=day.date())
        held[str(day.date())] = [ref.partition for ref in manifest.objects]
    assert held["2018-02-02"][:2] == ["arrived=2018-01-30", "arrived=2018-01-31"]
    assert held["2018-02-05"] == [
        "arrived=2018-02-01",
        "arrived=2018-02-02",
        "arrived=2018-02-05",
        "month=2018-01",
    ]
    assert stored(ports, "bars", date(2018, 2, 6))["close"].tolist() == [1, 2, 3, 4, 5, 6]
    assert stored(ports, "bars", date(2018, 1, 31))["close"].tolist() == [1, 2]


def test_real_file_fills_four_tables(ports: FakePorts, real_data: Path) -> None:
    summary = run(ports, real_data / "sp500_daily_2013_2018.parquet")
    assert summary.values["tables"]["bars"] == 497_252
    assert summary.values["with_bar"] == 404
    assert summary.skipped["no_bars"] == 108


def test_day_whose_bars_are_all_refused_is_no_end_of_the_file(
    ports: FakePorts, tmp_path: Path
) -> None:
    """Red: the file was said to end the day before, and newer prices to be what it lacks."""
    days = sessions.sessions(date(2017, 1, 3), ASOF)
    text = HEAD + "".join(f"B,{day},20,21,19,20,200\n" for day in days[:-1])
    bad = text + f"B,{ASOF},20,21,19,abc,200\n"
    summary = run(ports, files(tmp_path / "in", bars=bad))
    assert (summary.exit_code, summary.objects) == (65, {})
    assert f"bad_close: bars.csv:{len(days) + 1}: B 2018-02-07 close='abc'" in str(summary.error)
    assert "mend these rows" in str(summary.error)
