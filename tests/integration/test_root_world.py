"""A root remembers its simulator's world: which command serves it, and that no other is taken."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from commandline import bft
from fakes import FixedClock, make_ports
from sims import served

from bft import wiring
from bft.adapters.sources.alphavantage import AlphaVantage
from bft.adapters.sources.av_client import Client, Vendor
from bft.adapters.sources.bucket import Bucket
from bft.domain.delivery import Want
from bft.domain.origin import SIMULATOR_PORT, Origin, remembered
from bft.settings import Settings
from bft.sim.market.server import command
from bft.sim.market.world import Plan

WORLD = "bft serve market-sim --symbols 3 --start 2024-12-02"
DAY = ("--asof", "2026-01-05")


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    with served("market-sim", [*shlex.split(WORLD)[3:], "--today", "2026-01-06"]) as (url, _):
        yield url


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    words = ["--symbols", "3", "--start", "2024-12-03", "--today", "2026-01-06"]
    with served("market-sim", words) as (url, _):
        yield url


def call(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "bft", *words], capture_output=True, text=True)
    return done.returncode, done.stderr


def pull(root: Path, url: str, *words: str) -> tuple[int, str]:
    return call("pull", "--root", str(root), "--source", f"sim:{url}", *words)


def kept(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_pull_from_another_world_is_refused_before_anything_is_stored(
    tmp_path: Path, here: str, elsewhere: str
) -> None:
    """Red: its prices went beside the others, and the quality gate failed the night."""
    root = tmp_path / "sim"
    assert pull(root, here, *DAY, "--topics", "listings,bars")[0] == 0
    before = kept(root)
    code, told = pull(root, elsewhere, "--asof", "2026-01-06")
    assert (code, kept(root)) == (78, before)
    assert f"`{WORLD}`" in told
    assert "`bft serve market-sim --symbols 3 --start 2024-12-03`" in told
    night = ("run", "nightly", "--asof", "2026-01-06", "--root", str(root))
    code, told = call(*night, "--source", f"sim:{elsewhere}")
    assert (code, kept(root), f"`{WORLD}`" in told) == (78, before, True)
    assert pull(root, here, "--asof", "2026-01-06", "--topics", "bars")[0] == 0


@pytest.mark.usefixtures("silent")
def test_advice_for_a_later_day_serves_the_same_world(tmp_path: Path) -> None:
    """Red: it left out what the simulator had been started with."""
    store = make_ports(tmp_path / "sim").store
    told = f'{{"path": "", "simulated": true, "source": "sim", "world": "{WORLD}"}}'
    store.put("source.json", told.encode())
    store.put("lineage/pull/2025-06-30.json", b"{}")
    store.put("runs/done/nightly/2025-06-30.json", b"{}")
    root = ("--root", str(tmp_path / "sim"))
    told = bft("status", *root)[2]
    port = urlsplit(wiring.settings().sim_url).port  # red: the advice left BFT_SIM_URL's port away
    assert f"later day:\n  {WORLD} --port {port} --today DAY\n  bft run nightly --root" in told
    code, _, told = bft("run", "nightly", "--asof", "2025-07-01", "--dry-run", *root)
    assert (code, f"in another terminal with {WORLD} --port " in told) == (78, True)


def test_root_without_a_world_takes_the_one_it_is_pulled_from(tmp_path: Path, here: str) -> None:
    """A root of before: no check, and it is remembered from then on."""
    store = make_ports(tmp_path / "sim").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    assert pull(tmp_path / "sim", here, *DAY, "--max-symbols", "2")[0] == 0
    assert remembered(store) == Origin(source="sim", simulated=True), "a part changes no note"


@pytest.mark.parametrize(
    ("words", "plan"),
    [
        ("", Plan()),
        (" --start 2022-01-03", Plan(start=date(2022, 1, 3))),
        (" --seed 8 --symbols 9 --kappa-fast 0.5", Plan(seed=8, stocks=9, kappa_fast=0.5)),
    ],
)
def test_command_of_a_world_names_what_differs(words: str, plan: Plan) -> None:
    assert command(plan) == f"bft serve market-sim{words}"


def test_simulator_tells_the_command_it_was_started_by() -> None:
    """Every option that makes a world, of its own parser: the defaults are the plan's."""
    words = "--seed 8 --symbols 4 --start 2025-12-01 --kappa-fast 0.5 --kappa-slow 0.25"
    with served("market-sim", [*words.split(), "--today", "2026-01-06"]) as (url, _):
        assert httpx.get(f"{url}/healthz").json()["world"] == f"bft serve market-sim {words}"


def asking(url: str) -> Client:
    vendor = Vendor(url=f"{url}/query", key="sim", sim=True)
    return Client(vendor, bucket=Bucket(0), clock=FixedClock(), charge=lambda _: True)


def test_interrupted_pull_goes_on_with_answers_of_its_own_world(
    tmp_path: Path, here: str, elsewhere: str
) -> None:
    """Red: at one address the other simulator's answers of before were taken for its own."""
    store, wants = make_ports(tmp_path / "root").store, [Want(topic="listings", name="active")]

    def pulled(url: str, address: str) -> tuple[object, int]:
        how = {"store": store, "clock": FixedClock(), "address": address}
        with closing(asking(url)) as client:
            source = AlphaVantage(client, sim=True, in_flight=2, **how)
            day = date(2026, 1, 5)
            (one,) = source.fetch(wants, asof=day, fresh=False, tick=lambda *_: None)
            return one.tables["listings"].to_pylist(), source.calls

    first, calls = pulled(here, "sim")
    assert calls == 1
    second, calls = pulled(elsewhere, "sim")
    assert (calls, first == second) == (1, False)
    assert pulled(here, "another port") == (first, 0), "the same world answers the same"


def test_advice_names_the_port_that_the_root_asks() -> None:
    """Red: a simulator started as advised listened where nobody asked."""
    assert Origin(source="sim", simulated=True, world=WORLD).simulator() == WORLD
    at = Origin(source="sim:http://127.0.0.1:9100", simulated=True)
    assert at.simulator() == "bft serve market-sim"
    at = Origin(source="sim:http://127.0.0.1:9207", simulated=True, world=WORLD)
    assert at.simulator() == f"{WORLD} --port 9207"
    own = Origin(source="sim", simulated=True, world=WORLD)
    assert own.simulator("http://127.0.0.1:9207") == f"{WORLD} --port 9207"
    assert at.simulator("http://127.0.0.1:9300") == f"{WORLD} --port 9207", "its own address"
    assert urlsplit(Settings().sim_url).port == SIMULATOR_PORT


@pytest.mark.usefixtures("silent")
def test_simulator_that_is_not_there_is_started_at_its_port(tmp_path: Path) -> None:
    words = ("pull", *DAY, "--root", str(tmp_path / "sim"), "--source", "sim:http://127.0.0.1:9")
    code, _, told = bft(*words)
    assert (code, "with bft serve market-sim --port 9, or" in told) == (78, True), told
