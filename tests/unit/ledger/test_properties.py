"""What holds for any life of a book: cash is conserved, order of arrival does not matter."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, CALL, FACTS, MemoryTables, booked, bracket_orders, fill, intent
from hypothesis import given, settings
from hypothesis import strategies as st

from bft.domain.journal import Entry
from bft.domain.orders import Contract, Execution, IntentState, Leg, Reason, Side
from bft.ledger import entries
from bft.ledger.fold import apply, replay
from bft.ledger.load import load
from bft.ledger.records import Adjustment, Bracket, Cooldown, Halt
from bft.ledger.state import BookState
from bft.ledger.verify import compare, rows_of

ZERO = Decimal(0)
PRICES = st.decimals("0.01", "900", places=4)
FEES = st.decimals("0", "9", places=3)
CONTRACTS = st.sampled_from([AAPL, CALL])


@st.composite
def fills(draw: st.DrawFn) -> list[Execution]:
    """Fills by hand in two contracts, long and short, some within one second."""
    made = []
    for n in range(draw(st.integers(1, 14))):
        at = AT + timedelta(seconds=draw(st.integers(0, 20)))
        one = fill(
            None,
            draw(st.integers(1, 60)),
            str(draw(PRICES)),
            id=f"e{n:02d}.01",
            at=at,
            side=draw(st.sampled_from(Side)),
            contract=draw(CONTRACTS),
            fee_usd=draw(FEES),
        )
        made.append(one)
    return made


@settings(max_examples=60, deadline=None)
@given(fills())
def test_cash_and_cost_are_conserved_to_the_last_digit(made: list[Execution]) -> None:
    state = replay([booked(execution) for execution in made])
    for contract in (AAPL, CALL):
        told = [execution for execution in made if execution.contract == contract]
        paid = sum((_cash(execution) for execution in told), ZERO)
        lots = [lot for lot in state.lots.values() if lot.con_id == contract.con_id]
        realised = sum((close.pnl_usd for lot in lots for close in lot.closes), ZERO)
        held = sum((lot.direction * lot.cost_left_usd + lot.fee_left_usd for lot in lots), ZERO)
        assert realised - held == paid
        units = sum(execution.qty * execution.side.sign for execution in told)
        assert state.position_qty(ACCOUNT, contract.con_id) == units
        assert sum(lot.direction * lot.open_qty for lot in lots) == units
    day = state.limits_of("account", ACCOUNT, AT.date(), at=AT)
    closed = (close.pnl_usd for lot in state.lots.values() for close in lot.closes)
    assert day.realised_usd == sum(closed, ZERO)
    assert day.fees_usd == sum((execution.fee_usd or ZERO for execution in made), ZERO)
    assert day.realised_usd == sum((t.pnl_usd or ZERO for t in state.trades.values()), ZERO)


def _cash(execution: Execution) -> Decimal:
    spent = execution.qty * execution.price_usd * execution.contract.multiplier
    return -execution.side.sign * spent - (execution.fee_usd or ZERO)


@st.composite
def reports(draw: st.DrawFn) -> tuple[list[Entry], list[Entry]]:
    """Orders, then what the broker says of them: fills, corrections, fees and repeats."""
    entry, target, stop = bracket_orders()
    start = entries.intents(AT, intents=(entry, target, stop), facts=FACTS)
    said: list[Entry] = []
    for n in range(draw(st.integers(1, 6))):
        at = AT + timedelta(seconds=draw(st.integers(1, 9)))
        of = draw(st.sampled_from([entry, stop, target, None]))
        for revision in range(1, draw(st.integers(1, 3)) + 1):
            one = fill(
                of,
                draw(st.integers(0, 60)),
                str(draw(PRICES)),
                id=f"e{n}.{revision:02d}",
                at=at,
                fee_usd=draw(st.none() | FEES),
            )
            said.append(entries.execution(AT, execution=one))
        late = draw(st.booleans())
        if late and one.fee_usd is None:
            said.append(entries.fee(AT, exec_id=one.exec_id, fee_usd=draw(FEES)))
    repeated = said + draw(st.lists(st.sampled_from(said), max_size=4))
    return [start, *said], [start, *draw(st.permutations(repeated))]


@settings(max_examples=80, deadline=None)
@given(reports())
def test_order_and_repeats_of_reports_do_not_matter(pair: tuple[list[Entry], list[Entry]]) -> None:
    straight, shuffled = (_essence(replay(told)) for told in pair)
    assert straight == shuffled


def _essence(state: BookState) -> dict[str, Any]:
    orders = {
        name: (order.filled_qty, order.state if order.filled_qty else None)
        for name, order in state.intents.items()
    }
    counters = {place: replace(row, at=AT) for place, row in state.limits.items()}
    kept = {place: row for place, row in counters.items() if row != _empty(row)}
    return {
        "orders": orders,
        "executions": state.executions,
        "lots": state.lots,
        "positions": state.positions,
        "trades": state.trades,
        "limits": kept,
        "fees": state.fees,
    }


def _empty(row: Any) -> Any:
    return type(row)(scope=row.scope, key=row.key, trading_day=row.trading_day, at=AT)


@st.composite
def lives(draw: st.DrawFn) -> list[Entry]:
    """Weeks of orders, fills, splits, adjustments and controls, a day or more apart."""
    told: list[Entry] = [
        entries.boot(AT, boot_id="b", lease_token=3, mode="paper", account=ACCOUNT),
        entries.contract(AT, contract=AAPL),
    ]
    at = AT
    for n in range(draw(st.integers(1, 12))):
        at += timedelta(days=draw(st.sampled_from([0, 0, 1, 8, 20, 25])), seconds=60)
        told += draw(st.sampled_from(_STEPS))(n, at, draw)
    return told


def _trade(n: int, at: datetime, draw: Any) -> list[Entry]:
    contract: Contract = draw(CONTRACTS)
    entry, target, stop = bracket_orders(f"s{n}", order_id=1 + 3 * n, contract=contract)
    told = [entries.intents(at, intents=(entry, target, stop), facts=FACTS)]
    told.append(entries.sent(at, intent_ids=[entry.intent_id]))
    for part in range(draw(st.integers(0, 3))):
        leg = draw(st.sampled_from([entry, entry, stop, target]))
        when = at + timedelta(seconds=part)
        one = fill(leg, draw(st.integers(1, 100)), "10", id=f"{n}.{part}.01", at=when)
        told.append(entries.execution(when, execution=one))
        if draw(st.booleans()):
            other = replace(one, exec_id=f"{n}.{part}.02", qty=draw(st.integers(0, 9)))
            told.append(entries.execution(when, execution=other))
    if draw(st.booleans()):
        told.append(entries.fee(at, exec_id=f"{n}.0.01", fee_usd=Decimal("1.25")))
    told += _ends(told, [entry, target, stop], at, draw)
    return told


def _ends(told: list[Entry], legs: list[Any], at: datetime, draw: Any) -> list[Entry]:
    """Some orders end: the others stay open for weeks."""
    held = replay(told).intents
    unknown = [leg.intent_id for leg in legs if held[leg.intent_id].state is IntentState.RESERVED]
    reserved = [name for name in unknown if draw(st.booleans())]
    at += timedelta(seconds=9)
    return [entries.lapsed(at, intent_ids=reserved, reason="kill")] if reserved else []


def _split(n: int, at: datetime, draw: Any) -> list[Entry]:
    ratio = draw(st.sampled_from([Decimal(2), Decimal("0.5"), Decimal(4)]))
    told = _signed(n, at, ratio=ratio)
    return [entries.split(told)]


def _adjust(n: int, at: datetime, draw: Any) -> list[Entry]:
    qty = Decimal(draw(st.integers(-50, 50)))
    price = draw(st.none() | PRICES)
    return [entries.adjustment(_signed(n, at, qty=qty, price_usd=price))]


def _signed(n: int, at: datetime, **given: Any) -> Adjustment:
    common = {"account": ACCOUNT, "contract": AAPL, "by": "ann", "note": "test"}
    return Adjustment(adjustment_id=f"adj:{n}", at=at, **common, **given)  # type: ignore[arg-type]


def _controls(n: int, at: datetime, draw: Any) -> list[Entry]:
    halt = Halt(
        halt_id=f"h{n}",
        scope="account",
        key=ACCOUNT,
        rule=draw(st.sampled_from(["loss_streak", "drawdown"])),
        reason="r",
        set_by="bft",
        set_at=at,
        until=draw(st.sampled_from([None, at + timedelta(days=1)])),
    )
    bracket = Bracket(
        account=ACCOUNT,
        con_id=1,
        entry=f"e{n}",
        at=at,
        opened_at=at,
        exit_state={"stop": "9"},
        closed_at=draw(st.sampled_from([None, at])),
    )
    cooldown = Cooldown(account=ACCOUNT, symbol=f"S{n}", strategy="", until=at)
    told = [entries.halt(halt), entries.bracket(bracket), entries.cooldown(at, cooldown=cooldown)]
    told.append(entries.exit_scheduled(at, bracket=bracket, reason="time", due=at))
    if draw(st.booleans()):
        told.append(entries.resume(at, halt_id=halt.halt_id, by="ann"))
    told.append(entries.mark(at, account=ACCOUNT, con_id=AAPL.con_id, price_usd=Decimal(11)))
    told.append(
        entries.equity(
            at,
            scope=("account", ACCOUNT),
            trading_day=at.date(),
            day_start_usd=Decimal(1000),
            peak_usd=None,
        )
    )
    told.append(entries.auth_failure(at, subject="", reason="expired", remote="127.0.0.1"))
    about = {"subject": "ann", "source": "ui", "http_code": 422}
    reason = draw(st.sampled_from([Reason.VALIDATION, Reason.IN_PROGRESS]))
    told.append(
        entries.refusal(at, refusal_id=f"x{n}", told=about, reason=reason, detail="no number")
    )
    told.append(entries.kill(at, source="api", by="ann", reason="drill"))
    told.append(entries.reconciliation(at, reconciliation_id=f"r{n}", result={"differences": []}))
    return told


_STEPS = [_trade, _trade, _trade, _split, _adjust, _controls]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a life is long
@settings(max_examples=60, deadline=None)
@given(lives())
def test_replay_load_and_rows_agree(told: list[Entry]) -> None:
    live = BookState()
    for entry in told:
        apply(live, entry)
    tables = MemoryTables(told)
    assert compare(told, lambda name: list(tables.tables[name].values())) == []
    loaded = load(tables, at=told[-1].at)
    for name in BookState.__dataclass_fields__:
        assert getattr(loaded, name) == getattr(live, name), name


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=30, deadline=None)
@given(lives(), st.integers(0, 200))
def test_a_restart_anywhere_changes_nothing(told: list[Entry], cut: int) -> None:
    first, rest = told[: 1 + cut % len(told)], told[1 + cut % len(told) :]
    loaded = load(MemoryTables(first), at=first[-1].at)
    whole = replay(first)
    for entry in rest:
        assert apply(loaded, entry) == apply(whole, entry)
    assert loaded == whole


def test_rows_of_an_order_carry_every_column_of_its_table() -> None:
    entry = intent(Leg.ENTRY)
    tables = rows_of([entries.intents(AT, intents=(entry,), facts=FACTS)])
    (row,) = tables["intents"].values()
    assert row["contract"]["symbol"] == row["symbol"] == "AAPL"
    assert row["limit_price_usd"] == "100"
