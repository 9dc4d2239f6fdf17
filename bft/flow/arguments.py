"""Values of command line options that flow's verbs share."""

import argparse
from datetime import UTC, date, datetime


def required_day(text: str) -> date:
    """Parse an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO date such as 2025-01-06") from None


def optional_day(text: str) -> date | None:
    """Parse an ISO date; an empty text is no date."""
    return required_day(text) if text else None


def instant(text: str) -> datetime:
    """Parse an RFC 3339 instant; one without an offset is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-01-05T23:30:00Z"
        raise argparse.ArgumentTypeError(f"{text!r} is no instant such as {example}") from None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
