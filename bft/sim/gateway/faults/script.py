"""Reading a fault script (TOML); what it does not know is refused with its line."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from difflib import get_close_matches
from typing import Any

from bft.domain.errors import ConfigError
from bft.sim.gateway.faults.words import EVENTS, WHEN, WORDS, Types, Word
from bft.sim.gateway.wire.names import ANSWERS, REQUESTS

_MESSAGES = frozenset([*REQUESTS.values(), *ANSWERS.values()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One `[[fault]]`: when, a word, its parameters. `times` None: every time."""

    do: str
    word: Word
    params: Mapping[str, Any] = field(default_factory=dict)
    msg: str = ""
    nth: int | None = None
    symbol: str = ""
    leg: str = ""
    client: int | None = None
    at: datetime | time | None = None
    after_s: float | None = None
    on: str = ""
    p: float = 1.0
    times: int | None = 1

    @property
    def timed(self) -> bool:
        """Whether a clock sets it off, not a message or an event."""
        return not self.on and not self.msg and (self.at or self.after_s) is not None

    @property
    def at_once(self) -> bool:
        """Whether it waits for nothing."""
        return not (self.on or self.msg or self.timed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Rules in order; `seed` None: the gateway's."""

    seed: int | None = None
    rules: tuple[Rule, ...] = ()


def parse(text: str, *, name: str) -> Script:
    """Read a script.

    Raises:
        ConfigError: no TOML, an unknown word, key or parameter, a value of another type; names
            the line.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: no TOML: {error}") from error
    places = _Places(text, name)
    for key in document:
        if key not in {"seed", "fault"}:
            raise places.error(0, key, f"unknown {key!r}; seed and [[fault]] tables are known")
    seed = document.get("seed")
    if seed is not None and not isinstance(seed, int):
        raise places.error(0, "seed", f"seed {seed!r} is no whole number")
    tables = document.get("fault", [])
    if not isinstance(tables, list):
        raise places.error(0, "fault", "faults are [[fault]] tables, with two brackets")
    return Script(seed=seed, rules=tuple(_rule(t, n, places) for n, t in enumerate(tables, 1)))


def rule_of(table: Mapping[str, Any], *, name: str) -> Rule:
    """One fault as a mapping, as the control port gives it.

    Raises:
        ConfigError: see `parse`.
    """
    return _rule(table, 0, _Places("", name))


class _Places:
    """Finds the line of a key within the n-th table."""

    def __init__(self, text: str, name: str) -> None:
        self.name, self._lines = name, text.splitlines()

    def error(self, table: int, key: str, text: str) -> ConfigError:
        line = self._line(table, key)
        where = f"{self.name}:{line}" if line else self.name
        return ConfigError(f"{where}: {text}")

    def _line(self, table: int, key: str) -> int:
        seen, first = 0, 0
        for number, line in enumerate(self._lines, 1):
            if re.match(r"\s*\[\[\s*fault\s*\]\]", line):
                seen += 1
                first = number if seen == table else first
            if seen == table and re.search(rf"\b{re.escape(key)}\b", line):
                return number
        return first


def _rule(table: Any, number: int, places: _Places) -> Rule:
    if not isinstance(table, Mapping) or not isinstance(table.get("do"), str):
        raise places.error(number, "do", 'a fault needs a word, such as do = "disconnect"')
    do = table["do"]
    word = WORDS.get(do)
    if word is None:
        near = get_close_matches(do, WORDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(WORDS)}"
        raise places.error(number, do, f"unknown word {do!r}; {hint}")
    params = {key: value for key, value in table.items() if key not in {"do", "when"}}
    _check(params, word.params, f"{do} has no parameter", number, places)
    missing = sorted(word.required - set(params))
    if missing:
        raise places.error(number, do, f"{do} needs {missing[0]}")
    when = table.get("when", {})
    if not isinstance(when, Mapping):
        raise places.error(number, "when", "when is a table, such as {on = 'connect'}")
    _check(when, WHEN, "when has no key", number, places)
    return _made(do, word, params, _when(when, number, places))


def _made(do: str, word: Word, params: Mapping[str, Any], when: dict[str, Any]) -> Rule:
    """A rule with what follows from its word."""
    if do == "no_end":
        when.setdefault("msg", params.get("msg", "positionEnd"))
    if do == "child_reject":
        when.setdefault("leg", params["leg"])
    if not {"on", "at", "after_s"} & set(when):
        when.setdefault("msg", word.msg)
    if "p" in when and "times" not in when and "nth" not in when:
        when["times"] = None
    return Rule(do=do, word=word, params=params, **when)


def _when(when: Mapping[str, Any], number: int, places: _Places) -> dict[str, Any]:
    found = dict(when)
    if found.get("msg", "") and found["msg"] not in _MESSAGES:
        near = get_close_matches(found["msg"], _MESSAGES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise places.error(number, "msg", f"unknown message {found['msg']!r}{hint}")
    if found.get("on", "connect") not in EVENTS:
        raise places.error(number, "on", f"on = {found['on']!r}: one of {', '.join(EVENTS)}")
    if "at" in found:
        found["at"] = _instant(found["at"], number, places)
    return found


def _instant(text: str, number: int, places: _Places) -> datetime | time:
    try:
        if len(text) <= 8:
            return time.fromisoformat(text)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except ValueError:
        pass
    raise places.error(number, "at", f"at = {text!r}: 15:59:30 (New York) or an instant with zone")


def _check(
    given: Mapping[str, Any], known: Mapping[str, Types], text: str, number: int, places: _Places
) -> None:
    for key, value in given.items():
        if key not in known:
            listed = ", ".join(known) or "none at all"
            raise places.error(number, key, f"{text} {key!r}; known: {listed}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise places.error(number, key, f"{key} = {value!r} is of another type")
