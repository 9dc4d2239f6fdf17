from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bft.domain.errors import RefusedError
from bft.services.executor.live_lock import Route, check_route, lock_problem, peer_problem

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
PAPER = Route(mode="paper", account="DU0000001", broker="ib", profile="equities", port=4002)


def _live(folder: Path, text: str | None = None) -> Route:
    good = 'mode = "live"\naccount = "U7654321"\nby = "ada"\nexpires = 2026-04-01T00:00:00Z\n'
    path = folder / "lock.toml"
    path.write_text(good if text is None else text)
    return Route(
        mode="live",
        account="U7654321",
        broker="ib",
        profile="equities",
        port=4001,
        lock_file=path,
    )


def test_agreeing_settings_and_lock_pass(tmp_path: Path) -> None:
    check_route(_live(tmp_path), now=NOW)
    check_route(PAPER, now=NOW)
    check_route(replace(PAPER, broker="paper", account="PAPER", port=None), now=NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lock_file": None}, "without a lock file"),
        ({"account": "U1111111"}, "BFT_ACCOUNT"),
        ({"account": "DU0000001"}, "paper account"),
        ({"port": 4002}, "port 4002"),
        ({"port": 7497}, "port 7497"),
        ({"port": 5000, "other_port": True}, "port 5000"),
        ({"broker": "paper"}, "only knows paper"),
        ({"broker": "alpaca"}, "only knows paper"),
        ({"profile": "paper-small"}, "paper-small"),
        ({"profile": "equities, paper-small"}, "paper-small"),
        ({"clock": "gateway"}, "--clock gateway"),
    ],
)
def test_live_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        check_route(replace(_live(tmp_path), **change), now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": "U7654321"}, "no paper account"),
        ({"port": 4001}, "live gateways"),
        ({"port": 7496}, "live gateways"),
        ({"port": 5555}, "BFT_IB_PORT_OTHER"),
    ],
)
def test_paper_that_could_reach_live_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        check_route(replace(PAPER, **change), now=NOW)  # type: ignore[arg-type]


def test_another_port_is_taken_on_demand() -> None:
    check_route(replace(PAPER, port=5555, other_port=True), now=NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mode = ", "unreadable"),
        ('mode = "live"', "exactly"),
        (
            'mode = "paper"\naccount = "U7654321"\nby = "a"\nexpires = 2026-04-01T00:00:00Z',
            "mode or account",
        ),
        ('mode = "live"\naccount = "U7654321"\nby = "a"\nexpires = "soon"', "instant"),
        (
            'mode = "live"\naccount = "U7654321"\nby = "a"\nexpires = 2026-03-01T00:00:00Z',
            "expired",
        ),
        (
            'mode = "live"\naccount = "U7654321"\nby = "a"\nexpires = 2026-09-01T00:00:00Z',
            "90 days",
        ),
        ('mode = "live"\naccount = "U7654321"\nby = " "\nexpires = 2026-04-01T00:00:00Z', "nobody"),
    ],
)
def test_lock_that_does_not_hold_says_why(tmp_path: Path, text: str, words: str) -> None:
    problem = lock_problem(_live(tmp_path, text), now=NOW)
    assert problem is not None
    assert words in problem


def test_lock_ends_while_running(tmp_path: Path) -> None:
    route = _live(tmp_path)
    assert lock_problem(route, now=NOW) is None
    assert lock_problem(route, now=NOW + timedelta(days=60)) is not None


def test_simulated_peer_is_never_live(tmp_path: Path) -> None:
    assert peer_problem(_live(tmp_path), account_type="SIMULATED") is not None
    assert peer_problem(_live(tmp_path), account_type="INDIVIDUAL") is None
    assert peer_problem(PAPER, account_type="SIMULATED") is None
