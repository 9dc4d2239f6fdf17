"""bft ledger on a real book: what it shows, writes, refuses."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from books import AAPL, ACCOUNT, AT, FACTS, after, booked, fill, intent, round_trip
from fakes import FakePorts, FixedClock, arguments, make_ports, no_tick

from bft.adapters.store.book import SqlBook
from bft.domain.encoding import instant_text
from bft.domain.errors import DataError, RefusedError, UsageError
from bft.domain.journal import lease_name
from bft.ledger import entries
from bft.ledger.fold import apply
from bft.ledger.load import load
from bft.ledger.state import BookState
from bft.ledger.verify import compare
from bft.ports import Page
from bft.steps import ledger


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[FakePorts]:
    """A book with a stopped trade and an open one of 40."""
    book = SqlBook(f"sqlite:///{tmp_path / 'state.db'}", at=AT)
    state, held = BookState(), intent(signal="open", qty=40)
    told = [
        entries.contract(AT, contract=AAPL),
        *round_trip(),
        entries.intents(AT, intents=(held,), facts=FACTS),
        booked(fill(held, 40, "50", id="o.01", at=after(60))),
    ]
    book.commit([Page(entries=[e], rows=apply(state, e)) for e in told], now=AT)
    yield make_ports(tmp_path / "root", book=book, clock=FixedClock(after(90)))
    book.close()


def run(ports: FakePorts, *words: str) -> Any:
    return ledger.run(ports, arguments(ledger.STEP, *words), no_tick)  # type: ignore[arg-type]


def test_positions_lots_and_trades(ports: FakePorts) -> None:
    (held,) = run(ports, "positions").values["positions"]
    assert (held["symbol"], held["qty"], held["average_cost_usd"]) == ("AAPL", "40", "50")
    assert run(ports, "positions", "--account", "other").values["positions"] == []
    assert [lot["lot_id"] for lot in run(ports, "lots", "--open").values["lots"]] == ["o"]
    assert run(ports, "lots").rows == 3
    trades = run(ports, "trades", "--limit", "9").values["trades"]
    assert {trade["outcome"] for trade in trades} == {"stop", "fill"}
    assert len(trades[0]) == 30


def test_export_writes_the_same_bytes_again(ports: FakePorts, tmp_path: Path) -> None:
    first = run(ports, "export").objects
    assert sorted(first) == ["ledger/book.json", "ledger/closed.csv", "ledger/trades.csv"]
    assert run(ports, "export").objects == first
    told = json.loads(ports.store.get("ledger/book.json"))
    assert told["journal"]["seq"] == 11
    assert [row["qty"] for row in told["positions"]] == ["40"]
    closed = list(csv.reader(io.StringIO(ports.store.get("ledger/closed.csv").decode())))
    assert len(closed[0]) == 24
    assert [row[closed[0].index("pnl_usd")] for row in closed[1:]] == ["-503"]
    short = list(csv.reader(io.StringIO(ports.store.get("ledger/trades.csv").decode())))
    assert short[0][:4] == ["created_at", "symbol", "side", "qty"]
    assert len(short) == 3
    out = tmp_path / "closed.csv"
    run(ports, "export", "--format", "closed", "--output", str(out))
    assert out.read_bytes() == ports.store.get("ledger/closed.csv")
    with pytest.raises(UsageError, match="one format"):
        run(ports, "export", "--output", str(out))


def test_verify_finds_a_row_that_was_changed_by_hand(ports: FakePorts, tmp_path: Path) -> None:
    good = run(ports, "verify")
    assert (good.exit_code, good.values["differences"]) == (0, [])
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE positions SET qty = '400'")
    engine.dispose()
    bad = run(ports, "verify")
    assert bad.exit_code == 65
    assert "1 rows of the tables tell otherwise" in bad.error
    assert bad.values["differences"] == [
        f"positions {ACCOUNT}/{AAPL.con_id}: qty '400', journal '40'"
    ]
    found = compare([row.entry for row in ports.book.journal()], ports.book.rows)
    noted = entries.event(AT, kind="ERROR", severity="WARNING", name="repaired", message="")
    rows = [*apply(load(ports.book, at=AT), noted), *(each.repair for each in found)]
    ports.book.commit([Page(entries=[noted], rows=rows)], now=AT)
    assert run(ports, "verify").exit_code == 0


def test_adjust_is_signed_once_and_needs_the_lease(ports: FakePorts) -> None:
    words = ["adjust", "--symbol", "aapl", "--qty", "-10", "--by", "ann", "--note", "gift"]
    assert run(ports, *words, "--dry-run").rows == 1
    holder = ports.book.acquire(lease_name(ACCOUNT), holder="executor", ttl_s=15, now=AT)
    with pytest.raises(RefusedError, match="held by executor"):
        run(ports, *words)
    ports.book.release(holder)
    assert run(ports, *words).values["already"] == 0
    assert run(ports, *words).values["already"] == 1
    assert run(ports, "positions").values["positions"][0]["qty"] == "30"
    assert run(ports, "verify").exit_code == 0
    (row,) = ports.book.rows("adjustments")
    assert (row["by"], row["note"], row["qty"]) == ("ann", "gift", "-10")


def test_adjust_of_a_simulated_day_stays_on_it(ports: FakePorts) -> None:
    """The machine's date would be a later day, which the next start refuses (ADR 0080)."""
    at = after(120)
    owned = {"owner": f"ib, account {ACCOUNT}", "clock": "gateway"}
    boot = entries.boot(at, boot_id="b", lease_token=1, mode="paper", account=ACCOUNT, **owned)
    ports.book.commit([Page(entries=[boot], rows=apply(BookState(), boot))], now=at)
    ports.clock = FixedClock(after(400 * 86_400))
    words = ["adjust", "--symbol", "AAPL", "--qty", "-10", "--by", "ann", "--note", "gift"]
    run(ports, *words)
    (row,) = ports.book.rows("adjustments")
    assert row["at"] == instant_text(at)
    assert run(ports, "verify").exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--symbol", "AAPL", "--qty", "5", "--by", "ann"], "needs --note"),
        (["--symbol", "AAPL", "--qty", "x", "--by", "ann", "--note", "n"], "--qty x: a number"),
        (["--symbol", "AAPL", "--qty", "0", "--by", "ann", "--note", "n"], "--qty is not 0"),
        (["--symbol", "XYZ", "--qty", "5", "--by", "ann", "--note", "n"], "add --con-id NUMBER"),
    ],
)
def test_adjust_says_what_is_missing(ports: FakePorts, words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(ports, "adjust", *words)


@pytest.mark.parametrize(
    "told",
    [
        {"AAPL": {"quantity": 7, "entry_price": 101.25, "side": "short"}},
        {"positions": [{"symbol": "aapl", "shares": -7, "avg_price": "101.25"}]},
        [{"ticker": "AAPL", "qty": -7, "average_cost": 101.25, "con_id": AAPL.con_id}],
    ],
)
def test_import_reads_positions_of_older_programs(
    ports: FakePorts, tmp_path: Path, told: object
) -> None:
    file = tmp_path / "positions.json"
    file.write_text(json.dumps(told))
    words = ["import", "--file", str(file), "--by", "ann", "--note", "moved"]
    assert run(ports, *words).rows == 1
    assert run(ports, *words).values["already"] == 1
    assert run(ports, "positions").values["positions"][0]["qty"] == "33"
    (trade,) = ports.book.rows("trades", where={"signal_id": "open"})
    assert trade["pnl_usd"] == "358.75"  # 7 * (101.25 - 50)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[{", "no JSON"),
        ('"AAPL"', "neither a list"),
        ("[7]", "every position is an object"),
        ('[{"qty": 1}]', "position 1 has no symbol"),
        ('[{"symbol": "AAPL", "qty": "many", "entry_price": 1}]', "quantity is 'many'"),
        ('[{"symbol": "AAPL", "qty": 1, "entry_price": NaN}]', "number is needed"),
        ('[{"symbol": "AAPL", "qty": 1, "entry_price": 0}]', "cannot be"),
        ('[{"symbol": "NEW", "qty": 1, "entry_price": 1}]', "add con_id to the file"),
        (
            '[{"symbol": "AAPL", "qty": 1, "entry_price": 1},'
            ' {"symbol": "AAPL", "qty": 2, "entry_price": 1}]',
            "stands there twice",
        ),
    ],
)
def test_import_refuses_a_file_whole(
    ports: FakePorts, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "positions.json"
    file.write_text(text)
    with pytest.raises(DataError, match=says):
        run(ports, "import", "--file", str(file), "--by", "ann", "--note", "n")
    assert ports.book.rows("adjustments") == []
