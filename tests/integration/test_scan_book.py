"""What is held or pending counts, and leaves by rule, whichever strategies are scanned."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, no_tick
from panels import ASOF, forecast, table, wavy

from bft.domain import sessions
from bft.ports import Reply, Summary
from bft.steps import rank, record, scan

FALLEN = {"adjusted_close": 94.0, "rsi_14": 28.0, "bollinger_bands_signal": 1}
RECOVERED = {"rsi_14": 61.0}
BANDS = ("--strategies", "bollinger")


@pytest.fixture
def night(ports: FakePorts) -> FakePorts:
    """AAA and BBB have fallen to their band; CCC, of AAA's sector, has recovered."""
    rows = [
        *wavy("AAA", seed=1, **FALLEN),
        *wavy("BBB", seed=2, sector="UTILITIES", **FALLEN),
        *wavy("CCC", seed=3, **RECOVERED),
    ]
    ports.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    none = table("forecasts", [forecast(symbol) for symbol in ("AAA", "BBB", "CCC")])
    ports.store.publish("forecasts", asof=ASOF, partitions={"p": none})
    return ports


class Executor:
    """An ExecutorApi with orders that work and nothing held."""

    url = "http://executor"

    def __init__(self, *orders: dict[str, Any], equity: str | None = None) -> None:
        self._orders, self._equity = list(orders), equity

    def ask(self, _method: str, _path: str, *, params: Any = None, **_: Any) -> Reply:
        working = self._orders if (params or {}).get("status") == "SUBMITTED" else []
        body = {"mode": "paper", "positions": [], "cooldowns": [], "orders": working}
        body["equity_usd"] = self._equity
        return Reply(status=200, body=body)


def order(symbol: str, **changes: Any) -> dict[str, Any]:
    """An entry of 150 units at 100 USD that works."""
    return {
        "signal_id": f"of-{symbol}",
        "symbol": symbol,
        "underlying": symbol,
        "sec_type": "STK",
        "strategy_id": "manual",
        "quantity": 150,
        "filled_quantity": 0,
        "price": "100",
        **changes,
    }


def held(symbol: str, strategy_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "direction": "long",
        "strategy_id": strategy_id,
        "held_days": 9,
        **changes,
    }


def run(ports: FakePorts, *words: str, book: Path | None = None) -> Summary:
    where = ("--positions", str(book) if book else "executor")
    return scan.STEP.run(ports, arguments(scan.STEP, *words, *where, asof=ASOF), no_tick)


def rows_of(ports: FakePorts) -> dict[tuple[str, str], tuple[str, str | None]]:
    rows = ports.store.read("signals", asof=ASOF).to_pylist()
    return {(row["symbol"], row["kind"]): (row["tag"], row["tag_reason"]) for row in rows}


def written(tmp_path: Path, **body: Any) -> Path:
    file = tmp_path / "book.json"
    file.write_text(json.dumps(body))
    return file


def test_position_leaves_by_rule_though_its_strategy_is_not_scanned(
    night: FakePorts, tmp_path: Path
) -> None:
    """low_bounce leaves at RSI 60; scanning bollinger alone left its position without a rule."""
    summary = run(night, *BANDS, book=written(tmp_path, held=[held("CCC", "low_bounce")]))
    assert rows_of(night)["CCC", "exit"] == ("execute", None)
    assert summary.values["signals"] == {"bollinger": 2, "low_bounce": 1}
    assert summary.values["strategies"]["run"] == ["bollinger"]


def test_strategy_that_is_off_opens_nothing(night: FakePorts, tmp_path: Path) -> None:
    """oversold_bounce would enter AAA; it holds CCC and is not scanned."""
    run(night, *BANDS, book=written(tmp_path, held=[held("CCC", "oversold_bounce")]))
    rows = night.store.read("signals", asof=ASOF).to_pylist()
    told = {(row["strategy_id"], row["kind"]) for row in rows}
    assert told == {("bollinger", "entry"), ("oversold_bounce", "exit")}


def test_parameter_of_a_strategy_that_is_off_goes_for_its_exits(
    night: FakePorts, tmp_path: Path
) -> None:
    book = written(tmp_path, held=[held("CCC", "low_bounce")])
    run(night, *BANDS, "--param", "low_bounce.rsi_exit=62", book=book)
    assert ("CCC", "exit") not in rows_of(night)


def test_position_that_no_rule_can_leave_is_counted(night: FakePorts, tmp_path: Path) -> None:
    """Somebody's own, and one of a symbol without a row."""
    book = written(tmp_path, held=[held("CCC", "manual"), held("ZZZ", "low_bounce")])
    skipped = run(night, *BANDS, book=book).skipped
    assert (skipped["held_without_rule"], skipped["held_without_row"]) == (1, 1)


def test_position_of_a_strategy_that_is_off_fills_a_place_and_its_sector(
    night: FakePorts, tmp_path: Path
) -> None:
    """CCC is worth 25,000 of 100,000 in the sector; 75 more shares of 94 are beyond 30 %."""
    rich = written(tmp_path, held=[held("CCC", "low_bounce", value_usd=25_000.0)])
    run(night, *BANDS, book=rich)
    assert rows_of(night)["AAA", "entry"] == ("watch", "sector")
    run(night, *BANDS, "--param", "bollinger.max_positions=1", book=rich)
    assert rows_of(night)["BBB", "entry"] == ("watch", "max_positions")


@pytest.mark.parametrize(
    ("quantity", "filled", "tag"),
    [
        (260, 0, ("watch", "sector")),  # 26,000 and 75 x 94 of AAA: 0.5 % of 100,000 over 7 % of 94
        (260, 100, ("execute", None)),  # 16,000 wait; the filled 100 are no more pending
    ],
)
def test_pending_entry_counts_in_its_sector_with_its_size(
    night: FakePorts, quantity: int, filled: int, tag: tuple[str, str | None]
) -> None:
    """It counted as nothing, at a close not even as a place."""
    night.api = Executor(order("CCC", quantity=quantity, filled_quantity=filled))
    run(night, *BANDS)
    assert rows_of(night)["AAA", "entry"] == tag


def test_sector_is_capped_by_the_equity_of_the_account(night: FakePorts) -> None:
    """30 % of 200,000 hold 26,000 and twice the shares; it was 30 % of 100,000 for everybody."""
    night.api = Executor(order("CCC", quantity=260), equity="200000")
    summary = run(night, *BANDS)
    assert rows_of(night)["AAA", "entry"] == ("execute", None)
    assert summary.values["equity_usd"] == 200_000.0
    run(night, *BANDS, "--equity", "100000")
    assert rows_of(night)["AAA", "entry"] == ("watch", "sector")


def recorded(ports: FakePorts, verb: str, step: Any, *words: str) -> Summary:
    args = arguments(step.STEP, "--strategies", "bollinger", *words, asof=ASOF)
    return record.execute(ports, verb, step.STEP, args, no_tick)


def test_rank_sizes_by_the_equity_of_its_scan(night: FakePorts) -> None:
    """0.5 % of it over the stop, 7 % of 94: 2 units at 3,000 USD; rank named 75, of 100,000."""
    account = ("--positions", "executor")
    night.api = Executor(equity="3000")
    recorded(night, "scan", scan, *account)
    assert recorded(night, "rank", rank).values["equity_usd"] == 3_000.0
    assert set(night.store.read("picks", asof=ASOF)["qty"].to_pylist()) == {2}
    night.api = Executor(equity="6000")
    recorded(night, "scan", scan, *account)
    assert "cached" not in recorded(night, "rank", rank).values
    assert set(night.store.read("picks", asof=ASOF)["qty"].to_pylist()) == {4}
    recorded(night, "rank", rank, "--equity", "100000")
    assert set(night.store.read("picks", asof=ASOF)["qty"].to_pylist()) == {75}


def test_universe_is_sized_by_the_equity_of_the_scan(night: FakePorts) -> None:
    def quantities() -> list[int]:
        recorded(night, "rank", rank, "--from", "universe")
        return [int(qty) for qty in night.store.read("picks", asof=ASOF)["qty"].to_pylist()]

    nominal = quantities()
    recorded(night, "scan", scan, "--equity", "50000")
    assert all(0 < half <= full / 2 for half, full in zip(quantities(), nominal, strict=True))


def test_pending_entry_at_the_market_counts_at_the_last_close(night: FakePorts) -> None:
    night.api = Executor(order("CCC", quantity=260, price=None))  # closes at 100
    run(night, *BANDS)
    assert rows_of(night)["AAA", "entry"] == ("watch", "sector")


def test_pending_entry_of_anybody_takes_its_symbol_and_a_place(night: FakePorts) -> None:
    night.api = Executor(order("AAA", quantity=1))
    run(night, *BANDS)
    assert rows_of(night)["AAA", "entry"] == ("watch", "held_or_pending")
    run(night, *BANDS, "--param", "bollinger.max_positions=1")
    assert rows_of(night)["BBB", "entry"] == ("watch", "max_positions")


def test_entry_of_tonight_that_was_sent_is_not_pending_beside_itself(night: FakePorts) -> None:
    """The scan again after the orders of its first run: the same content."""
    night.api = Executor()
    first = run(night, *BANDS).objects
    sent = night.store.read("signals", asof=ASOF).to_pylist()
    night.api = Executor(*(order(row["symbol"], signal_id=row["signal_id"]) for row in sent))
    assert run(night, *BANDS).objects == first


def test_ids_of_pending_entries_are_known_by_their_stored_signals(
    night: FakePorts, tmp_path: Path
) -> None:
    """A file tells ids alone: an entry of the session before, with the size planned for it."""
    before = sessions.shift(ASOF, -1)
    rows = wavy("CCC", seed=3, days=69, asof=before, **FALLEN)
    night.store.publish("gold", asof=before, partitions={"all": table("gold", rows)})
    scan.STEP.run(night, arguments(scan.STEP, *BANDS, asof=before), no_tick)
    (waiting,) = night.store.read("signals", asof=before).to_pylist()
    rows = [*wavy("AAA", seed=1, **FALLEN), *wavy("CCC", seed=3, days=70)]
    night.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    words = (*BANDS, "--param", "bollinger.max_positions=1")
    run(night, *words, book=written(tmp_path, pending=[waiting["signal_id"]]))
    assert rows_of(night)["AAA", "entry"] == ("watch", "max_positions")
