"""The verbs of `bft`: where each is and what it does, without importing any."""

from difflib import get_close_matches

VERBS: dict[str, tuple[str, str]] = {
    "run": ("bft.flow.run_verb", "run a workflow here: only what is not finished"),
    "status": ("bft.flow.status_verb", "what ran last, what is missing, what to do next"),
    "pull": ("bft.steps.pull", "ask a source for market facts and store what is new"),
    "gold": ("bft.steps.gold", "raw tables to one row per symbol and session"),
    "validate": ("bft.steps.validate", "24 checks that stop a bad night"),
    "train": ("bft.steps.train", "train the nine models in parallel"),
    "gate": ("bft.steps.gate", "judge the newest models and propose a set"),
    "promote": ("bft.steps.promote", "move a gated set of models into production"),
    "rollback": ("bft.steps.rollback", "put the previous set of models back"),
    "models": ("bft.steps.models", "what is in production, missing, asked for"),
    "predict": ("bft.steps.predict", "score the production set on the newest gold"),
    "scan": ("bft.steps.scan", "strategies on the close: signals with reasons"),
    "rank": ("bft.steps.rank", "signals to ranked, sized picks"),
    "execute": ("bft.steps.execute", "send the night's signals to the executor"),
    "close": ("bft.steps.close", "close positions, now or what is due; reconcile"),
    "ledger": ("bft.steps.ledger", "the book: positions, lots, trades, export, verify, adjust"),
    "kill": ("bft.steps.kill", "stop opening at once; --flatten closes all"),
    "resume": ("bft.steps.resume", "end a halt; without its id, list them"),
    "resolve": ("bft.steps.resolve", "settle an unknown order by evidence; or list them"),
    "why": ("bft.steps.why", "why there is (no) signal, order, fill or denial"),
    "audit": ("bft.steps.audit", "audit of the trade log: OK, WARN, FAIL"),
    "token": ("bft.steps.token", "issue a token for the executor's API"),
    "serve": ("bft.steps.serve", "start a server: executor, gateway-sim, market-sim, mlflow"),
    "workflow": ("bft.flow.workflow_verb", "what workflows ask: due, summary, quorum, status"),
    "chain": ("bft.flow.chain", "several command lines, one after the other"),
    "screen": ("bft.steps.screen", "flags that turned: CSV, charts, PDF"),
    "report": ("bft.steps.report", "day report, site JSON, model cards"),
}
"""verb -> (module that holds STEP, one line of help); one line registers a verb."""
WORKFLOWS = ("nightly", "premarket", "market-hours", "backfill")
"""Workflows that are no verb as well."""


EXIT_CODES: dict[int, tuple[str, str, str]] = {
    0: ("done", "also what has no result: no signals, models not promoted", "-"),
    1: ("a fault of bft", "nobody foresaw it; a traceback says where", "no: report it"),
    2: ("usage", "the command line asks for something that cannot be", "mend the command"),
    65: ("bad data", "a file, price or table breaks its contract", "mend the data"),
    75: ("try again", "a remote, the disk or the time was missing; or told to stop", "the same"),
    77: ("refused", "a lock, lease, gate or permission said no", "once that is settled"),
    78: ("settings", "a setting, key or root is missing or wrong", "change the setting"),
    130: ("interrupted", "Ctrl-C", "the same resumes"),
    141: ("unread", "the reader of the output went away, as `head` does", "without it"),
}
"""Exit code -> word, meaning, whether to call again; workflows retry 75 alone (ADR 0005)."""
_RARE = frozenset({1, 130, 141})


def meant(word: str) -> str:
    """What to say of a word that is no verb: the workflow of that name, or the nearest verb."""
    if word in WORKFLOWS:
        return f"it is a workflow: bft run {word}"
    near = get_close_matches(word, VERBS, n=1)
    return f"did you mean {near[0]}?" if near else "see: bft --help"


def help_text() -> str:
    """What `bft --help` prints."""
    lines = [
        "usage: bft VERB [--asof DATE] [--root ROOT] [...]",
        "",
        "A nightly run from market data to a ranked portfolio, on a laptop or a cluster.",
        "Orders are paper unless unlocked. Every verb has --help and --describe.",
        "",
    ]
    lines += [f"  {verb:<12} {text}" for verb, (_, text) in VERBS.items()]
    codes = (f"{code} {word}" for code, (word, *_) in EXIT_CODES.items() if code not in _RARE)
    lines += ["", f"exit codes: {', '.join(codes)}"]
    return "\n".join(lines) + "\n"
