from datetime import timedelta

import pytest
from fakes import FakePorts
from markets import raw

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.steps.quotes import keep

LAST = sessions.session(4500)


def test_quotes_of_five_sessions_are_kept_each_told_once(ports: FakePorts) -> None:
    days = [sessions.shift(LAST, -back) for back in range(6, -1, -1)]
    for day in days:
        at = sessions.open_at(day) + timedelta(minutes=40)
        keep(ports.store, raw("quotes", [{"symbol": "A", "at": at, "last": 1.0}]), day)
    more = [{"symbol": s, "at": at, "last": 2.0} for s in ("A", "B")]
    keep(ports.store, raw("quotes", more), LAST)
    rows = ports.store.read("quotes", asof=LAST).to_pylist()
    assert [row["at"].date() for row in rows if row["symbol"] == "A"] == days[2:]
    assert [(r["symbol"], r["last"]) for r in rows[-2:]] == [("A", 1.0), ("B", 2.0)]


def test_broken_quotes_of_the_session_give_way_to_new_ones(ports: FakePorts) -> None:
    """They are evidence of what was decided; the next scan decides without them."""
    early, late = (sessions.open_at(LAST) + timedelta(minutes=n) for n in (40, 55))
    rows = [raw("quotes", [{"symbol": "A", "at": at, "last": 1.0}]) for at in (early, late)]
    (key,) = (key for key in keep(ports.store, rows[0], LAST) if key.startswith("tables/"))
    ports.store.path(key).write_bytes(b"PAR1 not any more")
    with pytest.raises(DataError, match=f"scan again while {LAST} runs"):
        ports.store.read("quotes", asof=LAST)
    keep(ports.store, rows[1], LAST)
    assert ports.store.read("quotes", asof=LAST)["at"].to_pylist() == [late]
