"""Close positions: what a person names, what is due before the close; reconcile after it.

Source: executor specification, sections 1.1, 6 and 10; platform specification, section 1.4.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from bft.domain.errors import UnavailableError, UsageError
from bft.domain.numbers import AT_LEAST_0, COUNT
from bft.ports import ExecutorApi, Ports, Step, Summary, Tick
from bft.steps.arguments import day
from bft.steps.asking import about, add_api, add_mode, answer, connect
from bft.steps.close_foreseen import Key, foreseen, meant, names_of, pending, still
from bft.steps.close_wait import CLOSING_STATES, LOOK_S, Asked, Waiting, positions

GONE = 404
OPTION = "OPT"
DAY_KEY = "ledger/days/{}.json"
Held = Mapping[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft close`."""
    add_api(parser)
    add_mode(parser)
    add = parser.add_argument
    add("--asof", dest="session", type=day, help="session of --due and --reconcile, for the record")
    add("--all", action="store_true", help="every position; needs --confirm")
    add("--symbol", nargs="+", metavar="S", help="positions in these")
    add("--qty", type=COUNT, metavar="N", help="so many units of the one --symbol, not all")
    add("--strategy", metavar="X", help="positions of this strategy")
    add("--shares", action="store_true", help="positions in shares")
    add("--options", action="store_true", help="positions in options")
    add("--due", action="store_true", help="what exit policies want flat by the close")
    add("--reconcile", action="store_true", help="compare book and broker now")
    add("--confirm", metavar="ACCOUNT", help="id of the account, for --all")
    add("--dry-run", action="store_true", help="show what would be closed")
    add("--wait", type=AT_LEAST_0, default=60, metavar="S", help="for it to be so (60)")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Ask for the closing orders, and wait until what they name is gone; 75 where it is not.

    Raises:
        RefusedError: another mode, or `--confirm` is not the account.
        UnavailableError: no executor.
        UsageError: nothing is named, or too much.
    """
    body = _wanted(args)
    api, health = connect(ports, args)
    if args.reconcile:
        return _reconcile(ports, api, args, health)
    held = positions(api)
    bodies = _by_position(held) if args.due else [body]
    units = meant(bodies, held)
    _check_qty(args, sum(units.values()))
    if args.qty and not units:  # nothing that a part can be of: the check above has no measure
        raise UsageError(_nothing(args, held, pending(api), leaves=False))
    shown = _shown(held, units)
    values = {**about(health), **_session(args), "dry_run": args.dry_run}
    values["not_held"] = absent = _absent(api, args, body, held)
    closing = foreseen(bodies, held, pending(api)) if args.dry_run else _closed(api, bodies)
    values |= _split(shown, closing) if args.qty else {"positions": shown, "stays": []}
    if not closing and not args.due and not args.all:
        raise UsageError(_nothing(args, held, pending(api), leaves=bool(units)))
    if absent and not args.json:
        sys.stderr.write(f"no position and no pending entry of {', '.join(absent)}\n")
    if args.dry_run:
        return Summary(values={**values, "closing": closing, "left": len(shown)}, rows=len(closing))
    _say_why_not(health, closing, quiet=args.json or not closing)
    if not args.json:
        for item in closing:
            sys.stderr.write(f"{item['what']:<12}  {item['quantity']} {item['symbol']}\n")
    asked = Asked.of(closing, () if args.qty else units)
    left = Waiting(api, tick).until(asked, args.wait if closing else 0.0)
    return Summary(
        values={**values, "closing": closing, "left": len(left.units) + len(left.entries)},
        rows=len(closing),
        exit_code=75 if left else 0,
        error=left.told() if left else None,
    )


def _wanted(args: argparse.Namespace) -> dict[str, Any]:
    """The body of what is named; empty for `--due` and `--reconcile`."""
    if args.shares and args.options:
        raise UsageError("--shares and --options together are --all")
    chosen = bool(args.symbol or args.strategy or args.shares or args.options)
    if args.qty and (not args.symbol or len(args.symbol) != 1):
        raise UsageError("--qty: of which one --symbol")
    if args.all + args.due + args.reconcile + chosen != 1:
        raise UsageError(
            "name one of --all, --symbol (--strategy, --shares, --options), --due, --reconcile"
        )
    if args.all:
        if not args.confirm and not args.dry_run:
            raise UsageError("--all needs --confirm ACCOUNT, the whole id of the account")
        return {"all": True, "confirm": args.confirm}
    body = {
        "symbols": [symbol.upper() for symbol in args.symbol] if args.symbol else None,
        "strategy": args.strategy,
        "instrument": "stock" if args.shares else "option" if args.options else None,
        "quantity": args.qty,
    }
    return {name: value for name, value in body.items() if value is not None}


def _check_qty(args: argparse.Namespace, units: int) -> None:
    """A part is a part: a zero too many must not sell all."""
    if args.qty and args.qty > units > 0:
        raise UsageError(f"--qty {args.qty}: {units} are held; without --qty all of them leave")


def _shown(held: Sequence[Held], units: Mapping[Key, int]) -> list[dict[str, Any]]:
    """Positions, of each the units that are to leave."""
    found = ((row, still(units, row)) for row in held)
    return [
        {"symbol": row["symbol"], "quantity": f"{-qty if _short(row) else qty}"}
        for row, qty in found
        if qty
    ]


def _split(
    shown: Sequence[Mapping[str, str]], closing: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, str]]]:
    """Of a part: what leaves of each position, and what stays of it."""
    found: dict[str, list[dict[str, str]]] = {"positions": [], "stays": []}
    less = Counter[str]()
    for item in closing:
        less[item["symbol"]] += item["quantity"] * (item["what"] == "exit")
    for row in shown:
        units = Decimal(row["quantity"])
        leaving = min(abs(units), Decimal(less[row["symbol"]]))
        less[row["symbol"]] -= int(leaving)
        for name, qty in (("positions", leaving), ("stays", abs(units) - leaving)):
            if qty:
                told = f"{qty.copy_sign(units)}"
                found[name].append({"symbol": row["symbol"], "quantity": told})
    return found


def _short(row: Held) -> bool:
    return Decimal(row["quantity"]) < 0


def _nothing(
    args: argparse.Namespace, held: Sequence[Held], live: Sequence[Held], *, leaves: bool
) -> str:
    """What is not there, and what is."""
    kinds = {"shares": args.shares, "options": args.options}
    what = [*(args.symbol or ()), *([args.strategy] if args.strategy else ())]
    what += [name for name, asked in kinds.items() if asked]
    named = " ".join(what)
    if args.qty and leaves:
        return f"{named}: all that is held is leaving already; see bft status"
    waiting = foreseen([_wanted(args) | {"quantity": None}], (), live) if args.qty else []
    if waiting:
        units = sum(item["quantity"] for item in waiting)
        told = f"entries of {units} units are pending, a part of which cannot be closed"
        return f"{named}: no position to take {args.qty} of; {told}: without --qty they end"
    have = ", ".join(sorted({str(row["symbol"]) for row in held})) or "nothing"
    return f"{named}: no position and no pending entry of it; held: {have}"


def _say_why_not(
    health: Mapping[str, Any], closing: Sequence[Mapping[str, Any]], *, quiet: bool
) -> None:
    """Tell at once what keeps closing orders back; halts and the kill switch never do."""
    state = str(health.get("session_state"))
    if quiet:
        return
    if state not in CLOSING_STATES:
        sys.stderr.write(
            f"the broker session is {state}: nothing leaves before it is ARMED; the executor keeps "
            "the order to close\n"
        )
    elif health.get("market_opens") and any(item["what"] == "exit" for item in closing):
        sys.stderr.write(
            f"the market is closed: it fills at the open, {health['market_opens']}; the executor "
            "goes on by itself, --wait 0 does not wait\n"
        )


def _session(args: argparse.Namespace) -> dict[str, str]:
    asked: date | None = args.session
    return {"asof": str(asked)} if asked else {}


def _by_position(held: Sequence[Held]) -> list[dict[str, Any]]:
    """One body for each contract and strategy that is due; what else is held stays."""
    due = {
        (names_of(row)[0], exit_["strategy_id"], "option" if row["sec_type"] == OPTION else "stock")
        for row in held
        for exit_ in row["exits"]
        if exit_["flat_by_close"]
    }
    return [
        {"symbols": [symbol], "strategy": strategy, "instrument": instrument}
        for symbol, strategy, instrument in sorted(due)
    ]


def _absent(
    api: ExecutorApi, args: argparse.Namespace, body: Mapping[str, Any], held: Sequence[Held]
) -> list[str]:
    """Those of several named symbols of which there is nothing."""
    if len(args.symbol or ()) < 2:
        return []  # nothing of all that is named is a fault of its own
    live = pending(api)
    alone = ((symbol, {**body, "symbols": [symbol]}) for symbol in body["symbols"])
    return [symbol for symbol, one in alone if not foreseen([one], held, live)]


def _closed(api: ExecutorApi, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What leaves now; a position that was gone before its turn came is none."""
    replies = (api.ask("POST", "/v1/close", body=body) for body in bodies)
    answers = [answer(reply) for reply in replies if reply.status != GONE]
    return [item for one in answers for item in one["closing"]]


def _reconcile(
    ports: Ports, api: ExecutorApi, args: argparse.Namespace, health: Mapping[str, Any]
) -> Summary:
    """Have book and broker compared now, tell what differs, and keep the account of the day."""
    before = _last(api)
    answer(api.ask("POST", "/v1/reconcile"))
    end = time.monotonic() + args.wait
    while (found := _last(api)) == before or found is None:
        if time.monotonic() >= end:
            raise UnavailableError(f"no reconciliation within {args.wait:g} s; see bft status")
        time.sleep(LOOK_S)
    kept = _keep_day(ports, api, args.session, {**about(health), "reconciliation": found})
    differences = found.get("differences") or []
    if not args.json:
        sys.stderr.write(f"{len(differences)} differences of book and broker\n")
    error = None
    if differences:
        told = (f"{d['symbol']}: book {d['book']}, broker {d['broker']}" for d in differences[:3])
        text = "; ".join(told) + ("; ..." if len(differences) > 3 else "")
        error = f"book and broker differ: {text}; see bft status and bft ledger"
    return Summary(
        values={**about(health), **_session(args), "reconciliation": found, "day": sorted(kept)},
        objects=kept,
        exit_code=77 if error else 0,
        error=error,
    )


def _keep_day(
    ports: Ports, api: ExecutorApi, session: date | None, values: dict[str, Any]
) -> dict[str, str]:
    """What the day report reads: the account, its result and positions as the day ended."""
    if session is None:
        return {}
    values["pnl"] = answer(api.ask("GET", "/v1/pnl/daily"))
    values["positions"] = positions(api)
    key = DAY_KEY.format(session)
    text = json.dumps(values, indent=1, sort_keys=True) + "\n"
    return {key: ports.store.put(key, text.encode())}


def _last(api: ExecutorApi) -> dict[str, Any] | None:
    found: dict[str, Any] | None = answer(api.ask("GET", "/v1/reconcile/last"))["result"]
    return found


STEP = Step(
    effect="once",
    summary="Close positions through the executor; --due before the close, --reconcile after.",
    arguments=arguments,
    run=run,
    writes=("orders of the executor", "ledger/days"),
    outputs={
        "mode": "paper or live, as the executor says",
        "positions": "what was meant; with --qty the part that leaves",
        "stays": "what --qty leaves of them",
        "not_held": "named symbols of which there is neither position nor pending entry",
        "closing": "orders that close, entries that are cancelled",
        "left": "symbols and entries of what was meant still there",
        "reconciliation": "the newest comparison of book and broker",
        "day": "what the day report will read",
    },
    settings=("api_url",),
    code=("steps.close", "steps.close_foreseen", "steps.close_wait"),
)
