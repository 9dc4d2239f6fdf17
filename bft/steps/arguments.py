"""Arguments that several verbs take."""

import argparse
from datetime import date


def add_asof(parser: argparse.ArgumentParser) -> None:
    """Add `--asof`; the command line fills in the last closed session and checks it."""
    parser.add_argument("--asof", type=day, default=None, help="session (the last closed one)")


def day(text: str) -> date:
    """Parse an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO date such as 2025-01-06") from None
