"""Send a day's signals to the executor, each once.

Source: executor specification, section 10; strategies specification, section 5.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from bft.domain.errors import DataError, UnavailableError, UsageError
from bft.domain.numbers import AT_LEAST_0
from bft.domain.orders import Reason
from bft.domain.runs import FailedStep
from bft.ports import ExecutorApi, Ports, Step, Summary, Tick
from bft.steps.arguments import add_asof
from bft.steps.asking import about, add_api, add_mode, answer, connect, mode_of
from bft.steps.execute_file import read_file
from bft.steps.execute_rows import Row, one_set, stored_rows
from bft.steps.execute_send import Outcome, cancel, counts, send, totals
from bft.steps.failures import REASON, failed_steps

DROP = "drop"
LIVE_STATES = ("PENDING", "SUBMITTED", "PARTIALLY_FILLED")
SHOWN, SHOWN_SYMBOLS = 50, 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft execute`."""
    add_asof(parser)
    add_api(parser)
    add_mode(parser)
    parser.add_argument("--signals", metavar="FILE", help="a signals.csv instead of the table")
    parser.add_argument("--pct-unit", choices=("percent", "fraction"), default="percent")
    parser.add_argument("--slot", default="close", help="scan whose signals are sent (close)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent")
    parser.add_argument(
        "--wait", type=AT_LEAST_0, default=60, metavar="S", help="try passing denials again (60)"
    )


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Post exits first, then entries; what is denied only for now is posted again.

    Raises:
        DataError: no signals of asof, or a file that is wrong; nothing was sent. A failed night
            ends with the same code, its exits sent and its entries not.
        RefusedError: the executor trades in another mode, or refuses the token.
        UnavailableError: the executor or its broker is away.
    """
    rows = _rows(ports, args)
    failed = () if args.signals else failed_steps(ports.store, args.asof, before="screen")
    chosen = _Chosen.of(rows, failed, ports=ports, asof=args.asof)
    if args.dry_run or not rows:
        mode = mode_of(args)
        return _nothing_sent(args, chosen, {"mode": mode, "dry_run": args.dry_run})
    api, health = connect(ports, args)
    _announce(args, api, health, chosen)
    standing = _Standing.of(api)
    dropped = cancel(api, chosen.drops, standing.pending)
    entries, skipped = _free(chosen.entries, standing)
    tick(0, len(chosen.exits) + len(entries), "signals")
    done = send(api, [*chosen.exits, *entries], wait_s=args.wait)
    told = {**about(health), **counts(done), **dropped, "dry_run": False}
    summary = _summary(api, done, told, Counter(chosen.skipped) + skipped, quiet=args.json)
    return _with_refusal(summary, chosen.refused)


def _with_refusal(summary: Summary, refused: str | None) -> Summary:
    """A call that did its work, but for the entries of a failed night, ends with 65."""
    if refused is None or summary.exit_code:
        return summary
    return replace(summary, exit_code=DataError.exit_code, error=refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """What is sent, what is taken back, what is left alone and why."""

    exits: Sequence[Row]
    entries: Sequence[Row]
    drops: Sequence[Row]
    skipped: Mapping[str, int]
    refused: str | None = None  # why entries that were to be sent are not

    @classmethod
    def of(
        cls, rows: Sequence[Row], failed: Sequence[FailedStep], *, ports: Ports, asof: date
    ) -> "_Chosen":
        """Of a failed night no entry is sent; exits and drops are."""
        sent = [row for row in rows if row.sent]
        left = [row for row in rows if not row.sent]
        entries = [row for row in sent if not row.is_exit]
        skipped = Counter(f"tag_{row.tag}" for row in left if row.tag != DROP)
        held_back = len(entries) if failed else 0
        return cls(
            exits=[row for row in sent if row.is_exit],
            entries=[] if failed else entries,
            drops=[row for row in left if row.tag == DROP],
            skipped=skipped + Counter({REASON: held_back}),
            refused=_refused(ports, held_back, failed, asof) if held_back else None,
        )


def _refused(ports: Ports, entries: int, failed: Sequence[FailedStep], asof: date) -> str:
    told = "; ".join(one.told for one in failed)
    return (
        f"{entries} entries are not sent, the night failed: {told}; mend it, "
        f"then: bft run nightly --asof {asof} && {ports.commands.again(asof)}; exits are sent"
    )


def _rows(ports: Ports, args: argparse.Namespace) -> list[Row]:
    if args.signals:
        if args.slot != "close":
            raise UsageError("--slot is of the table, --signals is a file; give one of them")
        fractions = args.pct_unit == "fraction"
        return read_file(Path(args.signals), args.asof, fractions=fractions)
    rows = stored_rows(ports, args.asof, args.slot)
    one_set(rows, f"signals {args.asof} slot {args.slot}")
    return rows


def _nothing_sent(args: argparse.Namespace, chosen: _Chosen, values: dict[str, Any]) -> Summary:
    would = [
        {"symbol": r.body["symbol"], "side": r.body["side"], "strategy": r.body.get("strategy_id")}
        for r in (*chosen.exits, *chosen.entries)
    ]
    note = "" if would else _no_signal(args, chosen)
    if not args.json:
        sys.stderr.write(_told(would) if args.dry_run else f"0 signals, 0 sent: {note}\n")
    values["note"] = note
    summary = Summary(
        values={**values, **counts([]), "would_send": would, "would_drop": len(chosen.drops)},
        rows=0,
        skipped=chosen.skipped,
    )
    return _with_refusal(summary, chosen.refused)


def _no_signal(args: argparse.Namespace, chosen: _Chosen) -> str:
    """Why there was nothing to send; a file without a byte is no fault (specification, 15)."""
    if chosen.skipped:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(chosen.skipped.items()))
        return f"none of the signals is to be sent ({left})"
    if not args.signals:
        return f"{args.asof} has no signal, there was nothing to send"
    if Path(args.signals).stat().st_size:
        return f"{args.signals} has no row below its header line, there was nothing to send"
    text = "is empty, even without its header line, there was nothing to send"
    return f"{args.signals} {text}; was it written?"


def _told(would: Sequence[Mapping[str, Any]]) -> str:
    """A dry run asks no executor, so it cannot tell what is there already."""
    lines = [f"{len(would)} signals, would be sent"]
    lines += [f"  {row['side']:<4} {row['symbol']:<8} {row['strategy'] or ''}" for row in would]
    lines += ["those sent before are replayed, not doubled"] if would else []
    return "\n".join(map(str.rstrip, lines)) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What the executor has on: live entries (order id by signal id), signals it knows, symbols."""

    pending: Mapping[str, str]
    known: frozenset[str]
    taken: frozenset[str]

    @classmethod
    def of(cls, api: ExecutorApi) -> "_Standing":
        orders = answer(api.ask("GET", "/v1/orders", params={"limit": 1000}))["orders"]
        live = [order for order in orders if order["status"] in LIVE_STATES]
        held = answer(api.ask("GET", "/v1/positions"))["positions"]
        return cls(
            pending={order["signal_id"]: order["id"] for order in live},
            known=frozenset(order["signal_id"] for order in orders),
            taken=frozenset(row["symbol"] for row in (*live, *held)),
        )


def _free(entries: Sequence[Row], standing: _Standing) -> tuple[list[Row], Counter[str]]:
    """Entries whose symbol is neither held nor pending; a known signal may be its own reason."""
    sent, skipped = [], Counter[str]()
    for row in entries:
        ours = row.body.get("signal_id") in standing.known
        if row.body["symbol"] in standing.taken and not ours:
            skipped["held_or_pending"] += 1
        else:
            sent.append(row)
    return sent, skipped


def _announce(
    args: argparse.Namespace, api: ExecutorApi, health: Mapping[str, Any], chosen: _Chosen
) -> None:
    """Say whose money it is before the first order; in live also the limits."""
    if args.json:
        return
    kind = "simulated, " if health.get("simulated") else ""
    what = f"{len(chosen.exits)} exits, {len(chosen.entries)} entries, {len(chosen.drops)} drops"
    sys.stderr.write(f"{health['mode']} account ...{health['account']} ({kind}{api.url}): {what}\n")
    if health["mode"] == "live":
        limits = answer(api.ask("GET", "/v1/config"))["effective"]
        told = ", ".join(f"{name} {value}" for name, value in sorted(limits.items()))
        sys.stderr.write(f"limits: {told}\n")


def _summary(
    api: ExecutorApi,
    done: Sequence[Outcome],
    told: dict[str, Any],
    skipped: Mapping[str, int],
    *,
    quiet: bool,
) -> Summary:
    shown = [outcome.shown() for outcome in done]
    note = _unpriced(api, done)
    if not quiet:
        for row in shown:
            why = f"  {row['why']}" if "why" in row else ""
            sys.stderr.write(f"{row['symbol']:<8} {row['side']:<4}  {row['outcome']}{why}\n")
        sys.stderr.write(totals(told, skipped) + "\n" + (note and f"{note}\n"))
    away = told["denied"].get("not_armed") and _session(api) != "ARMED"
    left = "the executor's broker is away; the same command sends what is left"
    code, error = (UnavailableError.exit_code, left) if away else _conflicts(done)
    return Summary(
        values={**told, "orders": shown[:SHOWN], "note": note},
        rows=len(done),
        skipped=skipped,
        exit_code=code,
        error=error,
    )


def _unpriced(api: ExecutorApi, done: Sequence[Outcome]) -> str:
    """Where prices come from at the paper broker, if it lacks some; empty: nothing to tell."""
    lacking = sorted({str(one.row.body["symbol"]) for one in done if one.unpriced})
    if not lacking or answer(api.ask("GET", "/v1/broker/health"))["broker"] != "paper":
        return ""
    named = ", ".join(lacking[:SHOWN_SYMBOLS]) + (", ..." if len(lacking) > SHOWN_SYMBOLS else "")
    return (
        f"the paper broker has no price of {named}: show it one by POST /v1/tick (docs/executor.md)"
        " or start it with BFT_PAPER_PRICES=market-sim; the same command sends what is left"
    )


def _conflicts(done: Sequence[Outcome]) -> tuple[int, str | None]:
    """A night that was scanned anew after it was sent is no quiet day: nothing of it may leave."""
    if not done or any(one.word != Reason.IDEMPOTENCY_CONFLICT for one in done):
        return 0, None
    return DataError.exit_code, (
        f"all {len(done)} signals were sent before with other contents ({done[0].word}), so none "
        "is sent again: what was sent first holds, see bft why SYMBOL"
    )


def _session(api: ExecutorApi) -> str:
    return str(answer(api.ask("GET", "/v1/health")).get("session_state"))


STEP = Step(
    effect="once",
    summary="Send the night's signals to the executor: exits, and entries tagged execute.",
    arguments=arguments,
    run=run,
    reads=("signals", "picks"),
    writes=("orders of the executor",),
    outputs={
        "mode": "paper or live, as the executor says",
        "sent": "signals that became orders or exits",
        "denied": "how many by reason",
        "replayed": "signals the executor had already",
        "unknown": "orders whose outcome is not known yet",
        "lapsed": "committed, but never sent",
        "transient_denied": "denied only for now; a later call may send them",
        "dropped": "pending entries taken back",
        "orders": "each signal with what became of it",
        "note": "why there was nothing to send, or prices that the paper broker lacks",
    },
    settings=("api_url",),
    code=("steps.execute", "steps.execute_file", "steps.execute_rows", "steps.execute_send"),
)
