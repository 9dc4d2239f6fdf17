"""What an order's `client_order_id` holds, so that nothing but Alpaca need remember it.

`REF_ID`, for an order of several legs `REF_ID-REF_ID-REF_ID` (entry, target, stop), because Alpaca
names legs itself; then `-d` where the entry lives for its day only, and `-rN` after N changes.
Alpaca takes 128 characters (API reference, create an order).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bft.domain.broker import PlacedOrder
from bft.domain.errors import UnavailableError

LONGEST = 128
_LEG = re.compile(r"(bft1\.[A-Z0-9]+)_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Legs as (order_ref, order_id), entry first; `day`: the entry ends with its session."""

    legs: tuple[tuple[str, int], ...]
    day: bool = False
    revision: int = 0

    @property
    def text(self) -> str:
        """The client_order_id."""
        parts = [f"{ref}_{number}" for ref, number in self.legs]
        parts += ["d"] * self.day + [f"r{self.revision}"] * bool(self.revision)
        return "-".join(parts)


def name_of(legs: Sequence[PlacedOrder], *, day: bool = False) -> Name:
    """Name of an order about to be placed.

    Raises:
        UnavailableError: a reference is none of ours, or all of them are too long.
    """
    made = Name(legs=tuple((leg.order_ref, leg.order_id) for leg in legs), day=day)
    if parsed(made.text) != made or len(made.text) > LONGEST - len("-r999"):
        raise UnavailableError(f"alpaca cannot carry the order references {made.text!r}")
    return made


def parsed(text: str) -> Name | None:
    """Name in a client_order_id, or None where it is none of ours."""
    parts = text.split("-")
    revision = 0
    if re.fullmatch(r"r\d+", parts[-1]):
        revision = int(parts.pop()[1:])
    day = parts[-1:] == ["d"]
    legs = [_LEG.fullmatch(part) for part in (parts[:-1] if day else parts)]
    if not legs or not all(legs):
        return None
    found = tuple((leg.group(1), int(leg.group(2))) for leg in legs if leg)
    return Name(legs=found, day=day, revision=revision)


def number_of(text: str, *, bits: int = 62) -> int:
    """Stable number above 0 of a text: permanent ids (62 bits), contract numbers (31)."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - bits) or 1
