"""Options on the paper broker: the night's chain stands for the feed's figures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from executors import usd
from option_scenes import CALL, EXPIRY, exits, on_paper, option_signal, volatilities
from scenes import guarded

from bft.domain.orders import IntentState
from bft.services.executor.chains import ChainRow

STORED = ChainRow(
    expiry=EXPIRY,
    right="C",
    strike_usd=usd(100),
    delta=usd("0.52"),
    implied_volatility=usd("0.3"),
    volume=400,
    open_interest=900,
)


def test_paper_trades_what_the_night_knows_and_is_priced(tmp_path: Path) -> None:
    async def story(scene: Any) -> None:
        scene.price(CALL.replace(" ", ""), "3.10", "3.20")
        opened = await scene.submit(option_signal())
        assert opened.decision.allowed, opened.decision.detail
        scene.price(CALL.replace(" ", ""), "3.05", "3.10")
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=5)
        await scene.wait(lambda: guarded(scene) == scene.entry().qty, within_s=5)
        scene.price("AAPL", "92.90")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=25)
        assert exits(scene) == [("stop", 10)]

    on_paper(tmp_path, story, replace(volatilities(), rows=(STORED,)))


def test_paper_denies_what_the_night_does_not_hold(tmp_path: Path) -> None:
    async def story(scene: Any) -> None:
        scene.price(CALL.replace(" ", ""), "3.10", "3.20")
        refused = await scene.submit(option_signal())
        assert refused.decision.reason == "liquidity"
        assert "is not in the chain of 2026-01-02" in refused.decision.detail

    on_paper(tmp_path, story, volatilities())
