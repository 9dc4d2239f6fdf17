"""Faults of one cover: told, and kept from the others.

Source: executor specification, section 6 (exits are guaranteed); decision record 0160.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from bft.domain.errors import RefusedError, UnavailableError
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk

log = structlog.get_logger()


@dataclass(slots=True)
class Faults:
    """Which covers could not be brought in step with their fills, by entry: `uncounted`."""

    desk: Desk
    uncounted: set[str] = field(default_factory=set)
    _logged: set[tuple[str, str]] = field(default_factory=set)

    @contextmanager
    def spared(self, cover: Cover) -> Iterator[None]:
        """A fault inside costs this cover its turn, and no other; it is told, and tried again.

        What rests at the broker stays. A book or a session that is away is no cover's fault.
        """
        try:
            yield
        except (UnavailableError, RefusedError):
            raise
        except Exception as error:
            kind, name = type(error).__name__, cover.contract.symbol
            if (cover.entry, kind) not in self._logged:
                self._logged.add((cover.entry, kind))
                log.exception("executor.exit_fault", entry=cover.entry, symbol=name)
            text = f"{name}: exits of {cover.entry} fail ({kind}: {error}); "
            self.desk.alert("ExitFault", cover.entry, text + "what rests at the broker stays")

    @contextmanager
    def counting(self, cover: Cover) -> Iterator[None]:
        """As `spared`, of what brings a cover in step with its fills."""
        self.uncounted.add(cover.entry)
        with self.spared(cover):
            yield
            self.uncounted.discard(cover.entry)

    def unsure(self, covers: Mapping[str, Cover]) -> set[int]:
        """Contracts, by con id, of which it is not known how much the covers hold."""
        return {covers[entry].contract.con_id for entry in self.uncounted if entry in covers}

    def shielding(self, covers: Mapping[str, Cover]) -> dict[str, Cover]:
        """Covers whose resting orders have something to protect, or will.

        One that is not counted may not know that its position is gone: the book does.
        """
        held = self.desk.state.position_qty
        return {
            entry: cover
            for entry, cover in covers.items()
            if entry not in self.uncounted
            or held(cover.account, cover.contract.con_id) * cover.sign > 0
        }
