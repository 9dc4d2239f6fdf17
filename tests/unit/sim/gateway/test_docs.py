"""docs/gateway-sim.md says what is: its words, its script and its examples work."""

import re
from pathlib import Path

from gateways import MORNING, Stage, play

from bft.sim.gateway.faults.script import parse
from bft.sim.gateway.faults.words import WORDS

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "gateway-sim.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_table_has_every_word_with_its_parameters() -> None:
    rows = [line.split("|")[1:4] for line in TEXT.splitlines() if line.startswith("| `")]
    told = {word: row[1] for row in rows for word in re.findall(r"`(\w+)`", row[0])}
    assert [word for word in WORDS if word not in told] == []
    for word, about in WORDS.items():
        missing = [name for name in about.params if not re.search(rf"\b{name}\b", told[word])]
        assert missing == [], word


def test_script_is_read_and_the_in_process_example_runs() -> None:
    (text,) = blocks("toml")
    assert [rule.do for rule in parse(text, name="docs").rules] == [
        "disconnect_before_ack",
        "code",
        "partial_fill",
    ]
    connect, in_process = blocks("python")
    compile(connect, "docs", "exec")
    names: dict[str, object] = {}
    exec(in_process, names)  # noqa: S102  our own documentation

    async def body(_stage: Stage) -> None:
        await names["example"](lambda: MORNING)  # type: ignore[operator]

    play(body)
