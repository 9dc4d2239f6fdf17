"""What an executor is made of: chosen by who starts it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

from bft.ports import Book, Broker, Clock, Notifier
from bft.risk.profiles import Profile
from bft.services.executor.live_lock import Route
from bft.services.executor.option_facts import LoadChains, no_chains
from bft.services.executor.reference import Reference
from bft.services.executor.writer import Offload

Load = Callable[[frozenset[str]], Awaitable[Reference]]
"""Reads the night's facts and the bars of held symbols, off the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an executor is made of; `holder` names this process in the lease.

    `offload` runs SQL, one piece after the other; `aside` what may take long (None: as SQL).
    """

    book: Book
    broker: Broker
    clock: Clock
    notifier: Notifier
    route: Route
    profile: Profile
    folder: Path
    boot_id: str
    holder: str
    load_reference: Load
    offload: Offload[Any]
    load_chains: LoadChains = no_chains
    aside: Offload[Any] | None = None
    config_map: Path | None = None
    restart_at: time | None = None
    restricted: frozenset[str] = frozenset()

    @property
    def slow(self) -> Offload[Any]:
        """Runs what may take long."""
        return self.aside or self.offload
