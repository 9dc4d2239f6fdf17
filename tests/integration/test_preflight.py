"""What `bft run` says of a file before anything runs: too short, too few, not up to asof."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes import FakePorts, FixedClock, make_ports

from bft.adapters.sources.files import Files
from bft.adapters.store.state import SqlState, folder_url
from bft.domain import origin, sessions
from bft.domain.delivery import Answer, Want
from bft.domain.errors import ConfigError, DataError, UnfitError
from bft.ports import RunRequest
from bft.steps import preflight, pull
from bft.steps.record import code_digest

LAST = pd.Timestamp("2018-02-07").date()
SHORT = "files:bars"
AGAIN = "bft run nightly --source files:bars"
FIVE = ("A", "B", "C", "D", "E")


def written(folder: Path, *, days: int, names: tuple[str, ...]) -> Files:
    span = sessions.sessions(sessions.shift(LAST, 1 - days), LAST)
    rows = [f"{name},{day},10,11,9,10,90" for name in names for day in span]
    file = folder / "bars.csv"
    file.write_text("symbol,date,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return Files(file)


def asked(profile: str | None, asof: date = LAST) -> RunRequest:
    return RunRequest(source=SHORT, profile=profile, asof=asof, again=AGAIN)


def look(tmp_path: Path, source: Files, profile: str = "short", day: str = "") -> tuple[str, ...]:
    state = SqlState(folder_url(tmp_path / "root"), clock=FixedClock())
    ports = make_ports(tmp_path / "root", sources={SHORT: source}, state=state)
    asof = pd.Timestamp(day).date() if day else LAST
    return preflight.look(ports, asked(profile, asof), profiles_dir="")


def test_file_that_suffices_says_what_there_is_and_is_needed(tmp_path: Path) -> None:
    (line,) = look(tmp_path, written(tmp_path, days=443, names=TWENTY))
    assert line == (
        f"{SHORT}: 20 symbols, 2016-05-06 to 2018-02-07 (443 sessions); profile short needs 443"
    )
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("found", "instead", "told"),
    [
        (",90\n", ",90.5\n", "column volume: a fraction of a share in 8,860 of 8,860 rows, first"),
        (",10,90\n", ",0,90\n", "column close: a price of 0 or less in 8,860 of 8,860 rows, first"),
        ("AA,2018-02-07,10", "AA,2018-02-06,9", r"AA 2018-02-06 \(line 443: open 10, line 444: op"),
    ],
)
def test_rows_that_cannot_be_stored_are_found_before_anything_runs(
    tmp_path: Path, found: str, instead: str, told: str
) -> None:
    """Red: the run began, and its pull failed with four possible faults in one sentence."""
    source = written(tmp_path, days=443, names=TWENTY)
    source.path.write_text(source.path.read_text().replace(found, instead))
    with pytest.raises(DataError, match=told):
        look(tmp_path, source)


def test_rows_that_are_left_out_or_sorted_are_told_with_the_first(tmp_path: Path) -> None:
    source = written(tmp_path, days=443, names=TWENTY)
    head, *rows = source.path.read_text().splitlines()
    turned = [head, *reversed(rows), "AA,2018-02-07,10,11,9,10,90", "AA,2018-02-01,1,1,1,1,0.5"]
    source.path.write_text("\n".join(turned))
    told = look(tmp_path, source)[1]
    assert told == (
        "rows: 1 without a usable volume, left out (bars.csv:8863: AA 2018-02-01 volume=0.5); "
        "1 repeated, merged (bars.csv:8862: AA 2018-02-07); "
        "8,840 out of order, sorted (newest: bars.csv:3: AT 2018-02-06)"
    )


def test_one_symbol_is_told_as_one(tmp_path: Path) -> None:
    """Red: `1 symbols`."""
    with pytest.raises(DataError, match=r": 1 symbol, .*needs \d+ symbols"):
        look(tmp_path, written(tmp_path, days=443, names=("A",)))


def test_one_session_too_few_is_refused_with_dates(tmp_path: Path) -> None:
    words = "needs 443 sessions, 2016-05-06 to 2018-02-07: load them"
    with pytest.raises(DataError, match=f"442 sessions.*{words}$"):
        look(tmp_path, written(tmp_path, days=442, names=FIVE))
    short = f"; or take --profile short: {AGAIN} --asof 2018-02-07 --profile short$"
    with pytest.raises(DataError, match=f"realdata needs 995 sessions, .*{short}"):
        look(tmp_path, written(tmp_path, days=443, names=FIVE), "realdata")
    with pytest.raises(DataError, match=r"realdata needs 995 sessions, .*: load them$"):
        look(tmp_path, written(tmp_path, days=442, names=FIVE), "realdata")  # nor would short do


def test_few_symbols_are_told_of_once(tmp_path: Path) -> None:
    told = look(tmp_path, written(tmp_path, days=450, names=FIVE))
    assert told[1].startswith("5 symbols are no market (20 are, or SPY)")
    assert len(look(tmp_path, written(tmp_path, days=450, names=(*FIVE[1:], "SPY")))) == 1


def test_too_few_symbols_are_refused(tmp_path: Path) -> None:
    two = written(tmp_path, days=1000, names=("A", "B"))
    with pytest.raises(DataError, match=r"2 symbols, .*; profile short needs 5 symbols$"):
        look(tmp_path, two)
    with pytest.raises(DataError, match=r"realdata needs 20 symbols$"):
        look(tmp_path, two, "realdata")


TWENTY = tuple(f"A{chr(65 + n)}" for n in range(20))


@pytest.mark.parametrize(("days", "fits"), [(1000, "realdata"), (500, "short")])
def test_prices_alone_are_refused_for_a_profile_that_wants_more(
    tmp_path: Path, days: int, fits: str
) -> None:
    """Red: `demo`, the default, was refused by the training, after a pull and a gold table."""
    again = f"{AGAIN} --asof 2018-02-07 --profile {fits}$"
    words = rf"at most 8 of the 52 inputs unknown, 18 are \(pe_ratio, .*\): load .*: {again}"
    source = written(tmp_path, days=days, names=TWENTY)
    with pytest.raises(UnfitError, match=f"profile demo trains with {words}") as told:
        look(tmp_path, source, "demo")
    assert told.value.instead == f"{AGAIN} --asof 2018-02-07 --profile {fits}"
    assert look(tmp_path, source, fits)


def test_what_lies_beside_the_bars_counts(tmp_path: Path) -> None:
    """Six snapshots of the company and its book value are in no file: 7 of 8."""
    source = written(tmp_path, days=500, names=TWENTY)
    series = ("treasury_yield_2year", "treasury_yield_10year", "unemployment", "nonfarm_payroll")
    texts = {
        "macro": "date,series,value\n" + "".join(f"2016-01-01,{name},1\n" for name in series),
        "sectors": "symbol,sector\nAA,Energy\n",
        "earnings": "symbol,fiscal_date_ending,reported_eps\nAA,2016-12-31,1\n",
        "actions": "symbol,ex_date,kind,value\nAA,2017-02-01,dividend,0.1\n",
    }
    for kind, text in texts.items():
        (tmp_path / f"{kind}.csv").write_text(text)
    assert look(tmp_path, Files(source.path), "demo")
    (tmp_path / "sectors.csv").unlink()
    with pytest.raises(DataError, match=r"11 are \(forward_pe, .*sector_rel_ret_1d\)"):
        look(tmp_path, Files(source.path), "demo")


def test_prices_that_end_before_asof_name_the_last_session(tmp_path: Path) -> None:
    source, again = written(tmp_path, days=450, names=FIVE), f"{AGAIN} --asof 2018-02-07"
    for profile in ("short", "demo"):  # of which demo would not do
        words = f"ends 2018-02-07, .*, or run: {again} --profile short$"
        with pytest.raises(UnfitError, match=words):
            look(tmp_path, source, profile, day="2018-02-08")
    with pytest.raises(DataError, match="no bar at or before 2010-01-04"):
        look(tmp_path, written(tmp_path, days=450, names=("A",)), day="2010-01-04")


def in_production(root: Path, source: Files) -> FakePorts:
    state = SqlState(folder_url(root), clock=FixedClock())
    state.move_pointer(expected_revision=0, set_digest="s", entry={"action": "promote"}, key="k")
    return make_ports(root, sources={SHORT: source}, state=state)


def test_a_later_night_of_models_in_production_needs_prices_too(tmp_path: Path) -> None:
    source, root = written(tmp_path, days=450, names=("A",)), tmp_path / "root"
    ports = in_production(root, source)
    wanted = asked("short")
    assert preflight.look(ports, wanted, profiles_dir="") == ()
    later = replace(wanted, asof=sessions.shift(LAST, 1))
    with pytest.raises(UnfitError, match="ends 2018-02-07, before 2018-02-08; load newer"):
        preflight.look(ports, later, profiles_dir="")


def test_unknown_profile_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean short"):
        look(tmp_path, written(tmp_path, days=450, names=("A",)), "shrt")


def test_a_slip_in_the_profile_is_refused_with_models_in_production_too(tmp_path: Path) -> None:
    """A root remembers the profile of a run; one that is gone meanwhile stops no night."""
    source, root = written(tmp_path, days=450, names=("A",)), tmp_path / "root"
    ports = in_production(root, source)
    wanted = asked("shrt")
    with pytest.raises(ConfigError, match="did you mean short"):
        preflight.look(ports, wanted, profiles_dir="")
    ports.store.put(origin.PROFILE_KEY, origin.encoded(origin.training_of("shrt", tmp_path)))
    assert preflight.look(ports, wanted, profiles_dir="") == ()


def test_a_slip_in_the_source_of_a_finished_night_is_refused(tmp_path: Path) -> None:
    """Red: the run began, failed in its build and marked the good night as failed."""
    source = written(tmp_path, days=450, names=("A",))
    ports = in_production(tmp_path / "root", source)
    pulled(ports, source, code_digest(("domain", *pull.STEP.code)))
    wanted = asked(None)
    assert preflight.look(ports, wanted, profiles_dir="") == ()
    with pytest.raises(KeyError, match=r"p\.csv"):  # the fake's word for an unknown source
        preflight.look(ports, replace(wanted, source="p.csv"), profiles_dir="")
    source.path.unlink()
    with pytest.raises(DataError, match=r"bars\.csv: No such file"):
        preflight.look(ports, wanted, profiles_dir="")
    pulled(ports, source, "of another version: it is pulled again", inputs={})
    with pytest.raises(DataError, match=r"bars\.csv is no file"):
        preflight.look(ports, wanted, profiles_dir="")


def test_a_file_that_was_cut_since_its_night_is_refused(tmp_path: Path) -> None:
    """Red: its pull ran again, failed, and marked the good night as failed."""
    source = written(tmp_path, days=450, names=("A",))
    ports = in_production(tmp_path / "root", source)
    pulled(ports, source, code_digest(("domain", *pull.STEP.code)))
    assert preflight.look(ports, asked("short"), profiles_dir="") == ()
    whole = source.path.read_text()
    source.path.write_text(whole[: whole.rstrip().rindex("\n") + 1])
    with pytest.raises(UnfitError, match="ends 2018-02-06, before 2018-02-07; load newer"):
        preflight.look(ports, asked("short"), profiles_dir="")
    source.path.write_text(whole + "A,2018-02-08,10,11,9,10,90\n")
    assert preflight.look(ports, asked("short"), profiles_dir="") == ()


def pulled(
    ports: FakePorts, source: Files, code: str, inputs: Mapping[str, str] | None = None
) -> None:
    made = {"code": code, "inputs": source.digests() if inputs is None else inputs}
    ports.store.put(f"lineage/pull/{LAST}.json", json.dumps(made).encode())
    known = origin.origin_of(SHORT, Path.cwd(), simulated=False)
    ports.store.put(origin.KEY, origin.encoded(known))


def test_another_profile_than_that_of_the_models_is_judged_and_told(tmp_path: Path) -> None:
    """Red: the root was relabelled, though its models stayed and its file was too short."""
    source, root = written(tmp_path, days=450, names=TWENTY), tmp_path / "root"
    ports = in_production(root, source)
    ports.store.put("sets/s.json", b'{"entries": [{"digest": "m"}, {"digest": null}]}')
    ports.store.put("models/m/model.json", b'{"profile": {"profile": "short"}}')
    assert preflight.look(ports, asked("short"), profiles_dir="") == ()
    with pytest.raises(UnfitError, match=r"realdata needs 995 sessions, .*--profile short$"):
        preflight.look(ports, asked("realdata"), profiles_dir="")
    written(tmp_path, days=995, names=TWENTY)
    told, judged = preflight.look(ports, asked("realdata"), profiles_dir="")
    assert told == (
        "models in production are of profile short; realdata takes effect when they are trained "
        "again: bft train all --asof 2018-02-07 --profile realdata && bft gate --asof 2018-02-07 "
        "&& bft promote --asof 2018-02-07"
    )
    assert "profile realdata needs 995" in judged
    ports.store.put(origin.PROFILE_KEY, b'{"profile": "realdata"}')
    assert preflight.look(ports, asked("realdata"), profiles_dir="") == (told,)


def test_sessions_that_lack_are_told(tmp_path: Path) -> None:
    """Red: `450 sessions` of a file of 448, and a hole of one symbol was not seen at all."""
    source = written(tmp_path, days=450, names=TWENTY)
    holed = [r for r in source.path.read_text().splitlines() if ",2017-03-0" not in r]
    holed = [r for r in holed if not r.startswith("AB,2017-08-")]
    source.path.write_text("\n".join(holed) + "\n")
    first, gaps = look(tmp_path, Files(source.path))
    assert "(443 of 450 sessions); profile short needs 443" in first
    assert gaps == (
        "gaps: 7 of 450 sessions have no bar of any symbol, the first 2017-03-01; 1 symbol with "
        "gaps of their own, most AB: 23, the first 2017-08-01"
    )


class Counted(Files):
    """A file that counts how often its bars are read."""

    reads = 0

    def fetch(self, wants: Sequence[Want], **how: Any) -> Iterator[Answer]:
        self.reads += any(want.topic == "bars" for want in wants)
        return super().fetch(wants, **how)


def test_end_of_a_file_and_what_it_suffices_for_are_found_by_one_reading(tmp_path: Path) -> None:
    """Red: `bft status` of a root whose night is missing read its file twice."""
    source = Counted(written(tmp_path, days=500, names=TWENTY).path)
    state = SqlState(folder_url(tmp_path / "root"), clock=FixedClock())
    ports, seen = make_ports(tmp_path / "root", sources={SHORT: source}, state=state), {}
    later = sessions.shift(LAST, 9)
    assert preflight.ends_on(ports, SHORT, later, seen) == LAST
    assert preflight.look(ports, asked("short"), profiles_dir="", seen=seen)
    assert source.reads == 1
    short = sessions.shift(LAST, -1)
    assert preflight.ends_on(ports, SHORT, short, seen) == short
    assert source.reads == 2, "up to a day before its last bar it is another history"
