"""What is said of symbols that the quality gate holds back, in every report alike."""

from collections.abc import Mapping

NAMED_SYMBOLS = 3
"""Symbols that a head names with their reasons."""


def held_words(reasons: Mapping[str, str]) -> str:
    """`1 symbol quarantined: SC (10 of the last 60 sessions missing)`; empty without any."""
    if not reasons:
        return ""
    named = [f"{symbol} ({why})" for symbol, why in sorted(reasons.items())[:NAMED_SYMBOLS]]
    more = [f"{len(reasons) - NAMED_SYMBOLS} more"] if len(reasons) > NAMED_SYMBOLS else []
    count = f"{len(reasons)} symbol{'' if len(reasons) == 1 else 's'}"
    return f"{count} quarantined: {', '.join(named + more)}"
