"""Commands inside messages, as the reader must type them."""

import re
import shlex

_VERBS = (
    "run(?: [a-z][a-z-]*)?|pull|gold|validate|train|gate|promote|rollback|models|predict|scan|rank|"
    "screen|report|execute|ledger|status|close|kill|resume|resolve|why|audit"
)
# One that names its root already stays; a command ends where its sentence goes on.
_COMMAND = re.compile(rf"\bbft (?:{_VERBS})\b(?![^,;&|<\n]*--root)")


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
