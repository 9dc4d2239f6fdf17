"""The book on the command line; it reads state directly, so it works while the executor is off."""

import argparse
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bft.domain.errors import DataError, UsageError
from bft.domain.journal import JournalRow, lease_name
from bft.domain.numbers import COUNT
from bft.domain.orders import Contract
from bft.ledger import entries, export, imports
from bft.ledger.fold import apply
from bft.ledger.load import load
from bft.ledger.records import Adjustment
from bft.ledger.state import BookState
from bft.ledger.verify import compare
from bft.ports import Page, Ports, Step, Summary, Tick

LEASE_TTL_S = 15.0  # executor specification, section 3
SHOWN = 20
FOLDER = "ledger"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft ledger`."""
    parser.add_argument("action", choices=sorted(_ACTIONS), help="what to do with the book")
    parser.add_argument("--account", help="of rows, of an import or adjustment (the only one)")
    parser.add_argument("--limit", type=COUNT, default=50, help="newest trades shown (50)")
    parser.add_argument("--open", action="store_true", help="lots: only what is still held")
    parser.add_argument("--format", choices=("json", "csv", "closed"), help="export: one of them")
    parser.add_argument("--output", metavar="FILE", help="export: to a file (ledger/ in the root)")
    parser.add_argument("--file", metavar="FILE", help="import: positions.json to read")
    parser.add_argument("--symbol", help="adjust: of a known contract")
    parser.add_argument("--con-id", type=COUNT, help="adjust: where the symbol alone is not enough")
    parser.add_argument("--qty", help="adjust: units to add, negative to take away")
    parser.add_argument("--price", help="adjust: per unit (the average cost: nothing is realised)")
    parser.add_argument("--by", help="adjust, import: who signs")
    parser.add_argument("--note", help="adjust, import: why")
    parser.add_argument("--dry-run", action="store_true", help="adjust, import: change nothing")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Show, export, check or change the book.

    Raises:
        DataError: the journal is broken, the tables tell otherwise, or a file does not fit.
        RefusedError: import or adjust while an executor holds the account.
        UsageError: an option is missing.
    """
    return _ACTIONS[args.action](ports, args, tick)


def _positions(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    return _shown("positions", ports.book.rows("positions", where=_where(args)))


def _lots(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    where = _where(args) | ({"closed_at": None} if args.open else {})
    return _shown("lots", ports.book.rows("lots", where=where))


def _trades(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    rows = ports.book.rows("trades", where=_where(args), limit=args.limit, newest_first=True)
    return _shown("trades", [export.trade_row(row) for row in rows])


def _export(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    trades = ports.book.rows("trades", where=_where(args))
    trades.sort(key=lambda row: (row["created_at"], row["id"]))
    wanted = [args.format] if args.format else list(_FILES)
    if args.output and len(wanted) > 1:
        raise UsageError("--output takes one format; add --format json, csv or closed")
    objects = {}
    for name in wanted:
        text = _text(ports, args, name, trades)
        if args.output:
            _write(Path(args.output), text)
            return Summary(values={"files": [args.output]}, rows=len(trades))
        key = f"{FOLDER}/{_FILES[name]}"
        objects[key] = ports.store.put(key, text.encode())
    return Summary(values={"files": sorted(objects)}, rows=len(trades), objects=objects)


_FILES = {"json": "book.json", "csv": "trades.csv", "closed": "closed.csv"}


def _text(
    ports: Ports, args: argparse.Namespace, name: str, trades: Sequence[Mapping[str, Any]]
) -> str:
    if name == "json":
        return _book_json(ports, args, trades)
    return export.trades_csv(trades) if name == "csv" else export.closed_csv(trades)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error


def _book_json(ports: Ports, args: argparse.Namespace, trades: Sequence[Mapping[str, Any]]) -> str:
    last = ports.book.verify_chain()
    tables = {
        name: ports.book.rows(name, where=_where(args))
        for name in ("positions", "lots", "executions", "adjustments")
    }
    tables["denials"] = ports.book.rows("denials")
    tables["lapsed"] = [
        {"intent_id": name, "at": row.entry.at.isoformat(), "reason": row.entry.body["reason"]}
        for row in ports.book.journal()
        if row.entry.kind == "lapsed"
        for name in row.entry.body["intent_ids"]
    ]
    log = [export.trade_row(row) for row in trades]
    seq, digest = (last.seq, last.hash) if last else (0, "")
    return export.book_json({**tables, "trades": log}, seq=seq, digest=digest)


def _verify(ports: Ports, _args: argparse.Namespace, tick: Tick) -> Summary:
    tick(0, 2, "chain")
    last = ports.book.verify_chain()
    tick(1, 2, "replay")
    told = (row.entry for row in ports.book.journal())
    found = [str(difference) for difference in compare(told, ports.book.rows)]
    values: dict[str, Any] = {"journal_rows": last.seq if last else 0}
    values |= {"hash": last.hash if last else None, "differences": found[:SHOWN]}
    error = None
    if found:
        error = (
            f"{len(found)} rows of the tables tell otherwise than the journal, first: {found[0]}; "
            "keep a copy of the database, then ask why before trading on"
        )
    return Summary(values=values, rows=len(found), exit_code=65 if found else 0, error=error)


def _import(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    path = Path(_given(args, "file"))
    try:
        told = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise UsageError(f"--file {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: no JSON: {error}") from error
    state = _state(ports)
    signed = _signature(ports, args, state)
    return _change(ports, args, imports.read_positions(told, signed, _contracts(state)))


def _adjust(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    state = _state(ports)
    signed = _signature(ports, args, state)
    qty = _decimal("--qty", _given(args, "qty"))
    price = None if args.price is None else _decimal("--price", args.price)
    if qty == 0 or (price is not None and price <= 0):
        raise UsageError("--qty is not 0, and --price above 0")
    change = imports.adjustment(signed, _contract(args, state), qty=qty, price_usd=price)
    return _change(ports, args, [change])


def _change(ports: Ports, args: argparse.Namespace, changes: Sequence[Adjustment]) -> Summary:
    """Commit adjustments under the account's lease: no executor's memory may go stale."""
    if not changes:
        return _changed([], changes, args)
    if args.dry_run:
        return _changed(_new(_state(ports), changes), changes, args)
    holder = f"bft ledger, pid {os.getpid()} on {socket.gethostname()}"
    name, now = lease_name(changes[0].account), ports.clock.now()
    lease = ports.book.acquire(name, holder=holder, ttl_s=LEASE_TTL_S, now=now)
    try:
        state = _state(ports)
        new = _new(state, changes)
        told = [entries.adjustment(change) for change in new]
        pages = [Page(entries=[entry], rows=apply(state, entry)) for entry in told]
        ports.book.commit(pages, lease=lease, now=ports.clock.now())
    finally:
        ports.book.release(lease)
    return _changed(new, changes, args)


def _new(state: BookState, changes: Sequence[Adjustment]) -> list[Adjustment]:
    return [change for change in changes if change.adjustment_id not in state.adjustments]


def _changed(
    new: Sequence[Adjustment], asked: Sequence[Adjustment], args: argparse.Namespace
) -> Summary:
    shown = [{"symbol": c.contract.symbol, "qty": str(c.qty), "id": c.adjustment_id} for c in new]
    values = {"adjustments": shown, "already": len(asked) - len(new), "dry_run": args.dry_run}
    return Summary(values=values, rows=len(new))


def _migrate(ports: Ports, _args: argparse.Namespace, _tick: Tick) -> Summary:
    return Summary(values={"migrations": ports.migrate_book()})


_ACTIONS: Mapping[str, Callable[[Ports, argparse.Namespace, Tick], Summary]] = {
    "positions": _positions,
    "lots": _lots,
    "trades": _trades,
    "export": _export,
    "import": _import,
    "verify": _verify,
    "adjust": _adjust,
    "migrate": _migrate,
}


def _where(args: argparse.Namespace) -> dict[str, object]:
    return {"account": args.account} if args.account else {}


def _shown(name: str, rows: Sequence[Mapping[str, Any]]) -> Summary:
    return Summary(values={name: list(rows)}, rows=len(rows))


def _given(args: argparse.Namespace, name: str) -> str:
    value = getattr(args, name)
    if not value:
        raise UsageError(f"bft ledger {args.action} needs --{name.replace('_', '-')}")
    return str(value)


def _decimal(option: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise UsageError(f"{option} {text}: a number such as -100 or 12.5")
    return value


def _state(ports: Ports) -> BookState:
    last: JournalRow | None = ports.book.verify_chain()
    return load(ports.book, at=last.entry.at if last else None)


def _signature(ports: Ports, args: argparse.Namespace, state: BookState) -> imports.Signature:
    known = sorted({key[0] for key in state.lines} | {i.account for i in state.intents.values()})
    if not args.account and len(known) != 1:
        have = ", ".join(known) or "none"
        raise UsageError(f"--account: say which; the book knows {have}")
    return imports.Signature(
        account=args.account or known[0],
        by=_given(args, "by"),
        note=_given(args, "note"),
        at=_instant(ports, state),
    )


def _instant(ports: Ports, state: BookState) -> datetime:
    """Now by the book's own clock: a simulated one stands at its newest entry."""
    last = ports.book.verify_chain(newest=1)
    return last.entry.at if last and state.clock != "system" else ports.clock.now()


def _contracts(state: BookState) -> dict[str, Contract]:
    known = [line.contract for line in state.lines.values()]
    return {contract.symbol: contract for contract in (*state.contracts.values(), *known)}


def _contract(args: argparse.Namespace, state: BookState) -> Contract:
    symbol = _given(args, "symbol").upper()
    held = [line.contract for line in state.lines.values()]
    fit = {c.con_id: c for c in (*state.contracts.values(), *held) if c.symbol == symbol}
    if args.con_id is not None:
        return fit.get(args.con_id) or Contract(con_id=args.con_id, symbol=symbol)
    if len(fit) != 1:
        raise UsageError(
            f"--symbol {symbol}: {len(fit)} contracts are known; add --con-id "
            f"{' or '.join(str(con_id) for con_id in sorted(fit)) or 'NUMBER'}"
        )
    return next(iter(fit.values()))


STEP = Step(
    effect="once",
    summary="the executor's book: show, export, check, adjust",
    arguments=arguments,
    run=run,
    reads=("journal", "positions", "lots", "trades"),
    writes=("journal",),
    outputs={
        "positions": "rows",
        "lots": "rows",
        "trades": "the newest, 30 columns; stop_price and target_price as planned before the fill, "
        "outcome null: the entry works, fill: open",
        "files": "what export wrote",
        "differences": "between journal and tables",
        "adjustments": "made now",
    },
    code=("steps.ledger", "ledger"),
    effects={
        "positions": "pure",
        "lots": "pure",
        "trades": "pure",
        "verify": "pure",
        "export": "replace",
    },
)
