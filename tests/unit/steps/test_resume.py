"""`bft resume`: which halts there are, and the end of one."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick

from bft.domain.errors import RefusedError, UnavailableError, UsageError
from bft.domain.roots import root_id
from bft.flow import executor
from bft.ports import Summary
from bft.ports.executor import Reply
from bft.steps import resume


def halt(name: str) -> dict[str, Any]:
    return {
        "halt_id": name,
        "scope": "symbol",
        "key": "AAPL",
        "reason": "rumour",
        "set_by": "ada",
        "until": None,
    }


def alert(name: str) -> dict[str, Any]:
    return {"name": name, "at": "2026-01-05T14:36:00+00:00", "message": name}


class Api:
    """Holds halts; one that is resumed is over."""

    url = "http://executor"
    latched, flatten, told = True, False, ("KillLatched", "DayLossHalt", "QuoteStale")

    def __init__(self, *names: str) -> None:
        self.held, self.bodies = [halt(name) for name in names], list[Any]()

    def ask(self, _method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if path == "/v1/resume":
            self.bodies.append(body)
            return Reply(status=200, body=halt(body["confirm"]))
        told: dict[str, Any] = {
            "/v1/health": {"may_open": False, "reasons": ["halt"], "mode": "paper"},
            "/v1/positions": {"positions": []},
            "/v1/orders?limit=1000": {"orders": []},
            "/v1/reconcile/unknown": {"orders": []},
            "/v1/kill": {
                "latched": self.latched,
                "generation": 3,
                "sources": ["file"],
                "flatten": self.flatten,
            },
            "/v1/halts": {"halts": self.held},
            "/v1/events?limit=1000": {"rows": [alert(name) for name in self.told]},
        }
        return Reply(status=200, body=told[path])


def run(root: Path, api: Api, *words: str) -> Summary:
    args = arguments(resume.STEP, *words, api_url="", json=False, root=None)
    return resume.STEP.run(make_ports(root, api=api), args, no_tick)


def test_without_an_id_halts_are_listed_with_their_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api("manual:symbol:A B:1", "other")
    assert len(run(tmp_path, api).values["halts"]) == 2
    err = capsys.readouterr().err
    assert "halt: symbol AAPL: rumour (by ada)" in err
    assert "  bft resume 'manual:symbol:A B:1'\n" in err
    assert api.bodies == []


def test_halt_is_named_whole_or_by_how_it_begins(tmp_path: Path) -> None:
    api = Api("manual:1", "drawdown:1")
    left = run(tmp_path, api, "draw", "--note", "looked").values["halts"]
    assert api.bodies == [{"confirm": "drawdown:1", "note": "looked"}]
    assert [row["halt_id"] for row in left] == ["manual:1"]


@pytest.mark.parametrize(("text", "told"), [("man", "several halts"), ("x", "no halt in force")])
def test_what_names_no_single_halt_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"{told}.*manual:1, manual:2"):
        run(tmp_path, Api("manual:1", "manual:2"), text)


def test_status_shows_how_an_admin_ends_halts_and_kill(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = executor.standing(Api("manual:1"), "s3://other")
    told |= {"simulated": True, "account": "PER", "session_state": "ARMED"}
    executor.say(told)
    err = capsys.readouterr().err
    assert "halt: symbol AAPL: rumour\n    bft resume manual:1\n" in err
    assert "kill switch: latched (file)\n    bft kill --clear 3\n" in err


def test_status_tells_that_the_kill_switch_closes_what_anybody_buys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = Api()
    api.flatten = True
    told = executor.standing(api, "s3://other")
    told |= {"simulated": True, "account": "PER", "session_state": "ARMED"}
    executor.say(told)
    assert (
        "  kill switch: latched (file)\n"
        "    all positions are being closed, and what anybody buys on this account, "
        "until it is cleared\n"
        "    bft kill --clear 3\n"
    ) in capsys.readouterr().err


@pytest.mark.parametrize(("state", "seen"), [("ARMED", ""), ("DOWN", ", as last seen")])
def test_status_tells_zones_and_what_is_not_seen_now(
    capsys: pytest.CaptureFixture[str], state: str, seen: str
) -> None:
    api = Api("day")
    api.held[0]["until"] = "2026-01-05T21:00:00+00:00"
    told = executor.standing(api, "s3://other")
    held = {"symbol": "A", "quantity": "5", "stops": ["9"], "protected": True}
    told |= {"simulated": True, "account": "PER", "session_state": state, "positions": [held]}
    executor.say(told)
    err = capsys.readouterr().err
    assert f"stop 9  protected{seen}\n" in err
    assert "  2026-01-05 14:36 UTC KillLatched: " in err
    assert "until 2026-01-05 21:00 UTC\n" in err


def test_file_that_still_says_kill_is_named_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pulled(Api):
        def ask(self, method: str, path: str, **more: Any) -> Reply:
            found = super().ask(method, path, **more)
            return Reply(status=200, body=found.body | {"pulled_now": "file"})

    def said(root: str) -> str:
        told = executor.standing(Pulled(), root)
        executor.say(told | {"simulated": True, "account": "PER", "session_state": "ARMED"})
        return capsys.readouterr().err

    assert "remove the file KILL of its state folder, then:\n    bft kill --clear 3" in said(
        "s3://b"
    )
    (tmp_path / "KILL").touch()
    assert f"remove the file {tmp_path}/KILL, then:\n    bft kill --clear 3" in said(str(tmp_path))


def test_status_drops_alerts_whose_cause_was_ended() -> None:
    class Cleared(Api):
        latched = False

    def shown(api: Api) -> list[str]:
        return [alert["name"] for alert in executor.standing(api, "s3://other")["alerts"]]

    assert shown(Api()) == ["KillLatched", "QuoteStale"]
    assert shown(Cleared()) == ["QuoteStale"]
    lossy = Cleared("daily_loss:1")
    lossy.held[0]["rule"] = "daily_loss"
    assert shown(lossy) == ["DayLossHalt", "QuoteStale"]


@pytest.mark.parametrize("lasts", [True, False])
def test_status_drops_alerts_that_are_seen_to_be_over(lasts: bool) -> None:
    naked = {"symbol": "A", "quantity": "5", "average_cost": "9", "exits": []}
    seen: dict[str, Any] = {
        "/v1/health": {"session_state": "DOWN" if lasts else "ARMED"},
        "/v1/positions": {"positions": [naked | {"protected_quantity": 0 if lasts else 5}]},
    }

    class Seen(Api):
        told = ("BrokerDown", "ProtectionMissing")

        def ask(self, method: str, path: str, **more: Any) -> Reply:
            found = super().ask(method, path, **more)
            return Reply(status=200, body=found.body | seen.get(path, {}))

    alerts = executor.standing(Seen(), "s3://other")["alerts"]
    assert [alert["name"] for alert in alerts] == (list(Seen.told) if lasts else [])


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        ("2026-01-05T14:51:00+00:00", ["AuthFailures", "ExitStuck", "BrokerErrors"]),
        ("2026-01-05T14:51:01+00:00", ["ExitStuck"]),
        ("2026-01-04T14:00:00+00:00", ["AuthFailures", "ExitStuck", "BrokerErrors"]),
    ],
    ids=["15 min", "later", "a clock set back"],
)
def test_status_drops_alerts_that_are_not_told_again(now: str, shown: list[str]) -> None:
    """They were told at 14:36; what is told once stays until its cause is ended."""

    class Later(Api):
        told = ("AuthFailures", "ExitStuck", "BrokerErrors")

        def ask(self, method: str, path: str, **more: Any) -> Reply:
            found = super().ask(method, path, **more)
            return Reply(status=200, body=found.body | {"now": now})

    alerts = executor.standing(Later(), "s3://other")["alerts"]
    assert [alert["name"] for alert in alerts] == shown


def test_advice_names_the_root_where_the_call_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = executor.standing(Api("manual:1"), "s3://other", given="my root")
    assert told["halts"][0]["resume"] == "bft resume --root 'my root' manual:1"
    assert told["kill"]["clear"] == "bft kill --root 'my root' --clear 3"
    args = arguments(resume.STEP, api_url="", json=False, root="demo")
    resume.STEP.run(make_ports(tmp_path, api=Api("manual:1")), args, no_tick)
    assert "  bft resume --root demo manual:1\n" in capsys.readouterr().err


def test_executor_of_another_root_is_told_and_not_taken_for_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Other(Api):
        url = "http://127.0.0.1:9001"
        told = "0123456789abcdef"

        def ask(self, method: str, path: str, **more: Any) -> Reply:
            if path == "/v1/health":
                body = {"root": self.told, "mode": "paper", "account": "001", "may_open": True}
                return Reply(status=200, body=body)
            return super().ask(method, path, **more)

    told = executor.standing(Other(), str(tmp_path))
    assert told["foreign"]
    assert "positions" not in told
    executor.say(told)
    assert "belongs to another root" in capsys.readouterr().err
    with pytest.raises(UnavailableError, match="another root"):
        executor.check(told)
    own = Other()
    own.told = root_id(str(tmp_path))
    assert "foreign" not in executor.standing(own, str(tmp_path))


def test_what_keeps_entries_back_keeps_no_exit_back() -> None:
    told = {"url": "u", "may_open": False, "reasons": ["entries today, 5 of 5 (rule 20)"]}
    told["session_state"] = "ARMED"
    with pytest.raises(RefusedError, match=r"closed to opening: entries today, 5 of 5 \(rule 20\)"):
        executor.check(told)
    executor.check(told, "orders")
    with pytest.raises(UnavailableError, match="broker session is DOWN, not ARMED"):
        executor.check(told | {"session_state": "DOWN"}, "orders")
