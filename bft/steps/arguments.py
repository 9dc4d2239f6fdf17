"""Arguments that several verbs take."""

import argparse
from datetime import date

CLOSED, NEWEST = "the last closed one", "the newest this root holds"
"""The days of calls that name none: of verbs that make a night, and of those that tell of one."""


def add_asof(parser: argparse.ArgumentParser, *, default: str = CLOSED) -> None:
    """Add `--asof`; the command line fills in and checks the day, `default` says which to people.

    Whether it is the last closed session or the newest the root holds: `Step.reads_newest`.
    """
    parser.add_argument("--asof", type=day, default=None, help=f"session ({default})")


def day(text: str) -> date:
    """Parse an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO date such as 2025-01-06") from None
