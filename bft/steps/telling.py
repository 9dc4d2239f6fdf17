"""What a person reads on a terminal in place of a verb's JSON line; at most 80 columns.

Source: house style, section 8: stdout is one JSON line for programs, a summary for people.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bft.domain.alerts import FLATTENS
from bft.domain.runs import Json
from bft.steps import telling_made
from bft.steps.columns import WIDTH, number, table, wrapped
from bft.steps.held_back import rule_text

TELL_THEMSELVES = frozenset(
    {"run", "status", "why", "execute", "workflow", "chain", "serve", "resume", "resolve"}
)
"""Verbs that write for people while they work."""
UNCOUNTED = frozenset({"kill", "close"})
"""Verbs whose effect is no number of rows."""
HEAD = frozenset(
    {"verb", "asof", "last_closed", "rows", "skipped", "seconds", "run_id", "cached", "error"}
)


def told(verb: str, line: Json) -> str:
    """The JSON line of a verb as text; empty for verbs that told it already."""
    if verb in TELL_THEMSELVES:
        return ""
    text = TELLERS.get(verb, _values)(line)
    return f"{text}\n{_foot(line)}" if text else _foot(line)


def _models(line: Json) -> str:
    if "card" in line:
        return _card(line["card"])
    if "diff" in line:
        return _diff(line["diff"])
    digest = (line["set_digest"] or "none")[:16]
    paper = ", paper only: no skill shown yet" if line["paper_only"] else ""
    by = f", profile {', '.join(line['profiles'])}" if line["profiles"] else ""
    title = f"{line['alias']}: set {digest}, revision {line['revision']}{by}{paper}"
    rows = [
        (
            r["name"],
            r["version"] or "-",
            number(r["age_days"], "d"),
            number(r["rank_ic"]),
            r["origin"],
        )
        for r in line["models"]
    ]
    heads = ("model", "version", "age, days", "RankIC", "origin")
    parts = [wrapped(title)]
    parts += [table(heads, rows, right=("version", "age, days", "RankIC"))] if rows else []
    lacking = ", ".join(line["missing"]) or "none"
    parts += [wrapped(f"missing (not in the set, files gone, or too old today): {lacking}")]
    parts += [line["note"]] if line.get("note") else []  # its command is copied as one line
    parts += _held(line["held_back"], paper_only=bool(line["paper_only"]))
    asked = line["mlflow_request"]
    parts.append(wrapped(f"MLflow: {line['mlflow']}; asked for there: {asked}"))
    return "\n".join(part for part in parts if part)


def _held(rows: Sequence[Mapping[str, Any]], *, paper_only: bool) -> list[str]:
    if not rows:
        # A first set passes on working alone (models specification, 8.2, bootstrap).
        asked = "; the gate asked that they work, not that they beat ridge" if paper_only else ""
        return [wrapped(f"held back by the gate: none{asked}")]
    said = [f"{r['name']}: {'; '.join(r['why'])}; {r['instead']}" for r in rows]
    return ["held back by the gate:", *(wrapped(text, indent="  ") for text in said)]


def _card(card: str) -> str:
    """Markdown as it is; only running text is folded."""
    rows = card.rstrip().splitlines()
    return "\n".join(row if row.startswith(("|", "#")) else wrapped(row) for row in rows)


def _diff(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "the two sets hold the same models"
    cells = [
        (r["name"], *(f"{r[s]['version'] or '-'} ({r[s]['train_end'] or 'absent'})" for s in "ab"))
        for r in rows
    ]
    return table(("model", "first set", "second set"), cells)


def _gate(line: Json) -> str:
    if "rules" not in line:
        return _values(line)
    title = f"{line['gates']}: {line['verdict']}; proposed set {(line['set_digest'] or '-')[:16]}"
    chosen = [(m["name"], m["verdict"], _taken(m), m["reason"]) for m in line["models"]]
    shown = line["rules"]
    if line["set_digest"]:  # a dry run shows every rule (models specification, 8.2)
        shown = [rule for rule in shown if rule["verdict"] != "pass"]
    rules = [
        (r["id"][:16], r["model"] or "set", _short(r["value"]), r["threshold"][:26], r["verdict"])
        for r in shown
    ]
    parts = [title, table(("model", "verdict", "taken", "reason"), chosen)]
    if rules:
        parts.append(table(("rule", "of", "value", "wanted", "verdict"), rules, right=("value",)))
        unknown = [rule for rule in shown if rule["value"] is None and rule["verdict"] == "fail"]
        parts += [wrapped(rule_text(rule)) for rule in unknown]
    parts += _held(line.get("held_back", []), paper_only=bool(line.get("paper_only")))
    return "\n\n".join(parts)


def _taken(model: Mapping[str, Any]) -> str:
    return "none" if model["digest"] is None else f"{model['origin']}, version {model['version']}"


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, int | float) else str(value)[:10]


def _values(line: Json) -> str:
    """Any line: every value, nested ones indented."""
    return "\n".join(_lines({k: v for k, v in line.items() if k not in HEAD}, ""))


def _lines(value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        made: list[str] = []
        for key, inner in value.items():
            if isinstance(inner, Mapping | list) and inner and not _flat(inner):
                made += [f"{indent}{key}:", *_lines(inner, indent + "  ")]
            else:
                made.append(wrapped(f"{key}: {_plain(inner)}", indent=indent))
        return made
    return [wrapped(f"- {_plain(one)}", indent=indent) for one in value]


def _flat(value: Any) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value
    return not any(isinstance(one, Mapping | list) for one in inner)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _audit(line: Json) -> str:
    """Every check once, what is wrong last: there people look."""
    order = {"OK": 0, "WARN": 1, "FAIL": 2}
    checks = sorted(line["checks"], key=lambda check: order[check["level"]])
    told = [wrapped(f"[{check['level']}] {check['name']}: {check['text']}") for check in checks]
    return "\n".join([*told, f"report: {line['report']}"])


def _ledger(line: Json) -> str:
    if "journal_rows" in line:
        return _verified(line)
    shown = next((name for name in _BOOK if name in line), None)
    return _values(line) if shown is None else _listed(shown, line[shown], _BOOK[shown])


def _verified(line: Json) -> str:
    """What proves the book, or each row of the tables that tells otherwise."""
    if not line["journal_rows"]:
        return "the book is empty: nothing was ever written to its journal"
    if not line["differences"]:
        rows = _count(line["journal_rows"], "row")
        text = f"{rows} of the journal: the chain is whole, and replaying them gives the tables"
        return "\n".join([wrapped(f"{text} as they are"), f"hash {line['hash']}"])
    first = [wrapped(f"- {text}") for text in line["differences"]]
    return "\n".join(["tables that tell otherwise than the journal:", *first])


def _contract(row: Json) -> str:
    """The contract's own name where it has one, as an option has."""
    own = (row.get("contract") or {}).get("local_symbol") or row["symbol"]
    return str(own).replace(" ", "")


def _signed(name: str) -> Callable[[Json], object]:
    def value(row: Json) -> object:
        return row[name] if row["direction"] > 0 else f"-{row[name]}"

    return value


def outcome_of(row: Json) -> object:
    """How a trade ended; what goes on is working or open, and a note of the past is no trade."""
    if row["is_backfill"]:
        return "backfill"
    return {None: "working", "fill": "open"}.get(row["outcome"], row["outcome"])


Column = str | Callable[[Json], object]
_BOOK: dict[str, dict[str, Column]] = {
    "positions": {
        "symbol": _contract,
        "quantity": "qty",
        "cost": "average_cost_usd",
        "account": "account",
        "since": "opened_at",
    },
    "lots": {
        "opened": "opened_at",
        "symbol": "symbol",
        "qty": _signed("qty"),
        "open": _signed("open_qty"),
        "price": "price_usd",
        "fee": "fee_usd",
        "account": "account",
        "closed": "closed_at",
    },
    "trades": {
        "entered": "entered_at",
        "symbol": "symbol",
        "side": "side",
        "qty": "qty",
        "in": "entry_price",
        "out": "exit_price",
        "net USD": "pnl_usd",
        "outcome": outcome_of,
    },
}
"""Rows of the book under short heads; `--json` has every column."""
_FLUSH = ("quantity", "cost", "qty", "open", "price", "fee", "in", "out", "net USD")
_CENTS = ("fee", "net USD")
_SPARE = ("entered", "opened", "account", "outcome")
"""Columns that give way where a terminal is too narrow."""


def _listed(what: str, rows: Sequence[Json], columns: Mapping[str, Column]) -> str:
    if not rows:
        return f"no {what}"
    heads = list(columns)
    text = _table_of(rows, columns, heads)
    for spare in _SPARE:
        if spare in heads and max(map(len, text.splitlines())) > WIDTH:
            heads.remove(spare)
            text = _table_of(rows, columns, heads)
    left = ", ".join(name for name in columns if name not in heads)
    return f"{text}\nno room for: {left} (--json has all)" if left else text


def _table_of(rows: Sequence[Json], columns: Mapping[str, Column], heads: Sequence[str]) -> str:
    cells = [[_cell(head, _value(row, columns[head])) for head in heads] for row in rows]
    return table(heads, cells, right=_FLUSH)


def _value(row: Json, column: Column) -> object:
    return row[column] if isinstance(column, str) else column(row)


def _cell(head: str, value: object) -> str:
    """Days of instants; cents of money that was made or paid, and of prices from 10 on."""
    text = "-" if value is None else str(value)
    if head in _FLUSH and _NUMBER.fullmatch(text):
        if head in _CENTS:
            return f"{float(text):,.2f}"
        places = 2 if abs(float(text)) >= 10 else 4
        shown = f"{float(text):,.{places}f}"
        return shown.rstrip("0").rstrip(".")
    return text[:10] if _INSTANT.match(text) else text[:21]


_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")


def _validate(line: Json) -> str:
    """The verdict, and where the page is; checks of `--only` write none."""
    counts = ", ".join(f"{count} {name}" for name, count in line["counts"].items() if count)
    page = f"; {line['page']}" if line["page"] else ""
    return wrapped(f"data quality: {line['head']}") + f"\nfindings: {counts}{page}"


def _kill(line: Json) -> str:
    """Whether orders that open may leave, since when and by whom, and how to open again."""
    generation, since = line["generation"], ""
    if line["at"]:
        since = f", since {line['at'][:10]} {line['at'][11:19]} UTC by {line['by'] or 'a source'}"
    if not line["latched"]:
        return wrapped(f"kill switch: open, generation {generation}{since}; it keeps nothing back")
    why = f": {line['reason']}" if line["reason"] else ""
    pulled = ", ".join(line["sources"])
    parts = [f"kill switch: LATCHED, generation {generation} ({pulled}){since}{why}"]
    parts += [
        "no entry leaves, those that work are cancelled; "
        + (FLATTENS if line["flatten"] else "stops, targets and exits stay")
    ]
    if line["pulled_now"]:
        parts += [f"still pulled: {line['pulled_now']}; {line.get('first') or 'clear that'} first"]
    parts += [f"to open again, as admin: bft kill --clear {generation}"]
    return "\n".join(map(wrapped, parts))


def _close(line: Json) -> str:
    """What would leave, or what was asked to; of a reconciliation what it compared."""
    simulated = ", simulated" if line["simulated"] else ""
    head = f"{line['mode']}, account ...{line['account']}{simulated}: "
    if "reconciliation" in line:
        return _reconciled(head, line)
    if not line["dry_run"]:
        sent = _count(len(line["closing"]), "order") if line["closing"] else "nothing to close"
        left = f"{_count(line['left'], 'position')} still there" if line["left"] else "done"
        return wrapped(f"{head}{sent}; {left}")
    if not line["closing"]:
        return wrapped(f"{head}a dry run; nothing is held or pending that was meant")
    rows = [(row["symbol"], row["quantity"], row["what"]) for row in line["closing"]]
    shown = table(("symbol", "units", "what"), rows, right=("units",))
    return f"{head}a dry run, nothing was sent; what would be:\n{shown}"


def _reconciled(head: str, line: Json) -> str:
    found = line["reconciliation"]
    differences = found.get("differences") or []
    compared = f"{_count(found['positions'], 'position')} and {_count(found['orders'], 'order')}"
    told = _count(len(differences), "difference")
    parts = [wrapped(f"{head}{compared} compared, {told} of book and broker")]
    parts += [f"  {d['symbol']}: book {d['book']}, broker {d['broker']}" for d in differences]
    parts += [wrapped(f"kept: {', '.join(line['day'])}")] if line["day"] else []
    return "\n".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _foot(line: Json) -> str:
    """Verb, day, rows, what was skipped and why, how long it took."""
    day = f" {line['asof']}" if line.get("asof") else ""
    took = ", finished before" if line.get("cached") else f" in {line.get('seconds', 0):.1f} s"
    skipped = _plain(line.get("skipped") or {})
    none = line["verb"] in UNCOUNTED or "journal_rows" in line
    rows = "" if none else f": {_count(line.get('rows', 0), 'row')}"
    text = f"{line['verb']}{day}{rows}{took}"
    foot = wrapped(text + ("" if skipped == "none" else f"; skipped: {skipped}"))
    return "\n".join([foot, *_older(line)])


def _older(line: Json) -> list[str]:
    """That a call which named no day was answered of another than the last closed session."""
    if not line.get("last_closed"):
        return []
    told = f"{line['asof']} is this root's newest day; the last closed session is "
    return [told + line["last_closed"]]


TELLERS: dict[str, Callable[[Json], str]] = {
    "models": _models,
    "gate": _gate,
    "audit": _audit,
    "ledger": _ledger,
    "kill": _kill,
    "close": _close,
    "validate": _validate,
    "gold": telling_made.gold,
    "train": telling_made.train,
}
