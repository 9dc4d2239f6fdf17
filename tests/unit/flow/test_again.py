"""The command that a run advises instead of itself: what its caller gave stays in it."""

import shlex
from collections.abc import Mapping

import pytest
from fakes import arguments

from bft.flow import run_verb
from bft.flow.load import find, load
from bft.flow.sources import again

NIGHTLY = load(find("nightly", ""))


def told(*words: str, before: Mapping[str, str] | None = None) -> str:
    own = [word for word in words if word != "--fresh"]  # an option of every verb
    args = arguments(run_verb.STEP, *own, fresh=own != list(words))
    return again(args, NIGHTLY, before or {})


def test_resumed_run_is_told_as_a_new_one_with_what_it_was_given() -> None:
    """Red: `bft run nightly`, which asked the simulator for the prices of a file."""
    usual = {p.name: p.default or p.value or "" for p in NIGHTLY.parameters}
    given = usual | {"source": "files:my prices.csv", "asof": "2025-06-30", "compute": "inline"}
    given |= {"model-profile": "short"}
    assert told("--resume", "nightly-1", before=given) == (
        "bft run nightly --param compute=inline --source 'files:my prices.csv'"
    )


@pytest.mark.parametrize(
    "words",
    [
        "--jobs 2 --events e.jsonl --wait 5.0",
        "--params p.yaml --source sim --from build --approve me --fresh",
        "--param gates=paper --at 2025-06-30T22:00:00+00:00 --dry-run",
    ],
)
def test_what_was_given_stays(words: str) -> None:
    """Red: `--fresh` was lost, without which a file of other symbols is refused again."""
    made = shlex.split(told(*words.split(), "--profile", "short", "--asof", "2025-06-30"))
    assert sorted(made) == sorted(["bft", "run", "nightly", *words.split()])
