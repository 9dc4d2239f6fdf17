"""Tell the story of a symbol's night, and of an order, intent, signal, execution or denial.

The night's part is in the root's tables; orders, denials and fills are asked of the executor.

Source: executor specification, section 13.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from bft.domain.advice import rooted
from bft.domain.errors import BftError, RefusedError, UnavailableError, UsageError
from bft.domain.runs import Json
from bft.domain.symbols import not_among, symbol_of
from bft.ports import Ports, Step, Summary, Tick
from bft.steps import why_night
from bft.steps.arguments import NEWEST, add_asof
from bft.steps.asking import add_api, answer, own
from bft.steps.scan import READS
from bft.steps.why_told import brief, folded


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft why`."""
    parser.add_argument(
        "id", help="a symbol: its night, newest order or denial; or any id, or its beginning"
    )
    add_asof(parser, default=f"of the night; {NEWEST}")
    parser.add_argument("--full", action="store_true", help="everything, not fifteen lines")
    add_api(parser)


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Ask the root and the executor; stdout gets both as JSON, stderr in words.

    Raises:
        UsageError: nobody knows that id, or the root lacks the symbol and no executor is asked.
        RefusedError: the executor trades for another root, and this root's night lacks the id.
        UnavailableError: no executor answers, and the night lacks the id.
    """
    night = why_night.night_of(ports, args.id, args.asof)
    story, unasked = None, None
    try:
        api = own(ports, args.api_url)
        story = answer(api.ask("GET", f"/v1/why/{quote(args.id, safe='')}"))
    except (UsageError, RefusedError, UnavailableError) as error:
        if night is None:
            _check_symbol(ports, args.id, error)
            told_none = f"the night of {args.asof} has nothing of {args.id[:64]}; {error}"
            raise type(error)(told_none) from error
        unasked = None if isinstance(error, UsageError) else str(error)
    if not args.json:
        lines = [*_night_told(night, story, unasked), *_story_told(story, full=args.full)]
        shown = "\n".join(folded(rooted(line, args.root)) for line in lines)
        sys.stderr.write(shown + "\n")
    values = {"night": night, "why": story, "executor_unasked": unasked}
    return Summary(values=values, rows=sum(isinstance(v, list) for v in (story or {}).values()))


def _check_symbol(ports: Ports, name: str, error: BftError) -> None:
    """See that a name is not simply a symbol nobody has: an executor's absence explains no typo."""
    symbol = symbol_of(name)
    if symbol and not isinstance(error, UsageError):
        told = not_among(symbol, why_night.symbols_of(ports.store))
        away = "could be asked for orders of it: bft serve executor"
        asked = "was asked: it trades for another root" if isinstance(error, RefusedError) else away
        raise UsageError(f"{told} (and no executor {asked})") from error


def _night_told(night: Json | None, story: Json | None, unasked: str | None) -> Iterator[str]:
    """The night's part, and what of the rest is not known."""
    if night is None:
        return
    yield from why_night.told(night)
    if unasked:
        yield f"no executor could be asked for orders, denials and fills: {unasked}"
    elif story is None:
        yield "the executor has no order, denial or fill of it"


def _story_told(story: Json | None, *, full: bool) -> Iterable[str]:
    if story is None:
        return ()
    return told(story) if full else brief(story)


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
    summary="Why there is a signal or none, and an order was sent, denied or filled.",
    arguments=arguments,
    run=run,
    reads_newest=lambda _a: True,
    reads=("signals", "picks", *READS),
    outputs={
        "night": "signals, pick and what failed, or why there is no signal; of the root's tables",
        "why": "signal, rules, sizes, bytes, reports, fills, exits; none: the executor knows none",
        "executor_unasked": "why no executor could be asked",
    },
    settings=("api_url",),
    code=("steps.why", "steps.why_night", "steps.why_told"),
)
