"""The story of an order in at most fifteen lines, for people.

Source: executor specification, section 13.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from bft.domain.encoding import number_text, short_number_text, utc_told
from bft.steps.columns import wrapped
from bft.steps.telling import outcome_of

Row = Mapping[str, Any]
MOST, SHOWN = 15, 3
ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED", "LAPSED"})


def brief(story: Row) -> list[str]:
    """Signal, verdict with the rules that blocked or came nearest, sizes, fills, exits.

    At most fifteen facts, each on a line of its own; `folded` is for whoever shows them.
    """
    lines = [*_signal(story), *_came_to(story), *_decisions(story), *_older(story)]
    lines += [*_sizes(story), *_fills(story), *_exits(story)]
    return [*lines[: MOST - 1], "all of it: --full, or --json"]


def folded(line: str) -> str:
    """A line as a terminal shows it: what does not fit goes on below, further in.

    A command stays whole, to be copied.
    """
    text = line.lstrip()
    if text.startswith("bft "):
        return line
    return wrapped(text, indent=" " * (len(line) - len(text)))


def _signal(story: Row) -> Iterator[str]:
    signal = story["signal"]
    if signal:
        what = f"{signal['symbol']} {signal['side'] or signal['kind']}"
        yield f"{what} by {signal['strategy_id'] or signal['source']}, signal {signal['signal_id']}"


def _came_to(story: Row) -> Iterator[str]:
    """What an exit signal had leave, and which entries it cancelled."""
    closing = (story["signal"] or {}).get("body", {}).get("closing")
    if closing == []:
        yield "exit: nothing was held, and no entry worked"
    for row in closing or []:
        size = number_text(row["quantity"])
        if row["what"] == "cancel entry":
            told = f"cancels the entry of {size}"
        else:
            told = "1 unit leaves" if size == "1" else f"{size} units leave"
        yield f"exit: {told}: bft why {row['entry']}" if row["entry"] else f"exit: {told}"


def _decisions(story: Row) -> Iterator[str]:
    """The newest decision, with what stood against it, or what it came nearest to."""
    rows = sorted(story["decisions"], key=lambda row: str(row["at"]))
    if not rows:
        return
    last = rows[-1]
    rules = last["body"]["rules"]
    failed = [rule for rule in rules if rule["verdict"] != "pass"]
    verdict = "allowed" if last["allowed"] else f"denied: {last['body']['reason']}"
    times = f", decided {len(rows)} times" if len(rows) > 1 else ""
    yield f"{utc_told(last['at'], seconds=True)} {verdict}{times}"
    for rule in failed[:SHOWN]:
        yield f"  {_rule(rule)}: {rule['verdict']}"
    for rule in [] if failed else _nearest(rules):
        yield f"  {_rule(rule)}"


def _older(story: Row) -> Iterator[str]:
    """The order before a denial, and the id that tells its story."""
    row = story.get("older")
    if row:
        size = number_text(row["qty"])
        told = f"the order before: {row['leg']} {row['side']} {size}, {row['state']}"
        yield f"{str(row['created_at'])[:19]} {told}:"
        yield f"  bft why {row['intent_id']}"


def _rule(rule: Row) -> str:
    told = f"rule {rule['number']} {rule['rule']}"
    if rule["value"] is not None:
        told += f" {short_number_text(rule['value'])}"
        told += f" of {short_number_text(rule['limit'])}" if rule["limit"] is not None else ""
    return f"{told} ({rule['note']})" if rule["note"] else told


def _nearest(rules: Sequence[Row]) -> list[Row]:
    """Rules that used most of their limit."""
    used = ((share, rule) for rule in rules if (share := _share(rule)) is not None)
    return [rule for _, rule in sorted(used, key=lambda pair: -pair[0])[:SHOWN]]


def _share(rule: Row) -> Decimal | None:
    try:
        value, limit = Decimal(str(rule["value"])), Decimal(str(rule["limit"]))
    except InvalidOperation:
        return None
    return value / limit if limit > 0 and 0 <= value <= limit else None


def _sizes(story: Row) -> Iterator[str]:
    entries = [row for row in story["intents"] if row["leg"] == "entry"]
    for row in entries[:1]:
        body: Row = next((d["body"] for d in story["decisions"] if d["allowed"]), {})
        asked = body.get("qty_requested") or "as many as risk lets"
        risk = body.get("risk_usd")
        sent, filled = number_text(row["qty"]), number_text(row["filled_qty"])
        told = f"size: asked {number_text(asked)}, sent {sent}, filled {filled}"
        told += f"; at most {short_number_text(risk)} USD at risk" if risk is not None else ""
        limit = f" {number_text(row['limit_price_usd'])}" if row["limit_price_usd"] else ""
        yield f"{told}; {row['order_type']}{limit} {row['state']}"


def _fills(story: Row) -> Iterator[str]:
    rows = sorted(story["executions"], key=lambda row: str(row["at"]))
    for row in rows[:SHOWN]:
        told = f"{row['side']} {number_text(row['qty'])} at {short_number_text(row['price_usd'])}"
        yield f"{utc_told(row['at'], seconds=True)} {told}"
    if len(rows) > SHOWN:
        yield f"  and {len(rows) - SHOWN} fills more"


def _exits(story: Row) -> Iterator[str]:
    legs = [row for row in story["intents"] if row["leg"] != "entry"]
    live = [row for row in legs if row["state"] not in ENDED]
    ended = [row for row in legs if row["state"] in ENDED and Decimal(str(row["filled_qty"]))]
    shown = (live + ended[::-1])[: SHOWN + 1]
    for row in shown:
        price = row["stop_price_usd"] or row["limit_price_usd"] or "the market"
        yield f"{row['leg']} {number_text(row['qty'])} at {number_text(price)}: {row['state']}"
    if len(legs) > len(shown):
        yield f"  and {len(legs) - len(shown)} orders more, --full"
    for row in story["trade"][:1]:
        if row["outcome"]:
            pnl = "" if row["pnl_usd"] is None else f", {short_number_text(row['pnl_usd'])} USD net"
            reason = row["exit_reason"]
            why = f" ({reason})" if reason not in {"", row["outcome"]} else ""
            yield f"trade: {outcome_of(row)}{why}{pnl}"
