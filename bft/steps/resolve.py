"""Settle an order that nobody knows about, by what a person found out; or say which there are.

Source: executor specification, sections 1.1 and 3 (evidence for an UNKNOWN order).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bft.domain.advice import rooted
from bft.domain.errors import UsageError
from bft.domain.orders import RESOLVED
from bft.ports import ExecutorApi, Ports, Step, Summary, Tick
from bft.steps.asking import add_api, answer, own

Order = Mapping[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft resolve`."""
    add = parser.add_argument
    add("id", nargs="?", help="of the order; none: list those that are UNKNOWN")
    add("--state", choices=[str(state) for state in RESOLVED], help="what it is")
    add("--evidence", metavar="TEXT", help="what showed it: the broker's window, a statement")
    add("--note", default="", help="for the record")
    add_api(parser)


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Settle one order; executions that come later still count, and the symbol's halt stays.

    Raises:
        UsageError: no such order, or state and evidence are not both given.
        RefusedError: the order is not UNKNOWN, the token is no admin's, or the root is another.
        UnavailableError: no executor answers.
    """
    api = own(ports, args.api_url)
    resolved = _resolve(api, args) if args.id else None
    told: list[Order] = answer(api.ask("GET", "/v1/reconcile/unknown"))["orders"]
    if not args.json:
        _say(resolved, told, args.root)
    return Summary(values={"resolved": resolved, "unknown": told}, rows=len(told))


def _resolve(api: ExecutorApi, args: argparse.Namespace) -> Order:
    if not args.state or not args.evidence:
        states = ", ".join(RESOLVED)
        raise UsageError(f"bft resolve {args.id}: give --state ({states}) and --evidence TEXT")
    body = {
        "state": args.state,
        "evidence": args.evidence[:500],
        "note": args.note[:2000],
        "confirm": args.id,
    }
    path = f"/v1/orders/{quote(args.id, safe='')}/resolve"
    found: Order = answer(api.ask("POST", path, body=body))
    return found


def _say(resolved: Order | None, told: Sequence[Order], root: str | None) -> None:
    write = sys.stderr.write
    if resolved:
        write(f"{resolved['id']} {resolved['symbol']} is {resolved['state']} now\n")
        write(rooted("its symbol's halt stays until: bft resume", root) + "\n")
    elif not told:
        write("no order is UNKNOWN\n")
    for order in told:
        write(rooted(str(order["awaited"]), root) + "\n")


STEP = Step(
    effect="once",
    summary="Settle an UNKNOWN order by evidence (admin); without an id, list them.",
    arguments=arguments,
    run=run,
    writes=("orders of the executor",),
    outputs={"resolved": "the order that was settled", "unknown": "those that are UNKNOWN still"},
    settings=("api_url",),
    code=("steps.resolve",),
)
