"""Words about one message: what becomes of it, and of its socket."""

from collections.abc import Mapping, Sequence
from typing import Any

from bft.sim.gateway.faults.script import Rule
from bft.sim.gateway.session import Session
from bft.sim.gateway.wire.frames import LARGEST, frame

_DELAY_MS, _TRICKLE_MS, _HANG_S = 100, 5, 30
_PACED = "Historical Market Data Service error message:API historical data query cancelled"


def outgoing(session: Session, rules: Sequence[Rule], values: Sequence[object]) -> None:
    """Send a message as the rules that struck it would have it."""
    copies = [frame(values)]
    for rule in rules:
        copies = _sent(session, rule, values, copies)
    for data in copies:
        session.outbox.send(data)


def _sent(
    session: Session, rule: Rule, values: Sequence[object], copies: list[bytes]
) -> list[bytes]:
    """What is left to send after one rule."""
    params = rule.params
    if rule.do in {"drop", "no_end"}:
        return []
    if rule.do == "duplicate":
        return copies * (1 + int(params.get("n", 1)))
    if rule.do == "corrupt":
        return [_corrupted(values, str(params.get("how", "fields")))]
    if rule.do == "reorder":
        for data in copies:
            session.outbox.hold(data, int(params.get("window", 1)))
        return []
    if rule.do == "slow_bytes":
        for data in copies:
            session.outbox.trickle(data, params.get("ms", _TRICKLE_MS) / 1000)
        return []
    strike(session, rule)
    return copies if rule.do == "delay" else []


def strike(session: Session, rule: Rule) -> None:
    """Do to a socket what a rule says, whatever the message."""
    params = rule.params
    if rule.do in {"delay", "slow_bytes"}:
        session.outbox.stall(params.get("ms", _DELAY_MS) / 1000)
    elif rule.do == "half_open":
        session.half_open(params.get("s"))
    elif rule.do.startswith("disconnect"):
        session.abort()


class Incoming:
    """What becomes of a request: how often it is handled, and what happens around it."""

    def __init__(self, session: Session, rules: Sequence[Rule]) -> None:
        self.session, self.rules = session, [r for r in rules if r.word.kind == "message"]
        self.times = 1
        self.pause_s = 0.0
        self.mute = self.close_after = False
        self.error: tuple[int, str] | None = None
        self.cut = False
        for rule in self.rules:
            self._apply(rule.do, rule.params)

    def _apply(self, do: str, params: Mapping[str, Any]) -> None:
        if do in {"drop", "no_end"}:
            self.times = 0
        elif do == "duplicate":
            self.times += int(params.get("n", 1))
        elif do in {"delay", "slow_bytes", "auth_hang", "reorder"}:
            default = _HANG_S if do == "auth_hang" else _DELAY_MS / 1000
            self.pause_s = params.get("s", params.get("ms", default * 1000) / 1000)
        elif do == "corrupt":
            self.cut = True
        elif do == "half_open":
            self.times = 0
            self.session.half_open(params.get("s"))
        elif do == "disconnect":
            self.times = 0
            self.session.abort()
        elif do == "pacing":
            code = int(params.get("code", 162))
            self.error = (code, f"{_PACED}: pacing violation")
        self.mute = self.mute or do == "disconnect_before_ack"
        self.close_after = self.close_after or do in {
            "disconnect_before_ack",
            "disconnect_after_ack",
        }


def _corrupted(values: Sequence[object], how: str) -> bytes:
    """A frame that is wrong: its last fields missing, its numbers NaN, or a length too large."""
    if how == "length":
        return (LARGEST + 1).to_bytes(4, "big")
    if how == "nan":
        head, rest = values[:3], values[3:]
        return frame([*head, *("nan" if _is_number(v) else v for v in rest)])
    return frame(values[: max(len(values) // 2, 1)])


def _is_number(value: object) -> bool:
    return not isinstance(value, bool | str | int) and value is not None
