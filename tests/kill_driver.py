"""A process that trades on paper until somebody kills it; a line for each signal it hands in.

python kill_driver.py FOLDER
"""

import asyncio
import sys
from pathlib import Path

from executors import signal
from scenes import START_AT, Scene
from virtual_time import LoopClock, run


async def main(folder: Path) -> None:
    scene = Scene(folder=folder, clock=LoopClock(START_AT))
    await scene.start()
    await scene.until_armed()
    for number in range(1_000_000):
        for symbol in ("AAPL", "MSFT", "NVDA"):
            scene.price(symbol, f"{100 + number % 3 * 0.01:.2f}", size=3)
        order = signal(("AAPL", "MSFT", "NVDA")[number % 3], signal_id=f"s{number % 9}")
        task = asyncio.ensure_future(scene.submit(order))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        await scene.sleep(0.05)
        await task


if __name__ == "__main__":
    run(main(Path(sys.argv[1])))
