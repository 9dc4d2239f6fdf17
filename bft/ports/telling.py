"""Who is told what happened, and who puts figures into words."""

from collections.abc import Mapping
from typing import Protocol


class Summarizer(Protocol):
    """Writes sentences about numbers; `fallbacks`: symbols a template described in its place."""

    name: str
    fallbacks: int

    def summarize(self, symbol: str, facts: Mapping[str, object]) -> list[str]:
        """Sentences for one symbol; callers check every figure against `facts` before showing."""


class Notifier(Protocol):
    """Tells a person."""

    def notify(self, subject: str, text: str) -> None:
        """Send one message. Raises UnavailableError."""
