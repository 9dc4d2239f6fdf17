"""Every alert has a runbook, every runbook an alert; the commands in them are understood."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bft.cli import parse
from bft.domain.alerts import PAGES, WARNINGS, runbook
from bft.services.executor.alerts import Severity, mail, severity
from bft.services.executor.api.controls import ConfigBody
from bft.services.executor.api.halting import HaltBody, ResumeBody
from bft.services.executor.api.orders import ResolveBody

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
NAMES = PAGES | WARNINGS
OUTSIDE = {"ExecutorDown"}  # raised by the dead-man watch, when the executor cannot
SECTIONS = ("What it means", "What bft has done", "First look", "Fix", "Over when", "Escalate")
BODIES: dict[str, type[BaseModel]] = {
    "/v1/resume": ResumeBody,
    "/v1/halt": HaltBody,
    "/v1/config": ConfigBody,
    "/v1/orders/{id}/resolve": ResolveBody,
}


def sources() -> Iterator[ast.AST]:
    for file in (ROOT / "bft" / "services" / "executor").rglob("*.py"):
        yield from ast.walk(ast.parse(file.read_text()))


def commands(book: Path) -> list[list[str]]:
    """Lines of its code blocks, as words."""
    blocks = re.findall(r"^```\n(.*?)^```$", book.read_text(), re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def routes() -> list[tuple[str, str]]:
    """Method and path of each row of the API's table, which is generated from the routes."""
    rows = re.findall(r"^\| ([A-Z]+) (\S+) \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    return [(method, path) for method, path in rows]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {book.stem for book in BOOKS} == NAMES
    assert {runbook(name) for name in NAMES} == {str(b.relative_to(ROOT)) for b in BOOKS}
    assert runbook("fill") is None


def test_every_alert_is_raised_and_none_that_is_not_listed() -> None:
    words = {n.value for n in sources() if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert words & NAMES == NAMES - OUTSIDE
    calls = (n for n in sources() if isinstance(n, ast.Call) and n.args)
    told = {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "alert"
        and isinstance(call.args[0], ast.Constant)
    }
    assert told <= NAMES


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_runbook_is_whole_and_says_its_severity(book: Path) -> None:
    text = book.read_text()
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert tuple(heads) == SECTIONS
    assert text.startswith(f"# {book.stem}\n\n**{severity(book.stem).value}** · ")
    assert commands(book)


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_commands_of_a_runbook_are_understood(book: Path) -> None:
    for words in commands(book):
        if words[0] == "bft":
            parse(words[1:])  # raises UsageError for what the command line does not know
        elif words[0] == "curl":
            _request(words)
        else:
            assert words[0] in {"cat", "df", "timedatectl", "uptime"}, words


def _request(words: list[str]) -> None:
    """A call of the API: its route is in the document, its body what the route takes."""
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    (url,) = (word for word in words if word.startswith("$BFT_API_URL"))
    path = url.removeprefix("$BFT_API_URL").partition("?")[0].replace("/ORDER", "/{id}")
    assert (method, path) in routes(), (method, path)
    if "-d" in words:
        BODIES[path].model_validate(json.loads(words[words.index("-d") + 1]))


def test_notification_says_where_to_read_on() -> None:
    told = {"severity": "page", "name": "UnknownOrder", "key": "AAPL", "text": "nobody knows"}
    assert mail(told) == (
        "[bft page] UnknownOrder: AAPL",
        "nobody knows\nWhat to do: docs/runbooks/UnknownOrder.md",
    )
    fill = {"severity": "info", "name": "fill", "key": "AAPL", "text": "BUY 1"}
    assert mail(fill)[1] == "BUY 1"


@pytest.mark.parametrize(
    ("name", "level"),
    [("LeaseLost", Severity.PAGE), ("BrokerErrors", Severity.WARN), ("fill", Severity.INFO)],
)
def test_severity_is_that_of_the_list(name: str, level: Severity) -> None:
    assert severity(name) is level
