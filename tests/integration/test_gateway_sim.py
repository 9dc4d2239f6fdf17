"""`bft serve gateway-sim` as a process: its address, a kill, bad input, a clean end."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gateways import Client, stock
from ib_async import MarketOrder

from bft.cli import main

OPTIONS = ["--port", "0", "--control-port", "0", "--prices", "control", "--clock", "virtual"]
OPTIONS += ["--at", "2026-11-20T15:00:00Z"]


@contextmanager
def gateway(root: Path, *options: str) -> Iterator[tuple[int, str, "subprocess.Popen[str]"]]:
    """Port, control address and process; killed at the end if it still runs."""
    process = _started(root, [*OPTIONS, *options])
    try:
        line = ""
        while process.stderr and "ready" not in line and (said := process.stderr.readline()):
            line += said
        found = re.search(r"tcp://127.0.0.1:(\d+), control (http://\S+)", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        assert "simulated" in line
        yield int(found[1]), found[2], process
    finally:
        process.kill()
        process.communicate(timeout=20)


def _started(root: Path, options: Sequence[str]) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "bft", "serve", "--root", str(root), "gateway-sim", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True)


async def _buy(port: int, qty: int) -> None:
    ib = Client()
    await ib.connectAsync("127.0.0.1", port, clientId=10)
    trade = ib.placeOrder(stock("AAPL"), MarketOrder("BUY", qty))
    await asyncio.wait_for(trade.filledEvent, 10)
    ib.disconnect()
    await asyncio.sleep(0)


def test_state_survives_a_kill_and_the_end_is_one_json_line(tmp_path: Path) -> None:
    market = {"symbol": "AAPL", "bid": 100, "ask": 100.02}
    with gateway(tmp_path) as (port, control, process):
        httpx.post(f"{control}/tick", json=market).raise_for_status()
        asyncio.run(_buy(port, 10))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with gateway(tmp_path) as (port, control, process):
        state = httpx.get(f"{control}/state").json()
        assert [p["qty"] for p in state["positions"]] == ["10"]
        assert [e["exec_id"][-5:] for e in state["executions"]] == ["01.01"]
        httpx.post(f"{control}/tick", json=market).raise_for_status()
        asyncio.run(_buy(port, 5))
        assert [p["qty"] for p in httpx.get(f"{control}/state").json()["positions"]] == ["15"]
        process.terminate()
        stdout, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        (line,) = stdout.splitlines()
        assert json.loads(line)["url"] == f"tcp://127.0.0.1:{port}"
    assert (tmp_path / "gateway-sim" / "gateway.db").exists()


def test_clock_never_goes_back_behind_the_kept_state(tmp_path: Path) -> None:
    """The same command line again, as of a pod: `--at` says where the first one began."""
    with gateway(tmp_path) as (_, control, process):
        moved = httpx.post(f"{control}/advance", json={"seconds": 3600}, timeout=30)
        moved.raise_for_status()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    process = _started(tmp_path, OPTIONS)
    assert process.stderr is not None
    said = process.stderr.readline()
    process.terminate()
    process.communicate(timeout=20)
    assert "2026-11-20T15:00:00Z is earlier than 2026-11-20T16:00:00Z" in said
    assert f"the state in {tmp_path / 'gateway-sim'} has reached" in said
    with gateway(tmp_path) as (_, control, _):
        assert httpx.get(f"{control}/state").json()["now"] >= "2026-11-20T16:00:00"
    with gateway(tmp_path, "--at", "2026-11-20T17:00:00Z") as (_, control, _):
        assert httpx.get(f"{control}/state").json()["now"] == "2026-11-20T17:00:00+00:00"


def test_state_ahead_of_the_machines_clock_ends_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead = ["--prices", "control", "--port", "0", "--clock", "virtual", "--control-port", "0"]
    process = _started(tmp_path, [*ahead, "--at", "2126-11-20T15:00:00Z"])
    assert process.stderr is not None
    process.stderr.readline()
    process.terminate()
    process.communicate(timeout=20)
    found = main(["serve", "--root", str(tmp_path), "gateway-sim", "--port", "0"])
    err = capsys.readouterr().err
    assert (found, "has reached 2126-11-20T15:00:00Z" in err) == (78, True), err
    assert "give --at 2126-11-20T15:00:00Z or later, or another --state" in err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--accounts", "U123"], 78, "start with DU"),
        (["--prices", "guess"], 78, "one of walk"),
        (["--clock", "virtual"], 2, "--at INSTANT"),
        (["--script", "absent.toml"], 78, "absent.toml"),
    ],
)
def test_bad_options_end_with_their_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    says: str,
) -> None:
    found = main(["serve", "--root", str(tmp_path), "gateway-sim", "--port", "0", *options])
    err = capsys.readouterr().err
    assert (found, says in err) == (code, True), err


def test_unknown_fault_word_ends_78_and_names_the_line(tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('seed = 1\n\n[[fault]]\nwhen = {on = "ack"}\ndo = "disconect"\n')
    process = _started(tmp_path, ["--port", "0", "--script", str(script)])
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 78
    assert f"{script}:5: unknown word 'disconect'; did you mean disconnect?" in stderr
