"""A file's adjusted closes after another dividend: only what is new is an action."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft

from bft.domain import sessions

NOW = date(2018, 2, 7)
SPAN = sessions.sessions(date(2017, 1, 3), NOW)
PAID = {60: 0.35, 123: 0.35, 186: 0.37, len(SPAN) - 1: 0.40}


def prices(last: date) -> str:
    """Closes that walk, and adjusted ones to six decimals on the basis of the last day."""
    count = sum(day <= last for day in SPAN)
    closes = [50 + (n * 37 % 101) / 13 for n in range(count)]
    factor = [1.0] * count
    for at, paid in PAID.items():
        if at < count:
            factor[:at] = [f * (1 - paid / closes[at - 1]) for f in factor[:at]]
    rows = [
        f"A,{day},{c},{c + 1},{c - 1},{c},{c * f:.6f},{1000 + n}\n"
        for n, (day, c, f) in enumerate(zip(SPAN, closes, factor, strict=False))
    ]
    return "symbol,date,open,high,low,close,adj_close,volume\n" + "".join(rows)


def test_new_dividend_restates_no_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: each old dividend was a revision, and gold was built again from the first on."""
    monkeypatch.chdir(tmp_path)
    told = []
    for day in SPAN[-2:]:
        Path("bars.csv").write_text(prices(day))
        root = ("--asof", str(day), "--root", "r")
        code, pulled, words = bft("pull", *root, "--source", "files:bars.csv")
        assert code == 0, words
        code, built, words = bft("gold", *root)
        assert code == 0, words
        told.append((pulled["tables"]["actions"], pulled["revisions"], built["since"]))
    assert told == [(3, 0, None), (1, 0, str(NOW))]
