"""Tell the story of an order, intent, signal, execution or denial.

Source: executor specification, section 13.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from bft.ports import Ports, Step, Summary, Tick
from bft.steps.asking import add_api, answer, own
from bft.steps.why_told import brief, folded


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft why`."""
    parser.add_argument(
        "id", help="of anything, its beginning, or a symbol: its newest order or denial"
    )
    parser.add_argument("--full", action="store_true", help="everything, not fifteen lines")
    add_api(parser)


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Ask the executor; the story goes to stdout as JSON and to stderr in words.

    Raises:
        UsageError: nobody knows that id.
        RefusedError: the executor trades for another root.
        UnavailableError: no executor answers.
    """
    api = own(ports, args.api_url)
    story: Mapping[str, Any] = answer(api.ask("GET", f"/v1/why/{quote(args.id, safe='')}"))
    if not args.json:
        lines = map(folded, told(story)) if args.full else brief(story)
        sys.stderr.write("\n".join(lines) + "\n")
    return Summary(values={"why": story}, rows=sum(isinstance(v, list) for v in story.values()))


def told(value: Any, *, depth: int = 0) -> Iterator[str]:
    """A nested value as indented lines, one fact a line."""
    pad = "  " * depth
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, Mapping | list) and item:
                yield f"{pad}{name}"
                yield from told(item, depth=depth + 1)
            elif item not in (None, "", [], {}):
                yield f"{pad}{name}: {item}"
    elif isinstance(value, list):
        for item in value:
            yield from _item(item, depth)
    else:
        yield f"{pad}{value}"


def _item(item: Any, depth: int) -> Iterator[str]:
    """An item of a list: a flat object is one line."""
    pad = "  " * depth
    if isinstance(item, Mapping) and not any(isinstance(v, Mapping | list) for v in item.values()):
        facts = (f"{n} {v}" for n, v in item.items() if v not in (None, ""))
        yield f"{pad}- {', '.join(facts)}"
        return
    yield f"{pad}-"
    yield from told(item, depth=depth + 1)


STEP = Step(
    effect="pure",
    summary="Why an order was sent, denied or filled: from signal to exit.",
    arguments=arguments,
    run=run,
    outputs={"why": "signal, rules, sizes, bytes, reports, fills, exits"},
    settings=("api_url",),
    code=("steps.why", "steps.why_told"),
)
