"""Splits that a file of bars does not name: what a person may say of them in actions.csv."""

import json
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from commandline import bft

from bft.domain import sessions

NOW = date(2018, 2, 8)
SPAN = sessions.sessions(date(2017, 11, 1), NOW)
HEAD = "symbol,date,open,high,low,close,volume\n"
ACTIONS = "symbol,ex_date,kind,value\n"


def rows(
    symbol: str, closes: Sequence[float], volumes: Sequence[int], parts: Sequence[int] = ()
) -> str:
    """Bars of the first sessions in cents; open, high and low follow the close.

    `parts` of a session divide its prices and multiply its volume.
    """
    held = parts or [1] * len(closes)
    return "".join(
        f"{symbol},{day},{(c - 0.1) / p:.2f},{(c + 0.25) / p:.2f},{(c - 0.25) / p:.2f},"
        f"{c / p:.2f},{v * p}\n"
        for day, c, v, p in zip(SPAN, closes, volumes, held, strict=False)
    )


def test_actions_of_kind_none_alone_dismiss_a_suspicion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: `actions.csv has only nulls in column kind; fill it`, for none was read as a null."""
    monkeypatch.chdir(tmp_path)
    closes, parts = [100 + n % 3 for n in range(len(SPAN))], [1] * (len(SPAN) - 1) + [2]
    Path("bars.csv").write_text(HEAD + rows("A", closes, [1000] * len(SPAN), parts))
    asof = ("--asof", str(NOW), "--root", "r")
    held = []
    for entered in (None, ACTIONS + f"A,{NOW},none,\n"):
        if entered:
            Path("actions.csv").write_text(entered)
        assert bft("pull", *asof, "--source", "files:bars.csv")[0] == 0
        assert bft("gold", *asof)[0] == 0
        held.append("A" in bft("validate", *asof, "--only", "Q09")[1]["reasons"])
    assert held == [True, False]


NAMES = ("A", "B", "C", "D", "E")
CLOSES = [100.01 + 2 * (n % 3) for n in range(len(SPAN))]
VOLUMES = [1001 + 100 * (n % 5) for n in range(len(SPAN))]
EX = len(SPAN) - 2
"""A's split of 2:1: the night of the session before knows nothing of it, two nights follow."""
OTHERS = [50 + n % 3 for n in range(len(SPAN))]
LINE = f"A,{SPAN[EX]},split,2\n"


def export(count: int, *, adjusted: bool) -> str:
    """The vendor's file of the first sessions; an adjusted one halves A's past from the ex-date."""
    parts = [2 if n >= EX or (adjusted and count > EX) else 1 for n in range(count)]
    others = "".join(rows(name, OTHERS[:count], VOLUMES[:count]) for name in NAMES[1:])
    return HEAD + rows("A", CLOSES[:count], VOLUMES[:count], parts) + others


def night(
    count: int, root: str, *, adjusted: bool = True, exported: int | None = None
) -> tuple[Any, Any]:
    """Export, pull, build and judge the last of so many days: lines of pull and judgement.

    `exported` days are in the file, where it is newer than the night.
    """
    Path("bars.csv").write_text(export(exported or count, adjusted=adjusted))
    asof = ("--asof", str(SPAN[count - 1]), "--root", root)
    code, pulled, words = bft("pull", *asof, "--source", "files:bars.csv")
    assert code == 0, words
    code, _, words = bft("gold", *asof)
    assert code == 0, words
    return pulled, bft("validate", *asof, "--only", "Q09,Q10,Q12")[1]


def gold(root: str, day: date) -> dict[tuple[str, str], str]:
    """Digests of the objects of gold and its targets as of a day, by table and partition."""
    found = {}
    for table in ("gold", "gold_targets"):
        held = json.loads((Path(root) / f"manifests/{table}/asof={day}.json").read_text())
        found |= {(table, one["partition"]): one["digest"] for one in held["objects"]}
    return found


def row_of(root: str, symbol: str, day: date) -> dict[str, Any]:
    """A symbol's row of gold on its day."""
    held = json.loads((Path(root) / f"manifests/gold/asof={day}.json").read_text())
    (key,) = (one["key"] for one in held["objects"] if one["partition"] == f"date={day}")
    (row,) = pq.read_table(Path(root) / key).filter(pc.field("symbol") == symbol).to_pylist()
    return row


def test_named_split_of_an_adjusted_file_is_applied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: all of A's past was refused, the split too, and every night after failed at Q12."""
    monkeypatch.chdir(tmp_path)
    night(EX, "r")
    Path("actions.csv").write_text(ACTIONS + LINE)
    for count in (EX + 1, EX + 2):
        pulled, judged = night(count, "r")
        assert (pulled["revisions"], pulled["tables"]["bars"], pulled["skipped"]) == (0, 5, {})
        assert judged["counts"]["pass"] == 3, judged
        told = f"adjusted in the file already, kept as traded: A {SPAN[EX]} split 2"
        assert told in pulled["notes"]
    row = row_of("r", "A", SPAN[EX])  # by hand: 104.01 and 1001 on the day before the split
    assert (row["adjusted_close"], row["volume"]) == (50.01, 2 * 1101)
    assert (row["split_factor"], row["adj_factor"]) == (2.0, 2.0)
    assert row["adjusted_close_pct"] == pytest.approx(100 * (2 * 50.01 / 104.01 - 1), abs=1e-5)
    assert row["volume_pct"] == pytest.approx(100 * (1101 / 1001 - 1), abs=1e-5)
    built = gold("r", NOW)
    shutil.copytree("r", "full")
    assert bft("gold", "--asof", str(NOW), "--root", "full", "--full")[0] == 0
    assert gold("full", NOW) == built
    for count in (EX, EX + 1, EX + 2):  # the same of a file that is as traded
        night(count, "traded", adjusted=False)
    assert gold("traded", NOW) == built


@pytest.mark.parametrize("later", [0, 1])
def test_refused_past_of_a_split_names_the_line_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """Red: `symbols with refused revisions: 1 of 5` named neither the split nor what to enter."""
    monkeypatch.chdir(tmp_path)
    night(EX, "r")
    pulled, judged = night(EX + 1, "r")
    assert pulled["skipped"] == {"refused_revision": EX}
    assert (
        f"A: the file divides its closes before {SPAN[EX]} by 2, as files that are adjusted do for "
        "a split (2 new shares for an old one); if there was one, the line to write into "
        "actions.csv beside the prices (columns symbol,ex_date,kind,value) is " + LINE.strip() + ";"
    ) in judged["error"]
    Path("actions.csv").write_text(ACTIONS + LINE)
    pulled, judged = night(EX + 1 + later, "r")
    assert (pulled["revisions"], pulled["skipped"]) == (0, {})
    assert judged["counts"]["pass"] == 3, judged
    day = SPAN[EX + later]
    night(EX, "traded", adjusted=False)
    night(EX + 1 + later, "traded", adjusted=False)
    assert gold("traded", day) == gold("r", day)


def test_missed_night_is_filled_in_with_the_file_of_the_ex_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: the night before the split stored its halved bar, and the split was refused."""
    monkeypatch.chdir(tmp_path)
    for root, adjusted in (("r", True), ("traded", False)):
        Path("actions.csv").write_text(ACTIONS + f"B,{SPAN[5]},none,\n")
        night(EX - 1, root, adjusted=adjusted)
        Path("actions.csv").write_text(ACTIONS + LINE)
        night(EX, root, adjusted=adjusted, exported=EX + 1)
        pulled, judged = night(EX + 1, root, adjusted=adjusted)
        assert (pulled["revisions"], pulled["skipped"]) == (1, {})  # the split: expected, then ok
        assert judged["counts"]["pass"] == 3, judged
    row = row_of("r", "A", SPAN[EX])  # the bar before it, 104.01, comes back to a cent of a half
    assert (row["adjusted_close"], row["split_factor"]) == (50.01, 2.0)
    assert row["adjusted_close_pct"] == pytest.approx(100 * (2 * 50.01 / 104.01 - 1), abs=0.01)


def with_adjusted(text: str) -> str:
    """A column of closes adjusted for A's split and a dividend of 1.00 on session 20."""
    first, *lines = text.splitlines()
    split = f"A,{SPAN[EX]}," in text
    made = [f"{first},adj_close"]
    for line in lines:
        symbol, day = line.split(",")[:2]
        n = SPAN.index(date.fromisoformat(day))
        close = CLOSES[n] if symbol == "A" else OTHERS[n]
        if symbol == "A":
            close *= (1 - 1 / CLOSES[19] if n < 20 else 1) / (2 if split or n >= EX else 1)
        made.append(f"{line},{close:.6f}")
    return "\n".join(made) + "\n"


def test_dividends_that_adjusted_closes_imply_stay_as_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: read off the divided closes, the old dividend of 1.00 became one of 0.50."""
    monkeypatch.chdir(tmp_path)
    for root, adjusted in (("r", True), ("traded", False)):
        for count in (EX, EX + 1, EX + 2):
            Path("bars.csv").write_text(with_adjusted(export(count, adjusted=adjusted)))
            asof = ("--asof", str(SPAN[count - 1]), "--root", root)
            entered = LINE if count > EX else f"B,{SPAN[5]},none,\n"
            Path("actions.csv").write_text(ACTIONS + entered)
            code, pulled, words = bft("pull", *asof, "--source", "files:bars.csv")
            assert (code, pulled["revisions"]) == (0, 0), (words, pulled["skipped"])
            assert bft("gold", *asof)[0] == 0
        judged = bft("validate", *asof, "--only", "Q09,Q10,Q11,Q12")[1]
        assert judged["counts"]["pass"] == 4, judged
    assert gold("r", NOW) == gold("traded", NOW)


def test_dividends_of_a_column_stay_as_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: the adjusted file halves the old dividend of 1.00 too, and it was stored as 0.50."""
    monkeypatch.chdir(tmp_path)
    for root, adjusted in (("r", True), ("traded", False)):
        for count in (EX, EX + 1):
            first, *lines = export(count, adjusted=adjusted).splitlines()
            amount = 0.5 if adjusted and count > EX else 1.0
            told = [f"{t},{amount if t.startswith(f'A,{SPAN[20]}') else 0.0:.4f}" for t in lines]
            text = "\n".join([f"{first},dividend_amount", *told])
            Path("bars.csv").write_text(text + "\n")
            entered = LINE if count > EX else f"B,{SPAN[5]},none,\n"
            Path("actions.csv").write_text(ACTIONS + entered)
            asof = ("--asof", str(SPAN[count - 1]), "--root", root)
            code, pulled, words = bft("pull", *asof, "--source", "files:bars.csv")
            assert (code, pulled["revisions"]) == (0, 0), (words, pulled["skipped"])
            assert bft("gold", *asof)[0] == 0
    assert gold("r", SPAN[EX]) == gold("traded", SPAN[EX])


ON = EX + 1
"""Session of the rename: A is Z from then on."""


def renamed_night(count: int, root: str, *, adjusted: bool) -> None:
    """As `night`, with a list of symbols and, from its day on, the rename."""
    text = export(count, adjusted=adjusted)
    Path("bars.csv").write_text(text.replace("\nA,", "\nZ,") if count > ON else text)
    on = f"A,Z,{SPAN[ON]}\n" if count > ON else ""
    Path("renames.csv").write_text("old,new,date\n" + on)
    asof = ("--asof", str(SPAN[count - 1]), "--root", root)
    source = ("--source", "files:bars.csv", "--universe", "u.csv")
    assert bft("pull", *asof, *source)[0] == 0
    assert bft("gold", *asof)[0] == 0


@pytest.mark.parametrize("kept", [True, False])
def test_rename_after_a_split_leaves_its_past_as_traded(
    *, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: Z's past came re-based and A's split was applied to it again: a return of +92 %.

    `kept`: the line of the split stays in actions.csv. A file as traded gives the same gold.
    """
    monkeypatch.chdir(tmp_path)
    listed = "".join(f"{name},x,Technology\n" for name in NAMES)
    Path("u.csv").write_text("symbol,name,sector\n" + listed)
    other = ACTIONS + f"B,{SPAN[3]},dividend,0.01\n"
    for root, adjusted in (("r", True), ("traded", False)):
        Path("actions.csv").write_text(other)
        renamed_night(EX, root, adjusted=adjusted)
        Path("actions.csv").write_text(other + LINE)
        renamed_night(EX + 1, root, adjusted=adjusted)
        Path("actions.csv").write_text(other + (LINE if kept else ""))
        renamed_night(EX + 2, root, adjusted=adjusted)
    row = row_of("r", "Z", SPAN[ON])
    change = 100 * (CLOSES[ON] / CLOSES[ON - 1] - 1)
    assert row["adjusted_close_pct"] == pytest.approx(change, abs=0.02)
    assert gold("r", SPAN[ON]) == gold("traded", SPAN[ON])
