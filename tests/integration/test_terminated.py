"""SIGTERM twice, as a chain and its runner say it, does not cut short what the first one began."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SLOW = """
import sys, time, types
from bft import cli
from bft.ports import Step

def run(_ports, _args, _tick):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.3)
        print("cleaned", flush=True)

slow = types.ModuleType("slow")
slow.STEP = Step(effect="pure", summary="slow", arguments=lambda _parser: None, run=run)
sys.modules["slow"] = slow
cli.VERBS["slow"] = ("slow", "slow")
sys.argv = ["bft", "slow", "--root", sys.argv[1]]
sys.exit(cli.main())
"""


def test_second_sigterm_does_not_interrupt_the_cleaning_up(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SLOW, str(tmp_path)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        said, _ = process.communicate(timeout=15)
    assert (said, process.returncode) == ("cleaned\n", 75)


def test_sigterm_ends_a_pull_whose_vendor_hangs(tmp_path: Path) -> None:
    """Red: a worker that connected just then was waited for until it gave up, 30 s later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = ["pull", "--asof", "2025-03-14", "--source", f"sim:{address}"]
        command = [sys.executable, "-m", "bft.cli", *words, "--root", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = silent.accept()
            connection.recv(1)
            process.send_signal(signal.SIGTERM)
            try:
                _, said = process.communicate(timeout=15)
            finally:
                process.kill()
            connection.close()
    assert process.returncode == 75
    assert "told to stop; the same command resumes" in said
