"""Section 15: figures of the account older than 60 s are missing, each by its own age."""

from pathlib import Path

from executors import signal
from scenes import WireScene, wired


def test_a_quiet_account_is_told_anew(tmp_path: Path) -> None:
    """Ten minutes without a trade: the gateway repeats nothing by itself for three."""

    async def story(scene: WireScene) -> None:
        for _ in range(12):
            await scene.sleep(50)
            scene.price("AAPL", "100.00")
        values, now = scene.broker.account_values(), scene.clock.now()
        assert values.equity_at
        assert values.available_at
        assert max(now - values.equity_at, now - values.available_at).total_seconds() <= 60
        opened = await scene.submit(signal(created_at=now, decided_at=now))
        assert opened.decision.allowed, opened.decision.detail

    wired(tmp_path, story)
