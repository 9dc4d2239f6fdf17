"""Splits overnight: book, levels and resting orders move to the new basis once, or not at all.

Source: executor specification, section 6 (split or ticker change) and F20.
"""

from decimal import Decimal
from typing import Protocol

from bft.domain.orders import Contract
from bft.domain.trading_days import trading_day
from bft.ledger import entries
from bft.ledger.records import Adjustment
from bft.services.executor.covers import Cover, rescaled
from bft.services.executor.desk import Desk


class Covers(Protocol):
    """Where the covers are held."""

    def of(self, con_id: int) -> list[Cover]:
        """Open covers of a contract."""

    def put(self, cover: Cover) -> None:
        """Store a changed cover."""


class Splits:
    """Explains a difference between book and broker by a split that the actions table confirms."""

    def __init__(self, desk: Desk, covers: Covers) -> None:
        self._desk, self._covers = desk, covers

    def explains(self, contract: Contract, *, book: Decimal, broker: Decimal) -> bool:
        """Apply a confirmed split whose ratio fits; tell whether there was one."""
        desk, today = self._desk, self._desk.now.date()
        held = desk.state.positions.get((desk.account, contract.con_id))
        if held is None:
            return False
        since = trading_day(held.opened_at)
        for split in self._desk.reference.splits_of(contract.symbol):
            name = f"split:{contract.con_id}:{split.ex_date}"
            # what was bought on the ex-date or later is in new units already
            fits = since < split.ex_date <= today
            if not fits or name in desk.state.adjustments or book * split.ratio != broker:
                continue
            self._apply(contract, split.ratio, name)
            return True
        return False

    def _apply(self, contract: Contract, ratio: Decimal, name: str) -> None:
        now = self._desk.now
        made = Adjustment(
            adjustment_id=name,
            at=now,
            account=self._desk.account,
            contract=contract,
            by="executor",
            note=f"split {ratio}:1, confirmed by the actions table",
            ratio=ratio,
        )
        moved = [rescaled(cover, ratio, key=name) for cover in self._covers.of(contract.con_id)]
        with self._desk.together():  # neither half is made up for later
            self._desk.note(entries.split(made))
            for cover in moved:
                self._covers.put(cover)
        text = f"{contract.symbol}: split {ratio}:1 applied to book, stops and targets"
        self._desk.event("POSITION", "INFO", "split", text)
