"""The kill switch: latched in memory first, then stored; opening orders are cancelled.

Protective and closing orders stay: no global cancel, which would remove protection.
Source: executor specification, section 9.
"""

import asyncio
from contextlib import suppress

from bft import exits
from bft.domain.alerts import FLATTENS
from bft.domain.errors import BftError, RefusedError, UnavailableError
from bft.domain.orders import Intent, IntentState, Leg
from bft.ledger import entries
from bft.services.executor.closing import Closing
from bft.services.executor.desk import Desk
from bft.services.executor.kill_sources import KillSources
from bft.services.executor.sending import Sender

REPEAT_S, LOOK_S = 2.0, 1.0  # a look finds what was adopted since the last one
_FLATTEN = "flatten"


class Killing:
    """Latches, cancels, flattens where asked, and is cleared by a person only."""

    def __init__(self, desk: Desk, sender: Sender, closing: Closing, sources: KillSources) -> None:
        self._desk, self._sender, self._closing, self._sources = desk, sender, closing, sources
        self._cancelling: asyncio.Task[None] | None = None
        self._latched = asyncio.Event()  # wakes the loop: what opened since the last clear
        self._asked: dict[str, float] = {}  # when what was asked for last, by the desk's timer

    def latch(self, source: str, *, by: str, reason: str = "", flatten: bool = False) -> None:
        """Let no opening order pass from this tick on; a repeat changes nothing."""
        desk, kill = self._desk, self._desk.state.kill
        new = source not in kill.sources or not kill.latched or (flatten and not kill.flatten)
        desk.killed = True
        if new:
            made = entries.kill(desk.now, source=source, by=by, reason=reason, flatten=flatten)
            durable = desk.note(made, gives_up=True)
            durable.add_done_callback(lambda _: self._keep(by, durable.exception()))
            self._tell(source, f"kill switch pulled by {by} ({source}) {reason}".rstrip())
        self.resume()

    def resume(self) -> None:
        """Go on cancelling, also in a new process that finds the switch latched."""
        self._latched.set()
        if self._desk.killed and (self._cancelling is None or self._cancelling.done()):
            self._cancelling = self._desk.spawn(self._cancel_all(), "kill")

    def clear(self, *, by: str, generation: int) -> None:
        """Open again.

        Raises:
            RefusedError: another generation, or a source still says kill.
        """
        kill = self._desk.state.kill
        if kill.latched and generation != kill.generation:
            raise RefusedError(f"kill switch is at generation {kill.generation}, not {generation}")
        self._sources.clear_signal()
        source = self._sources.pulled()
        if source:
            place = self._sources.place(source)
            end = "empty" if source == "configmap" else "remove"
            raise RefusedError(
                f"the kill source {source} still says kill; {end} {place} first, then clear again"
            )
        self._desk.note(entries.unkill(self._desk.now, by=by, generation=generation))
        self._desk.killed = False
        self._asked.clear()

    def _tell(self, source: str, text: str) -> None:
        """Page; that it closes all is told at once too where it was latched without that."""
        closes = self._desk.state.kill.flatten
        key, text = (f"{source}, flatten", f"{text}; {FLATTENS}") if closes else (source, text)
        self._desk.alert("KillLatched", key, text)

    def _keep(self, by: str, fault: BaseException | None) -> None:
        """A book that cannot be written must not lose the kill: the file holds it."""
        if fault is not None:
            try:
                self._sources.pull(f"pulled by {by}")
            except UnavailableError as error:
                self._desk.alert("StateNotWritable", "kill", str(error))

    async def _cancel_all(self) -> None:
        """Cancel every opening order that is or may be live, for as long as the switch is latched.

        Also when none is left: one that an older state did not hold may be adopted at any time.
        """
        while self._desk.killed:
            self._latched.clear()
            session = self._desk.broker.state
            if self._desk.state.kill.flatten and session.may_close and self._due(_FLATTEN):
                self._closing.flatten(exits.Reason.RISK)
            if session.may_cancel:
                live = [intent for intent in self._openings() if self._due(intent.intent_id)]
                await asyncio.gather(*(self._cancel(intent) for intent in live))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._latched.wait(), LOOK_S)

    def _due(self, name: str) -> bool:
        """Whether it is time to ask, again or for the first time; it is taken as asked for."""
        now = self._desk.timer()
        if now - self._asked.get(name, float("-inf")) < REPEAT_S - LOOK_S / 2:
            return False
        self._asked[name] = now
        return True

    def _openings(self) -> list[Intent]:
        return [
            intent
            for intent in self._desk.state.live_intents()
            if intent.leg is Leg.ENTRY and intent.state is not IntentState.RESERVED
        ]

    async def _cancel(self, intent: Intent) -> None:
        try:
            await self._sender.cancel(intent, why="kill")
        except BftError as error:
            self._desk.event("ORDER", "WARNING", "kill_cancel", str(error))
