"""F1 with a real process: SIGKILL while it trades, then another on what it left."""

import random
import signal as signals
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from scenes import START_AT, Scene
from virtual_time import LoopClock, run

DRIVER = Path(__file__).parents[2] / "kill_driver.py"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_process_leaves_one_order_per_signal(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    command = [sys.executable, str(DRIVER), str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    for _ in range(rng.choice([4, 9, 20])):
        assert child.stdout.readline()
    time.sleep(rng.uniform(0, 0.02))  # anywhere in the work of the next
    child.send_signal(signals.SIGKILL)
    assert child.wait(20) == -signals.SIGKILL
    child.stdout.close()
    run(recover(tmp_path))


async def recover(folder: Path) -> None:
    scene = Scene(folder=folder, clock=LoopClock(START_AT + timedelta(hours=1)))
    await scene.start()
    await scene.rearmed()
    for symbol in ("AAPL", "MSFT", "NVDA"):
        scene.price(symbol, "100.01")
    await scene.calm()
    assert scene.intents(), "it was killed before it had done anything"
    await scene.stop()
