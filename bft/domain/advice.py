"""Commands inside messages, as the reader must type them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

_VERBS = (
    "run(?: [a-z][a-z-]*)?|pull|gold|validate|train|gate|promote|rollback|models|predict|scan|rank|"
    "screen|report|serve(?= executor)|execute|ledger|status|close|kill|resume|resolve|why|audit"
)
# One that names its root, or asks for help, stays; a command ends where its sentence goes on.
_COMMAND = re.compile(rf"\bbft (?:{_VERBS})\b(?![^,;&|<\n]*--(?:root|help))")


def learned_anew(asof: object, profile: str) -> str:
    """The commands that train all models by a profile and put them into production."""
    named = shlex.quote(profile)
    train = f"bft train all --asof {asof} --profile {named}"
    return f"{train} && bft gate --asof {asof} && bft promote --asof {asof}"


def rooted(text: str, root: str | None) -> str:
    """The text with `--root` in every command it advises, where the call gave one."""
    if not root:
        return text
    named = shlex.quote(root)
    return _COMMAND.sub(lambda found: f"{found[0]} --root {named}", text)


def again(words: Sequence[str], day: object) -> str:
    """A call as of another day: `bft report --site` as `bft report --site --asof DAY`.

    A reader who copies it gets what was asked for. The root is left to `rooted`, and how it is told
    (`--json`, `--debug`) is left away. What stays of a run depends on what it goes on with, which
    `flow/sources.py` knows.
    """
    kept, skip = ["bft"], False
    for word in words:
        name = word.partition("=")[0]
        if not skip and name not in {"--asof", "--root", "--json", "--debug"}:
            kept.append(word)
        skip = word in {"--asof", "--root"}
    return f"{shlex.join(kept)} --asof {day}"


def serve_again(kept: Mapping[str, str]) -> str:
    """The command that starts an executor as the book's last one was.

    `kept`: what the book remembers of that start (`owner`, `clock`, `flags`), and `last_at`, its
    newest entry's instant: a clock that began at an instant has to go on from there.
    """
    broker = kept.get("owner", "paper").partition(",")[0]
    clock = kept.get("clock", "system")
    told = [] if broker == "paper" else ["--broker", broker]
    if clock == "gateway":
        told += ["--clock", clock]
    elif clock != "system":
        told += ["--clock", kept.get("last_at", clock)]
    return " ".join(["bft serve executor", *told, *filter(None, [kept.get("flags")])])


def root_of(words: Sequence[str]) -> str | None:
    """The root a command line gave, also one that could not be parsed."""
    for place, word in enumerate(words):
        if word.startswith("--root="):
            return word.removeprefix("--root=")
        if word == "--root" and place + 1 < len(words):
            return words[place + 1]
    return None


def before_clear(source: str | None, root: str) -> str | None:
    """What still says kill and must stop before the switch can be cleared, or None.

    `root` names the file where it lies there; an executor's state folder may be another.
    """
    file = Path(root) / "KILL"
    here = str(file) if "://" not in root and file.exists() else "KILL of its state folder"
    return {
        "file": f"remove the file {here}",
        "configmap": "empty the key KILL of the ConfigMap",
        "unreadable": "mend the state folder, which cannot be read",
    }.get(source or "")
