"""The small languages inside a workflow: depends, when, retry expressions, and {{tags}}.

Each is parsed into a tree of tuples, so that a linter can look at what the engine evaluates. The
grammars are those parts of Argo's (expr for depends and retries, govaluate for when) that bft
accepts; anything else is an ExpressionError, which makes a node Error as it does there.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

STATES = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned")
GROUP_STATES = ("AnySucceeded", "AllFailed")

Tree = tuple[Any, ...]
Names = Callable[[str], Any]


class ExpressionError(ValueError):
    """An expression does not parse, or compares what cannot be compared."""


_COMMON = (
    r"(?P<space>\s+)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[<>!(),\[\]])"
)
_DEPENDS = re.compile(_COMMON + r"|(?P<name>[A-Za-z0-9_][\w-]*(?:\.\w+)?)")
_WHEN = re.compile(
    r"(?P<bracket>\[[^\]]*\])|" + _COMMON + r"|(?P<number>\d+(?:\.\d+)?(?![\w.]))"
    r"|(?P<name>[A-Za-z_][\w.]*)|(?P<minus>-)"
)
_RETRY = re.compile(_COMMON + r"|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<minus>-)")
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_RELATIONS = ("in", "contains", "startsWith", "endsWith", "matches")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXTUAL: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda a, b: b in a,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "matches": lambda a, b: re.search(b, a) is not None,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"asInt": int, "asFloat": float, "string": str}
_CONSTANTS = {"true": True, "false": False, "nil": None}


@cache
def parse_depends(text: str) -> Tree:
    """Tree of a `depends`; its names are `task` or `task.State`.

    Raises:
        ExpressionError: it does not parse, or names an unknown state.
    """
    tree = _Parser(text, _DEPENDS, words={}, relations=()).parse()
    for name in names_in(tree):
        state = name.partition(".")[2]
        if state and state not in STATES + GROUP_STATES:
            known = ", ".join(STATES + GROUP_STATES)
            raise ExpressionError(f"depends {text!r}: unknown state {state}; known: {known}")
    return tree


def depends_on(text: str) -> list[str]:
    """Tasks a `depends` names, in order of appearance."""
    if not text:
        return []
    return list(dict.fromkeys(name.partition(".")[0] for name in names_in(parse_depends(text))))


def holds(depends: str | Tree, results: Mapping[str, Mapping[str, bool]]) -> bool:
    """Evaluate a `depends`; a bare name means Succeeded, Skipped or Daemoned."""
    tree = parse_depends(depends) if isinstance(depends, str) else depends

    def value(name: str) -> bool:
        task, _, state = name.partition(".")
        wanted = (state,) if state else ("Succeeded", "Skipped", "Daemoned")
        return any(results[task].get(word, False) for word in wanted)

    return _truth(evaluate(tree, value), str(depends))


def should_run(when: str) -> bool:
    """Evaluate a `when` whose tags are substituted; unquoted words are text."""
    if not when:
        return True
    return _truth(evaluate(parse_when(when), lambda name: _CONSTANTS.get(name, name)), when)


def parse_when(when: str) -> Tree:
    """Tree of a `when`."""
    return _Parser(when, _WHEN, words={}, relations=("in",)).parse()


def should_retry(expression: str, last: Mapping[str, str]) -> bool:
    """Evaluate a retry expression over `lastRetry.{exitCode,status,duration,message}`."""
    tree = parse_retry(expression)

    def value(name: str) -> Any:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        part = name.removeprefix("lastRetry.")
        if part == name or part not in last:
            raise ExpressionError(f"expression {expression!r}: unknown variable {name}")
        return last[part]

    return _truth(evaluate(tree, value), expression)


def parse_retry(expression: str) -> Tree:
    """Tree of a retry expression."""
    return _Parser(expression, _RETRY, words=_WORDS, relations=_RELATIONS).parse()


def names_in(tree: Tree) -> Iterator[str]:
    """Names of a tree, left to right."""
    if tree[0] == "name":
        yield tree[1]
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from names_in(part)


def evaluate(tree: Tree, names: Names) -> Any:
    """Value of a tree; `&&` and `||` look at their right side only when they must."""
    kind, *parts = tree
    if kind in {"value", "name"}:
        return parts[0] if kind == "value" else names(parts[0])
    if kind in {"&&", "||"}:
        left = _truth(evaluate(parts[0], names), kind)
        return left if left is (kind == "||") else _truth(evaluate(parts[1], names), kind)
    if kind == "list":
        return [evaluate(part, names) for part in parts]
    if kind == "call":
        return _call(parts[0], evaluate(parts[1], names))
    if kind == "!":
        return not _truth(evaluate(parts[0], names), "!")
    return _relation(kind, evaluate(parts[0], names), evaluate(parts[1], names))


def _relation(kind: str, left: Any, right: Any) -> bool:
    if kind in {"==", "!="}:
        return _equal(left, right) is (kind == "==")
    if kind == "in":
        if not isinstance(right, list):
            raise ExpressionError(f"in {right!r}: a list such as (a, b) is expected")
        return any(_equal(left, item) for item in right)
    if kind in _TEXTUAL:
        if not (isinstance(left, str) and isinstance(right, str)):
            raise ExpressionError(f"{left!r} {kind} {right!r}: both must be text")
        return _TEXTUAL[kind](left, right)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (left, right))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise ExpressionError(f"{left!r} {kind} {right!r}: two numbers or two texts are expected")
    return _COMPARE[kind](left, right)


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def _call(name: str, argument: Any) -> Any:
    try:
        return _FUNCTIONS[name](argument)
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"{name}({argument!r}): {error}") from error


def _truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{where!r} gives {value!r}, neither true nor false")
    return value


class _Parser:
    """Precedence climbing over the tokens of one text."""

    def __init__(
        self,
        text: str,
        pattern: re.Pattern[str],
        *,
        words: Mapping[str, str],
        relations: tuple[str, ...],
    ) -> None:
        self.text, self.relations, self.place = text, relations, 0
        self.tokens = list(self._tokens(text, pattern, words))

    def parse(self) -> Tree:
        tree = self._or()
        if self.place < len(self.tokens):
            raise self._odd()
        return tree

    def _tokens(
        self, text: str, pattern: re.Pattern[str], words: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(text):
            found = pattern.match(text, at)
            if found is None:
                raise ExpressionError(f"{text!r}: unexpected {text[at]!r}")
            at, kind, value = found.end(), str(found.lastgroup), found.group()
            if kind == "name" and value in words:
                yield "op", words[value]
            elif kind != "space":
                yield kind, value

    def _odd(self) -> ExpressionError:
        rest = [value for _, value in self.tokens[self.place :]]
        return ExpressionError(f"{self.text!r}: unexpected {rest[0] if rest else 'end'}")

    def _next(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def _take(self, *values: str) -> str | None:
        kind, value = self._next()
        if kind in {"op", "name", "minus"} and value in values:
            self.place += 1
            return value
        return None

    def _need(self, value: str) -> None:
        if self._take(value) is None:
            raise self._odd()

    def _or(self) -> Tree:
        tree = self._and()
        while self._take("||"):
            tree = ("||", tree, self._and())
        return tree

    def _and(self) -> Tree:
        tree = self._comparison()
        while self._take("&&"):
            tree = ("&&", tree, self._comparison())
        return tree

    def _comparison(self) -> Tree:
        tree = self._unary()
        symbol = self._take("==", "!=", "<", "<=", ">", ">=", *self.relations)
        while symbol:
            tree = (symbol, tree, self._unary())
            symbol = self._take("==", "!=", "<", "<=", ">", ">=", *self.relations)
        return tree

    def _unary(self) -> Tree:
        return ("!", self._unary()) if self._take("!") else self._primary()

    def _primary(self) -> Tree:
        kind, value = self._next()
        self.place += 1
        if kind == "number":
            return ("value", float(value))
        if kind == "minus" and self._next()[0] == "number":
            return ("value", -self._primary()[1])
        if kind == "text":
            return ("value", _unquoted(value))
        if kind == "bracket":
            return ("value", value[1:-1])
        if kind == "name":
            return self._name(value)
        if value in {"(", "["} and kind == "op":
            return self._items(")" if value == "(" else "]", lists=value == "[")
        self.place -= 1
        raise self._odd()

    def _name(self, value: str) -> Tree:
        if value in _FUNCTIONS and self.relations == _RELATIONS and self._take("("):
            argument = self._or()
            self._need(")")
            return ("call", value, argument)
        return ("name", value)

    def _items(self, end: str, *, lists: bool) -> Tree:
        items = [self._or()]
        while self._take(","):
            items.append(self._or())
        self._need(end)
        return ("list", *items) if lists or len(items) > 1 else items[0]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


_TAG = re.compile(r"\{\{\s*([^{}=][^{}]*?)\s*\}\}")


def tags_in(text: str) -> list[str]:
    """Names of the `{{tags}}` in a text, in order."""
    return _TAG.findall(text)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace the `{{tags}}` that have a value; others stay as they are."""
    return _TAG.sub(lambda tag: values.get(tag[1], tag[0]), text)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace every `{{tag}}`.

    Raises:
        ExpressionError: a tag has no value; names it.
    """
    missing = [name for name in tags_in(text) if name not in values]
    if missing:
        raise ExpressionError(f"{{{{{missing[0]}}}}} has no value")
    return substitute(text, values)


def item_values(item: object) -> dict[str, str]:
    """Tags a loop item supplies: `item`, and `item.key` for each key of an object."""
    if not isinstance(item, Mapping):
        return {"item": as_text(item)}
    return {"item": as_text(item)} | {f"item.{k}": as_text(v) for k, v in item.items()}


def item_name(item: object) -> str:
    """How an expanded node is named after its item."""
    if isinstance(item, Mapping):
        return ",".join(f"{key}:{as_text(item[key])}" for key in sorted(item))
    return as_text(item)


def as_text(value: object) -> str:
    """A value as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
