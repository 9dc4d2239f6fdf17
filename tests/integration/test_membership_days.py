"""Membership by day, as lists tell it: who is learned from and may be bought."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import make_ports

from bft.dataset.members import with_members
from bft.domain import sessions
from bft.services.executor.reference import read_reference
from bft.steps.gold_tables import known_facts

FIRST, JOINED, LEFT = date(2018, 1, 2), date(2018, 1, 16), date(2018, 2, 7)
BEFORE, NOW = date(2018, 2, 6), date(2018, 2, 7)
SPAN = sessions.sessions(FIRST, NOW)
HEAD = "symbol,date,open,high,low,close,volume\n"
LISTS = {
    "undated": "symbol\nAAA\nBBB\n",
    "open": f"symbol,from,to\nAAA,{FIRST},\nBBB,{FIRST},\n",
    "later": f"symbol,from,to\nAAA,{JOINED},\nBBB,{FIRST},\n",
    "left": f"symbol,from,to\nAAA,{FIRST},{JOINED}\nBBB,{FIRST},\n",
    "leaves": f"symbol,from,to\nAAA,{FIRST},{LEFT}\nBBB,{FIRST},\n",
}


@pytest.mark.parametrize(
    ("was", "now", "span"),
    [
        ("open", "left", (FIRST, JOINED)),
        ("undated", "later", (JOINED, None)),
        ("open", "later", (JOINED, None)),
        ("later", "undated", (FIRST, None)),
        ("open", "leaves", (FIRST, LEFT)),
    ],
)
def test_newest_list_tells_who_was_a_member_on_a_day(
    *,
    was: str,
    now: str,
    span: tuple[date, date | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red: what an earlier list said held on beside it, and `to` counted as a member's day."""
    monkeypatch.chdir(tmp_path)
    for day, told in ((BEFORE, was), (NOW, now)):
        rows = [f"{s},{d},10,11,9,10,90\n" for s in ("AAA", "BBB") for d in SPAN if d <= day]
        Path("bars.csv").write_text(HEAD + "".join(rows))
        Path("constituents.csv").write_text(LISTS[told])
        root = ("--asof", str(day), "--root", "r")
        assert bft("pull", *root, "--source", "files:bars.csv")[0] == 0
    assert bft("gold", *root)[0] == 0
    store = make_ports(tmp_path / "r").store
    gold = store.read("gold", columns=["symbol", "date"])
    held = with_members(gold, known_facts(store, NOW, ("universe",))["universe"]).to_pylist()
    first, end = span
    days = [row["date"] for row in held if row["member"] and row["symbol"] == "AAA"]
    assert days == [day for day in SPAN if first <= day and (end is None or day < end)]
    assert read_reference(store).universe == ({"AAA", "BBB"} if end is None else {"BBB"})
