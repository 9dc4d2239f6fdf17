"""What a fault script may say, what it may not, and that each of its words has a test."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fault_scripts import buy, ready, script
from gateways import Stage, play, settle, stock
from ib_async import LimitOrder

from bft.domain.errors import ConfigError, UsageError
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.faults.script import parse
from bft.sim.gateway.faults.words import WORDS, Kind
from bft.sim.gateway.gateway import GatewaySim


def test_when_may_name_instant_event_leg_symbol_client_and_chance() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        stage.tick(50, 50.02, symbol="MSFT")
        await stage.place(ib, LimitOrder("BUY", 1, 40), contract=stock("MSFT"))
        trades = await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        assert [ib.codes_of(t.order.orderId) for t in trades] == [[], [399], []]
        await asyncio.sleep(60)
        assert ib.codes[-1][1] == 2110

    rules = [
        'when = {msg = "placeOrder", symbol = "AAPL", leg = "target", client = 10}\n'
        'do = "warn"\ncode = 399',
        'when = {at = "10:00:30"}\ndo = "code"\ncode = 2110',
    ]
    play(body, script=script(*rules))


def test_chance_is_drawn_from_the_seed() -> None:
    struck: dict[int, list[bool]] = {}
    for seed in (1, 1, 2):

        async def body(stage: Stage, seed: int = seed) -> None:
            ib = await ready(stage)
            trades = [(await stage.place(ib, LimitOrder("BUY", 1, 99)))[0] for _ in range(20)]
            found = [bool(ib.codes_of(t.order.orderId)) for t in trades]
            assert struck.setdefault(seed, found) == found
            assert 3 < sum(found) < 17

        play(body, script=script('when = {p = 0.5}\ndo = "warn"\ncode = 399', seed=seed))
    assert struck[1] != struck[2]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('do = "dorp"', 3, "did you mean drop"),
        ('do = "drop"\nms = 5', 4, "no parameter 'ms'"),
        ('do = "delay"\nms = "long"', 4, "another type"),
        ('when = {mgs = "placeOrder"}\ndo = "drop"', 3, "no key 'mgs'"),
        ('when = {msg = "placeOrdr"}\ndo = "drop"', 3, "did you mean placeOrder"),
        ('when = {on = "boot"}\ndo = "drop"', 3, "one of connect"),
        ('when = {at = "noon"}\ndo = "drop"', 3, "15:59:30"),
        ('do = "overfill"', 3, "needs qty"),
        ("ms = 5", 2, "needs a word"),
    ],
)
def test_what_a_script_does_not_know_is_refused_with_its_line(
    text: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse(script(text), name="faults.toml")
    assert f"faults.toml:{line}:" in str(caught.value)
    for other in ("sede = 1", "[fault]\ndo = 'drop'", "= nonsense"):
        with pytest.raises(ConfigError):
            parse(other, name="faults.toml")


def test_harness_words_need_a_harness_and_reach_it() -> None:
    done: list[tuple[str, Mapping[str, object]]] = []

    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        await settle()
        assert done == [("kill_process", {"point": "after_send"})]

    text = script('when = {on = "ack"}\ndo = "kill_process"\npoint = "after_send"')
    play(body, script=text, harness=lambda word, params: done.append((word, params)))
    with pytest.raises(ConfigError, match="test harness"):
        GatewaySim(GatewayConfig(script=text, prices="control"), clock=_never)


def _never() -> Any:
    raise AssertionError


def test_every_word_has_a_test_here() -> None:
    files = sorted(Path(__file__).parent.glob("test_faults*.py"))
    text = "".join(file.read_text() for file in files)
    spoken = {word for word, about in WORDS.items() if about.kind is not Kind.HARNESS}
    assert [word for word in sorted(spoken) if f'"{word}"' not in text] == []


def test_what_cannot_be_done_is_said() -> None:
    async def body(stage: Stage) -> None:
        for word, params in {
            "correction": {"price": 1},
            "split": {"symbol": "NOPE", "ratio": 2},
            "expire": {"symbol": "AAPL"},
        }.items():
            with pytest.raises(UsageError):
                stage.sim.fault(word, **params)
        with pytest.raises(ConfigError):
            stage.sim.fault("correction")
        stage.sim.fault("expire", when={"after_s": 1}, symbol="AAPL")
        await asyncio.sleep(2)
        assert "fault_failed" in stage.sim.tape[-1]

    play(body)
