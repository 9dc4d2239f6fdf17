"""Another root's executor on the same address: nothing is asked of it, but to stop."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick
from order_roots import NIGHT, night_root

from bft.domain.errors import RefusedError
from bft.domain.roots import elsewhere, root_id
from bft.ports import Step
from bft.ports.executor import Reply
from bft.steps import audit, close, execute, kill, resolve, resume, why

PATH = "/home/ada/pap"
SWITCH = {"latched": True, "generation": 1, "sources": ["api"], "flatten": False}


class Other:
    """Answers health and the switch; `asked` is all else, which nobody may ask."""

    def __init__(self, *, admin: bool = False, url: str = "http://127.0.0.1:9001") -> None:
        self.url, self.admin, self.asked = url, admin, list[tuple[str, str]]()

    def ask(self, method: str, path: str, **_: Any) -> Reply:
        if path == "/v1/health":
            told = {"root": "0123456789abcdef", "mode": "paper", "account": "PER"}
            return Reply(status=200, body=told)
        if path == "/v1/debug/config":
            if not self.admin:
                raise RefusedError("executor: admins only")
            return Reply(status=200, body={"values": {"root": {"value": PATH}}})
        self.asked.append((method, path))
        return Reply(status=200, body=SWITCH | {"halts": [], "orders": []})


def call(root: Path, api: Other, step: Step, *words: str) -> Any:
    args = arguments(step, *words, api_url="", json=False, root=None, state_dir="")
    if step is execute.STEP or step is why.STEP:
        args.asof = NIGHT
    return step.run(make_ports(root, api=api), args, no_tick)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (execute.STEP, ("--wait", "0")),
        (close.STEP, ("--symbol", "AAPL")),
        (close.STEP, ("--symbol", "AAPL", "--dry-run")),
        (close.STEP, ("--reconcile",)),
        (resume.STEP, ("manual:1",)),
        (resolve.STEP, ()),
        (why.STEP, ("order-1",)),
        (audit.STEP, ()),
        (kill.STEP, ("--clear", "1")),
    ],
)
def test_verb_is_refused_and_names_both_roots(
    tmp_path: Path, step: Step, words: tuple[str, ...]
) -> None:
    root, api = night_root(tmp_path / "demo"), Other(admin=True)
    with pytest.raises(RefusedError) as caught:
        call(root, api, step, *words)
    told = str(caught.value)
    assert (
        f"another root, {PATH} (id 01234567), not for {root} (id {root_id(str(root))[:8]})" in told
    )
    assert "nothing was done. Give the --root" in told
    assert api.asked == []


def test_executor_of_a_root_trades_for_none_that_is_not_there(tmp_path: Path) -> None:
    """Red: `bft status` showed another root's executor as that of a mistyped one."""
    assert elsewhere("http://127.0.0.1:9001", "01234567", str(tmp_path / "none"))


def test_path_of_another_root_is_told_to_its_admins_only(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"its path is told to admins only \(id 01234567\)"):
        call(tmp_path, Other(), resume.STEP)


def test_executor_that_is_not_on_this_machine_is_not_judged(tmp_path: Path) -> None:
    """A folder has another identity there, also where it is the same one."""
    api = Other(url="http://executor.bft:9001")
    call(tmp_path, api, resume.STEP)
    assert api.asked == [("GET", "/v1/halts")]


@pytest.mark.parametrize(("words", "method"), [((), "POST"), (("--show",), "GET")])
def test_kill_is_pulled_and_only_then_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], method: str
) -> None:
    api = Other()
    assert call(tmp_path, api, kill.STEP, *words).values["latched"]
    assert api.asked == [(method, "/v1/kill")]
    assert "warning: executor http://127.0.0.1:9001" in capsys.readouterr().err
