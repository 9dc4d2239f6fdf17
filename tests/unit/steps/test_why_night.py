"""What `bft why` tells of the root's own night, with and without an executor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, no_tick
from panels import ASOF, forecast, table, wavy

from bft.domain.errors import UnavailableError, UsageError
from bft.ports import Summary
from bft.ports.executor import Reply
from bft.steps import rank, record, scan, why
from bft.steps.why_night import AFTERWARDS, night_of

FALLEN = {"adjusted_close": 94.0, "rsi_14": 28.0, "bollinger_bands_signal": 1}
EVERY = "bollinger oversold_bounce oversold_reversal low_bounce ml_prediction regression_momentum"


class Away:
    """No executor."""

    url = "http://127.0.0.1:9"

    def ask(self, _method: str, _path: str, **_: Any) -> Reply:
        raise UnavailableError("executor http://127.0.0.1:9: refused; is it running?")


class Empty(Away):
    """An executor whose book is empty."""

    def ask(self, _method: str, path: str, **_: Any) -> Reply:
        if path == "/v1/health":
            return Reply(status=200, body={"mode": "paper", "account": "PER"})
        return Reply(status=404, body={"message": "no order, signal, execution or denial X"})


@pytest.fixture
def night(ports: FakePorts) -> FakePorts:
    """AAA fell to its band, CCC is calm, QQQQ was quarantined, ETFX lacks an RSI; a scan ran."""
    rows = [
        *wavy("AAA", seed=1, **FALLEN),
        *wavy("CCC", seed=3),
        *wavy("QQQQ", seed=5, **FALLEN),
        *wavy("NAN", seed=6, **FALLEN | {"rsi_14": None}),
        *wavy("SPY", seed=4, **FALLEN),
        *wavy("GONE", seed=7)[:-1],
    ]
    ports.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    known = [forecast("AAA"), forecast("QQQQ")]
    ports.store.publish("forecasts", asof=ASOF, partitions={"p": table("forecasts", known)})
    refused = {"asof": ASOF, "symbol": "QQQQ", "severity": "quarantine", "check": "x"}
    ports.store.publish("quality", asof=ASOF, partitions={"p": table("quality", [refused])})
    ports.api = Away()
    for step in (scan, rank):
        args = arguments(step.STEP, asof=ASOF)
        args.strategies = args.strategies or "core"
        step.STEP.run(ports, args, no_tick)
    return ports


def ask(ports: FakePorts, name: str) -> Summary:
    args = arguments(why.STEP, name, asof=ASOF, api_url="", json=False, root="mine")
    return why.STEP.run(ports, args, no_tick)


Told = Callable[[str], list[str]]


@pytest.fixture
def told(night: FakePorts, capsys: pytest.CaptureFixture[str]) -> Told:
    def lines(name: str) -> list[str]:
        ask(night, name)
        found = capsys.readouterr().err.splitlines()
        assert max(map(len, found)) <= 80
        return found

    return lines


def test_signal_of_the_night_is_told_without_an_executor(night: FakePorts, told: Told) -> None:
    """Red: `executor ...: is it running?`, exit 75, though the root holds the answer."""
    lines = told("aaa")
    assert lines[:2] == [
        f"AAA, night of {ASOF}: 2 signals",
        "  long entry by bollinger at the close: close 94.00 fell to its lower band 95.00",
    ]
    assert "  rank 1 of 1, execute: 106 units at 94.00, stop 89.30, target 101.52" in lines
    assert lines[-2:] == [
        "no executor could be asked for orders, denials and fills: executor",
        "  http://127.0.0.1:9: refused; is it running?",
    ]
    line = ask(night, "AAA").values
    assert line["why"] is None
    assert line["executor_unasked"].startswith("executor http://127.0.0.1:9: refused")
    (first, _) = line["night"]["signals"]
    (only,) = night_of(night, first["signal_id"][:8], ASOF)["signals"]  # type: ignore[index]
    assert only == first


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CCC", {"rule not met at the close", "no forecast of it"}),
        (
            "QQQQ",
            {"rule not met at the close", "held back, its prices are quarantined (quality report)"},
        ),
        ("NAN", {"an input unknown on that day", "no forecast of it"}),
    ],
)
def test_each_strategy_that_gave_none_says_why(
    told: Told, name: str, says: set[str], night: FakePorts
) -> None:
    """Red: the only words were that no executor answers."""
    assert told(name)[0] == f"{name}, night of {ASOF}: no signal"
    found = ask(night, name).values["night"]["no_signal"]
    assert [*found["strategies"]] == EVERY.split()
    lines = " ".join(line.strip() for line in told(name))
    for reason in says:
        assert f"{reason}: " in lines


def test_symbol_that_no_strategy_looks_at_says_so(told: Told) -> None:
    assert "  no strategy looks at this fund; it is there for others' context" in told("SPY")
    assert f"  gold has no row of it on {ASOF}" in told("GONE")


def test_executor_that_knows_nothing_leaves_the_night(night: FakePorts, told: Told) -> None:
    night.api = Empty()
    assert told("AAA")[-1] == "the executor has no order, denial or fill of it"
    with pytest.raises(UsageError, match=f"the night of {ASOF} has nothing of NOPE; executor: no"):
        ask(night, "NOPE")


def test_id_that_the_night_lacks_still_needs_an_executor(night: FakePorts) -> None:
    with pytest.raises(UnavailableError, match="has nothing of e-S1-AAPL; executor http"):
        ask(night, "e-S1-AAPL")


def test_unknown_symbol_is_a_typo_and_no_matter_of_an_executor(night: FakePorts) -> None:
    """Red: 75 with the refused connection, as if a second try could help."""
    with pytest.raises(UsageError, match=r"QQQ is not in the root; did you mean QQQQ\?") as told:
        ask(night, "QQQ")
    assert "refused" not in str(told.value)


def test_night_that_was_not_scanned_says_what_to_run(night: FakePorts, told: Told) -> None:
    rows = [*wavy("AAA", seed=1)]
    day = ASOF.replace(day=ASOF.day + 1)
    night.store.publish("gold", asof=day, partitions={"all": table("gold", rows)})
    found = night_of(night, "AAA", day)
    assert found
    assert f"signals {day} is absent (newest: {ASOF}); run: " in found["no_signal"]["because"]


@pytest.mark.parametrize(
    ("there", "reason", "absent"),
    [
        ("CCC\n", "not on the watchlist of the scan", False),
        ("CCC\nNAN\n", AFTERWARDS, True),
        (None, AFTERWARDS, True),
    ],
)
def test_watchlist_that_is_not_here_leaves_the_reasons(
    night: FakePorts,
    told: Told,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str | None,
    reason: str,
    absent: bool,
) -> None:
    """Red: nothing but `wl.csv: No such file`, where the scan had it from another folder."""
    monkeypatch.chdir(tmp_path)
    Path("wl.csv").write_text("CCC\n")
    words = ("--strategies", "bollinger", "--watchlist", "wl.csv")
    record.execute(night, "scan", scan.STEP, arguments(scan.STEP, *words, asof=ASOF), no_tick)
    Path("wl.csv").unlink()
    if there:
        Path("wl.csv").write_text(there)
    lines = told("AAA")
    assert lines[1] == f"  {reason}: bollinger"
    assert ("wl.csv is not here, or has changed" in " ".join(lines)) is absent


def test_units_of_a_pick_are_those_of_the_plans_equity(night: FakePorts, told: Told) -> None:
    """Red: `566 units` above `sent 3333`, and no word of why they differ."""
    night.store.put(f"lineage/rank/{ASOF}.json", b'{"equity_usd": 100000.0}')
    words = " ".join(line.strip() for line in told("aaa"))
    assert "units of a plan with 100,000 USD; an executor sizes anew by its account" in words
