"""What a rule says: verdict, the value it saw, the limit it held it against, a note."""

from bft.domain.orders import Verdict

Finding = tuple[Verdict, object, object, str]

PASSED: Finding = (Verdict.PASS, None, None, "")


def judged(holds: bool, value: object, limit: object, note: str = "") -> Finding:  # noqa: FBT001  the verdict itself
    """Pass where it holds, else block; the note tells why it blocks."""
    return (Verdict.PASS, value, limit, "") if holds else (Verdict.BLOCK, value, limit, note)


def passed(note: str, value: object = None, limit: object = None) -> Finding:
    """Pass, with a remark."""
    return Verdict.PASS, value, limit, note


def blocked(note: str, value: object = None, limit: object = None) -> Finding:
    """Block, and why."""
    return Verdict.BLOCK, value, limit, note


def missing(what: str, limit: object = None, *, why: str = "") -> Finding:
    """An input is unknown; that blocks."""
    return Verdict.MISSING, None, limit, f"{what} is unknown{': ' if why else ''}{why}"
