"""`bft gold` and `bft validate` over nights: append, restate, merge, export, judge."""

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fakes import FakePorts, arguments, make_ports, no_tick
from markets import raw, walk

from bft.domain import sessions
from bft.domain.errors import DataError, StaleDataError, UsageError
from bft.domain.gold import COLUMNS
from bft.ports import Summary
from bft.steps import gold, record, validate
from bft.steps.gold_export import read_features

FIRST, ASOF = date(2017, 11, 28), date(2017, 12, 6)
NAMES = tuple(f"S{n:02d}" for n in range(16))
Rows = Sequence[Mapping[str, Any]]


def bars(*, last: date = ASOF, names: Sequence[str] = NAMES, rows: int = 70) -> list[dict]:
    return [row for name in names for row in walk(name, rows, last=last, sd=0.01)]


HOLE = (date(2017, 11, 1), date(2017, 11, 24))
ALL = [row for row in bars() if not HOLE[0] <= row["date"] <= HOLE[1]]
"""Sixteen symbols; a bridged gap keeps the days of the running month few."""
UNIVERSE = [{"symbol": n, "sector": "ENERGY", "is_etf": False} for n in NAMES]


def until(day: date) -> list[dict]:
    return [row for row in ALL if row["date"] <= day]


def arrive(ports: FakePorts, asof: date, **tables: Rows) -> None:
    """What a pull of asof publishes."""
    for name, rows in tables.items():
        given = raw(name, rows, asof=asof)
        ports.store.publish(name, asof=asof, partitions={f"arrived={asof}": given})


def run(ports: FakePorts, asof: date, *words: str, step: Any = gold.STEP) -> Summary:
    args = arguments(step, *words, asof=asof, history_start="2016-01-01")
    verb = "gold" if step is gold.STEP else "validate"
    return record.execute(ports, verb, step, args, no_tick)


def nights(ports: FakePorts, days: Sequence[date], **first: Rows) -> list[Summary]:
    """A first load and then one night after another."""
    arrive(ports, days[0], bars=until(days[0]), universe=UNIVERSE, **first)
    found = [run(ports, days[0])]
    for day in days[1:]:
        arrive(ports, day, bars=[row for row in ALL if row["date"] == day])
        found.append(run(ports, day))
    return found


def objects(ports: FakePorts, asof: date) -> dict[str, dict[str, str]]:
    tables = {name: ports.store.manifest(name, asof=asof) for name in ("gold", "gold_targets")}
    return {name: {o.partition: o.digest for o in m.objects} for name, m in tables.items()}


def built_anew(ports: FakePorts, root: Path, asof: date) -> FakePorts:
    """Another root with the same raw tables and a full build of asof."""
    fresh = make_ports(root)
    for key in ports.store.keys(""):
        if "gold" not in key and not key.startswith("markers"):
            fresh.store.put(key, ports.store.get(key))
    assert run(fresh, asof).values["built"] == "full"
    return fresh


def days(first: date, last: date) -> list[date]:
    return list(sessions.sessions(first, last))


def test_appended_nights_equal_a_full_build_object_by_object(
    ports: FakePorts, tmp_path: Path
) -> None:
    done = nights(ports, days(FIRST, ASOF))
    assert [s.values["built"] for s in done] == ["full", *["from"] * 6]
    assert [s.values["restated"] for s in done] == [0] * 7
    fresh = built_anew(ports, tmp_path / "fresh", ASOF)
    assert objects(ports, ASOF) == objects(fresh, ASOF)
    digests = [p.store.manifest("gold", asof=ASOF).digest for p in (ports, fresh)]
    assert digests[0] == digests[1]


def test_closed_month_is_merged_gold_first_targets_a_day_later(ports: FakePorts) -> None:
    nights(ports, days(FIRST, date(2017, 12, 4)))
    friday, monday = date(2017, 12, 1), date(2017, 12, 4)
    first, second = objects(ports, friday), objects(ports, monday)
    november = {f"date=2017-11-{day}" for day in (27, 28, 29, 30)}
    assert "month=2017-11" in first["gold"]
    assert not november & set(first["gold"])
    assert "known=2017-11-30" in first["gold_targets"]
    assert "month=2017-11" in second["gold_targets"]
    assert set(objects(ports, date(2017, 11, 30))["gold"]) >= november
    early = ports.store.read("gold", asof=date(2017, 11, 30))
    assert early.num_rows == len(until(date(2017, 11, 30)))


def test_append_writes_the_day_alone(ports: FakePorts) -> None:
    first, *rest = nights(ports, days(FIRST, date(2017, 11, 30)))
    assert first.values["bytes"] > 5 * rest[-1].values["bytes"]
    assert rest[-1].values["partitions"] == 2
    assert rest[-1].values["since"] == "2017-11-30"


def corrected(day: date, close: float, arrived: datetime) -> dict[str, Any]:
    row = next(row for row in ALL if row["symbol"] == "S03" and row["date"] == day)
    late = {"revision": 1, "backfilled": False, "arrived_at": arrived}
    return {**row, "close": close, "high": close + 1, **late}


def facts_of_a_late_night() -> dict[str, Rows]:
    """A correction, a late split of another day, a report that should have been known."""
    day = sessions.shift(ASOF, -3)
    report = {
        "symbol": "S05",
        "fiscal_date_ending": date(2017, 9, 30),
        "reported_eps": 1.5,
        "known_at": sessions.close_at(sessions.shift(ASOF, -2)),
        "basis_on": day,
    }
    return {
        "bars": [
            *[row for row in ALL if row["date"] == ASOF],
            corrected(day, 44.0, sessions.evening(ASOF)),
        ],
        "actions": [{"symbol": "S04", "ex_date": day, "kind": "dividend", "value": 0.25}],
        "earnings": [report],
        "options_summary": [{"symbol": "S06", "date": day, "call_volume": 1, "put_volume": 2}],
    }


def test_facts_of_older_days_rewrite_from_that_day_and_keep_old_manifests(
    ports: FakePorts, tmp_path: Path
) -> None:
    before = sessions.shift(ASOF, -1)
    nights(ports, days(FIRST, before))
    old = ports.store.read("gold", asof=before)
    arrive(ports, ASOF, **facts_of_a_late_night())
    done = run(ports, ASOF)
    assert done.values["since"] == str(sessions.shift(ASOF, -3))
    assert sorted(done.values["restated_symbols"]) == ["S03", "S04", "S05", "S06"]
    assert objects(ports, ASOF) == objects(built_anew(ports, tmp_path / "fresh", ASOF), ASOF)
    assert ports.store.read("gold", asof=before).equals(old)
    new = ports.store.read("gold", asof=ASOF, symbols=["S03"])
    assert 44.0 in new["adjusted_close"].to_pylist()


@pytest.mark.parametrize(
    "facts",
    [
        {"universe": [{"symbol": "S02", "sector": "UTILITIES", "revision": 1}]},
        {
            "fundamentals": [
                {
                    "symbol": "S02",
                    "arrived_on": ASOF,
                    "sector": "UTILITIES",
                    "known_at": sessions.evening(ASOF),
                }
            ]
        },
        {"actions": [{"symbol": "S01", "ex_date": ASOF, "kind": "split", "value": 2.0}]},
    ],
    ids=["universe", "overview", "split before the basis of a report"],
)
def test_new_label_or_share_basis_rewrites_all_rows(
    ports: FakePorts, tmp_path: Path, facts: Mapping[str, Rows]
) -> None:
    report = {
        "symbol": "S01",
        "fiscal_date_ending": date(2017, 6, 30),
        "reported_eps": 2.0,
        "known_at": sessions.close_at(date(2017, 9, 1)),
        "basis_on": sessions.shift(ASOF, 1),
    }
    before = sessions.shift(ASOF, -1)
    nights(ports, [before], earnings=[report])
    arrive(ports, ASOF, bars=[row for row in ALL if row["date"] == ASOF], **facts)
    assert run(ports, ASOF).values["built"] == "full"
    assert objects(ports, ASOF) == objects(built_anew(ports, tmp_path / "fresh", ASOF), ASOF)


def test_new_symbol_and_skipped_nights_are_continued(ports: FakePorts, tmp_path: Path) -> None:
    nights(ports, [FIRST])
    fresh_symbol = walk("NEW", 3, last=ASOF)
    gap = [row for row in ALL if row["date"] > FIRST]
    arrive(ports, ASOF, bars=[*gap, *fresh_symbol])
    done = run(ports, ASOF)
    assert done.values["since"] == "2017-11-01"  # November is closed now: one object
    assert objects(ports, ASOF) == objects(built_anew(ports, tmp_path / "fresh", ASOF), ASOF)


def test_equal_call_is_found_finished_and_another_code_builds_anew(ports: FakePorts) -> None:
    nights(ports, [FIRST])
    assert run(ports, FIRST).values["cached"]
    key = f"lineage/gold/{FIRST}.json"
    lineage = json.loads(ports.store.get(key))
    ports.store.put(key, json.dumps({**lineage, "code": "older"}).encode())
    following = sessions.shift(FIRST, 1)
    arrive(ports, following, bars=[row for row in ALL if row["date"] == following])
    done = run(ports, following)
    assert done.values["built"] == "full"
    assert "code" in done.values["because"]


def test_day_that_was_never_pulled_is_read_from_later_tables(ports: FakePorts) -> None:
    arrive(ports, ASOF, bars=ALL, universe=UNIVERSE)
    run(ports, ASOF)
    past = run(ports, FIRST)
    assert past.rows == len(until(FIRST))
    at_past = ports.store.read("gold", asof=FIRST).drop_columns(["row_flags"])
    whole = ports.store.read("gold", asof=ASOF).drop_columns(["row_flags"])
    assert at_past.equals(whole.filter(pc.less_equal(whole["date"], FIRST)))
    repeated = ports.store.read("gold", asof=ASOF)
    assert repeated.num_rows == len(ALL)  # the past day's partitions did not leak into asof


def test_stale_absent_and_too_early_bars_are_named(ports: FakePorts) -> None:
    with pytest.raises(DataError, match="no bar is known"):
        run(ports, ASOF)
    arrive(ports, FIRST, bars=until(FIRST))
    with pytest.raises(StaleDataError, match=f"end {FIRST}, 6 sessions before {ASOF}"):
        run(ports, ASOF)
    with pytest.raises(DataError, match=f"run: bft VERB --asof {ALL[0]['date']}"):
        run(ports, date(2017, 8, 1))


def test_history_start_cuts_vendors_but_not_files(ports: FakePorts) -> None:
    cut = sessions.shift(FIRST, -1)
    args = arguments(gold.STEP, asof=FIRST, history_start=str(cut))
    arrive(ports, FIRST, bars=until(FIRST))
    assert record.execute(ports, "gold", gold.STEP, args, no_tick).rows == 2 * 16
    arrive(ports, FIRST, bars=[{**row, "source": "files"} for row in until(FIRST)])
    assert record.execute(ports, "gold", gold.STEP, args, no_tick).rows == len(until(FIRST))


def test_csv_export_holds_97_columns_and_15_symbols_a_file(
    ports: FakePorts, tmp_path: Path
) -> None:
    nights(ports, [FIRST])
    done = run(ports, FIRST, "--export", f"csv:{tmp_path / 'out'}")
    assert done.values["exported"] == 2
    files = [_csv(tmp_path / "out" / f"all_data_{n}.csv") for n in (0, 1)]
    head, *rows = files[0]
    assert head == ["", *(column.name for column in COLUMNS)]
    assert len(head) == 97
    count = len(until(FIRST)) // 16
    assert len(rows) == 15 * count
    assert [row[0] for row in files[1][1:]] == [str(n) for n in range(count)]
    first, last = (dict(zip(head, rows[n], strict=True)) for n in (0, count - 1))
    assert (first["symbol"], last["symbol"]) == ("S00", "S00")
    assert first["future_3_day_pct"] != ""
    assert last["future_3_day_pct"] == ""


def _csv(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


def test_parquet_and_feature_exports(ports: FakePorts, tmp_path: Path) -> None:
    nights(ports, [FIRST])
    run(ports, FIRST, "--export", f"parquet:{tmp_path / 'gold.parquet'}")
    assert pq.read_table(tmp_path / "gold.parquet").num_columns == 96
    run(ports, FIRST, "--export", f"store:{tmp_path / 'store'}")
    made = read_features(tmp_path / "store", "S07")
    names = "date ema_20 ema_50 ema_20_slope trend_strength atr_14 vol_z".split()
    assert made.schema.names == names
    with pytest.raises(DataError, match=r"NONE\.parquet is absent"):
        read_features(tmp_path / "store", "NONE")
    with pytest.raises(UsageError, match="give csv:DIR"):
        run(ports, FIRST, "--export", "xlsx:gold")


def test_legacy_is_a_table_of_its_own(ports: FakePorts) -> None:
    nights(ports, [FIRST])
    gold_before = objects(ports, FIRST)
    done = run(ports, FIRST, "--legacy")
    made = ports.store.read("gold_legacy", asof=FIRST)
    assert done.rows == made.num_rows == len(until(FIRST))
    assert set(made["atr_signal"].to_pylist()) <= {0, -1}
    assert objects(ports, FIRST) == gold_before
    following = sessions.shift(FIRST, 1)
    arrive(ports, following, bars=[row for row in ALL if row["date"] == following])
    assert run(ports, following).values["built"] == "from"


def judge(ports: FakePorts, asof: date, *words: str) -> Summary:
    return run(ports, asof, *words, step=validate.STEP)


NIGHT = date(2017, 12, 1)
FILED = [{**row, "source": "files"} for row in bars(last=NIGHT)]


def pulled(ports: FakePorts, rows: Rows = FILED) -> FakePorts:
    arrive(ports, NIGHT, bars=rows, universe=UNIVERSE)
    return ports


def test_gate_of_a_quiet_night_passes_and_is_recorded(ports: FakePorts) -> None:
    run(pulled(ports), NIGHT)
    done = judge(ports, NIGHT)
    assert (done.exit_code, done.values["verdict"]) == (0, "pass")
    assert (done.values["head"], done.values["quarantined"]) == ("passed", [])
    assert done.values["page"] == f"reports/quality_{NIGHT}.md"
    rows = ports.store.read("quality", asof=NIGHT).to_pylist()
    assert {row["check"] for row in rows} == {f"Q{n:02d}" for n in range(1, 25)}
    assert {row["severity"] for row in rows} == {"pass", "info", "warn"}
    page = ports.store.get(f"reports/quality_{NIGHT}.md").decode()
    assert page.startswith(f"# Data quality of {NIGHT}: passed")
    assert "survivors only" in page
    assert judge(ports, NIGHT).values["cached"]


def test_gate_stops_the_night_with_check_value_and_next_command(ports: FakePorts) -> None:
    lost = [row for row in FILED if row["symbol"] != "S09" or row["date"] < NIGHT]
    run(pulled(ports, lost), NIGHT)
    done = judge(ports, NIGHT)
    assert done.exit_code == 65
    assert done.values["failed"] == ["Q02"]
    for part in ("Q02", "1 of 16", "5.00%", "S09", f"bft pull --asof {NIGHT}"):
        assert part in str(done.error)
    assert ports.store.digest(f"reports/quality_{NIGHT}.md")
    assert not judge(ports, NIGHT, "--only", "Q01,Q03").exit_code
    assert judge(ports, NIGHT, "--only", "Q24", "--strict").exit_code == 65
    with pytest.raises(SystemExit):
        judge(ports, NIGHT, "--only", "Q99")


@pytest.mark.parametrize(("spec", "fresh"), [("files:p.csv", ""), ("sim", " --fresh")])
def test_gate_names_the_pull_that_asks_again(ports: FakePorts, spec: str, fresh: str) -> None:
    """Red: without --fresh the pull of a vendor repeats its earlier result."""
    lost = [row for row in FILED if row["symbol"] != "S09" or row["date"] < NIGHT]
    run(pulled(ports, lost), NIGHT)
    ports.store.put("source.json", json.dumps({"source": spec, "simulated": bool(fresh)}).encode())
    assert f"then: bft pull --asof {NIGHT}{fresh} && bft gold" in str(judge(ports, NIGHT).error)
    told = ": failed (Q02), simulated data\n" if fresh else ": failed (Q02)\n"
    assert told in ports.store.get(f"reports/quality_{NIGHT}.md").decode()


def test_gate_names_absent_gold_altered_objects_and_other_inputs(ports: FakePorts) -> None:
    with pytest.raises(DataError, match="run: bft gold"):
        judge(pulled(ports), NIGHT)
    run(ports, NIGHT)
    pulled(ports, FILED[:-1])
    assert "built from other ['bars']" in str(judge(ports, NIGHT).error)
    pulled(ports)
    key = ports.store.manifest("gold", asof=NIGHT).objects[0].key
    ports.store.put(key, b"PAR1")
    done = judge(make_ports(Path(ports.store.root)), NIGHT)
    assert done.exit_code == 65
    assert key in str(done.error)


def test_gate_asked_again_finds_an_altered_object_of_an_older_day(ports: FakePorts) -> None:
    """Red: `pass`, finished before, and no later call would ever look at it."""
    older = sessions.shift(NIGHT, -1)
    arrive(ports, older, bars=[row for row in FILED if row["date"] < NIGHT], universe=UNIVERSE)
    arrive(ports, NIGHT, bars=[row for row in FILED if row["date"] == NIGHT])
    run(ports, NIGHT)
    assert not judge(ports, NIGHT).exit_code
    key = f"tables/bars/arrived={older}.parquet"
    ports.store.put(key, ports.store.get(key) + b"x")
    for part in (f"Q23: object {key} has digest", f"again: bft pull --asof {older} --fresh"):
        assert part in str(judge(ports, NIGHT).error)


def test_targets_are_known_when_their_session_is(ports: FakePorts) -> None:
    nights(ports, days(FIRST, NIGHT))
    found = []
    for asof in (FIRST, NIGHT):
        rows = ports.store.read("gold_targets", asof=asof)
        found.append(max(rows.filter(pc.equal(rows["horizon"], 3))["date"].to_pylist()))
    assert found[1] == FIRST
    assert found[0] < FIRST


def test_page_tells_what_the_pull_made_of_rows(ports: FakePorts) -> None:
    run(pulled(ports), NIGHT)
    page = f"reports/quality_{NIGHT}.md"
    judge(ports, NIGHT)
    assert "What the pull" not in ports.store.get(page).decode()
    told = {"args": {"source": "files:x"}, "skipped": {"sorted_rows": 1203, "bad_close": 2}}
    told["names"] = {"bad_close": ["x.csv:7: A 2018-02-01 close='n/a'"], "after_asof": ["A"]}
    ports.store.put(f"lineage/pull/{NIGHT}.json", json.dumps(told).encode())
    assert "cached" not in judge(ports, NIGHT).values
    text = ports.store.get(page).decode()
    assert (
        "| bad_close | 2 | rows without a usable close |\n| sorted_rows | 1,203 | rows out" in text
    )
    assert text.endswith("\nbad_close, 1 of 2:\n\n- `x.csv:7: A 2018-02-01 close='n/a'`\n")
