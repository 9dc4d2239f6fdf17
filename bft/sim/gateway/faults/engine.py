"""Decides when a rule strikes, and hands it to what carries it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.domain.errors import ConfigError, UsageError
from bft.sim.gateway.faults.script import Rule, Script
from bft.sim.gateway.faults.words import Kind
from bft.sim.gateway.prices.intraday import draw
from bft.sim.gateway.session import About

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


@dataclass(slots=True)
class _Armed:
    """A rule with its counts."""

    rule: Rule
    number: int
    seen: int = 0
    struck: int = 0


class FaultEngine:
    """The rules of a gateway."""

    def __init__(self, gateway: "GatewaySim", script: Script, seed: int) -> None:
        self.gateway = gateway
        self.seed = seed if script.seed is None else script.seed
        self._armed: list[_Armed] = []
        for rule in script.rules:
            self._add(rule)

    @property
    def idle(self) -> bool:
        """Whether there is no rule at all."""
        return not self._armed

    def begin(self) -> None:
        """Set the clocks of timed rules, and do what waits for nothing."""
        for armed in list(self._armed):
            self._plan(armed)
            if armed.rule.at_once and armed.rule.word.kind in _DOERS:
                self._try(armed)

    def add(self, rule: Rule) -> None:
        """Take in another rule; what waits for nothing is done at once."""
        armed = self._add(rule)
        self._plan(armed)
        if rule.at_once and (rule.word.kind in _DOERS or _strikes_sockets(rule)):
            armed.struck += 1  # of a message it would strike, the next one is spared
            self._do(armed)

    def lift(self) -> None:
        """Drop every rule that has not struck yet; what is under way ends by itself."""
        self._armed.clear()

    def on_message(self, msg: str, client: int | None, about: About) -> list[Rule]:
        """Rules about messages and orders that strike this one; actions it sets off are done."""
        found = [a for a in self._armed if a.rule.msg == msg or _any_message(a.rule)]
        return self._struck(found, client, about)

    def on_event(self, event: str, client: int | None, about: About) -> list[Rule]:
        """The same for connect, ack and fill."""
        return self._struck([a for a in self._armed if a.rule.on == event], client, about)

    def _struck(self, armed: Sequence[_Armed], client: int | None, about: About) -> list[Rule]:
        struck = [a for a in armed if _meets(a.rule, client, about) and self._strikes(a)]
        for one in struck:
            if one.rule.word.kind in _DOERS:
                self._later(one)
            else:
                self._note(one)
        return [a.rule for a in struck if a.rule.word.kind in {Kind.MESSAGE, Kind.ORDER}]

    def _add(self, rule: Rule) -> _Armed:
        if rule.word.kind is Kind.HARNESS and self.gateway.config.harness is None:
            raise ConfigError(f"{rule.do} is carried out by a test harness; give GatewayConfig one")
        armed = _Armed(rule, len(self._armed))
        self._armed.append(armed)
        return armed

    def _strikes(self, armed: _Armed) -> bool:
        """Count a meeting and tell whether the rule strikes at it."""
        rule = armed.rule
        armed.seen += 1
        if rule.nth is not None and armed.seen != rule.nth:
            return False
        if rule.times is not None and armed.struck >= rule.times:
            return False
        if draw(self.seed, "fault", armed.number, armed.seen) >= rule.p:
            return False
        armed.struck += 1
        return True

    def _plan(self, armed: _Armed) -> None:
        rule, agenda = armed.rule, self.gateway.agenda
        if not rule.timed:
            return
        if rule.at is None:
            agenda.after(rule.after_s or 0, lambda: self._try(armed))
            return
        at = rule.at
        if not isinstance(at, datetime):
            day = self.gateway.now().astimezone(sessions.NEW_YORK).date()
            at = datetime.combine(day, at, sessions.NEW_YORK).astimezone(UTC)
        agenda.at(at, lambda: self._try(armed))

    def _later(self, armed: _Armed) -> None:
        """Do an action in a turn of its own: what set it off is finished first."""
        if armed.rule.after_s:
            self.gateway.agenda.after(armed.rule.after_s, lambda: self._try(armed))
        else:
            self.gateway.soon(lambda: self._try(armed))

    def _try(self, armed: _Armed) -> None:
        """Do it; what cannot be done stands on the tape."""
        try:
            self._do(armed)
        except UsageError as error:
            self.gateway.note("fault_failed", word=armed.rule.do, error=str(error))

    def _do(self, armed: _Armed) -> None:
        self._note(armed)
        rule, harness = armed.rule, self.gateway.config.harness
        if rule.word.kind is Kind.HARNESS and harness is not None:
            harness(rule.do, rule.params)
        elif rule.word.kind is Kind.ACTION:
            self.gateway.actions.do(rule.do, rule.params)
        else:
            self.gateway.board.strike_all(rule)

    def _note(self, armed: _Armed) -> None:
        self.gateway.note("fault", word=armed.rule.do, rule=armed.number)


_DOERS = frozenset([Kind.ACTION, Kind.HARNESS])
_SOCKET_WORDS = frozenset(["disconnect", "half_open", "delay", "slow_bytes"])


def _strikes_sockets(rule: Rule) -> bool:
    """Whether it is about a socket, and no message is named that it waits for."""
    return rule.do in _SOCKET_WORDS and not (rule.nth or rule.symbol or rule.leg)


def _any_message(rule: Rule) -> bool:
    return rule.at_once and rule.word.kind is Kind.MESSAGE


def _meets(rule: Rule, client: int | None, about: About) -> bool:
    return (
        rule.client in {None, client}
        and rule.symbol in {"", about.symbol}
        and rule.leg in {"", about.leg}
    )
