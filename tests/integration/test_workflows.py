"""Rendered workflows are what their programs say, byte for byte, wherever they are rendered."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "workflows" / "rendered").glob("*.yaml"))


def render(code: str, *, cwd: Path, **env: str) -> bytes:
    words = [sys.executable, "-c", code]
    made = {"PYTHONPATH": str(ROOT), **env}
    return subprocess.run(words, cwd=cwd, env=made, check=True, capture_output=True).stdout


def test_rendered_files_are_what_the_programs_say(tmp_path: Path) -> None:
    code = (
        "import sys; from workflows.__main__ import NAMES, render\n"
        "for name in NAMES: sys.stdout.write(render(name))"
    )
    here = render(code, cwd=ROOT, PYTHONHASHSEED="1", LC_ALL="C")
    there = render(code, cwd=tmp_path, PYTHONHASHSEED="2", LC_ALL="C.UTF-8")
    assert here == there
    parts = [(ROOT / "workflows" / "rendered" / f"{n}.yaml").read_bytes() for n in names()]
    assert here == b"".join(parts)


def names() -> list[str]:
    code = "from workflows.__main__ import NAMES; print(*NAMES)"
    return render(code, cwd=ROOT).decode().split()


def test_every_program_has_a_rendered_file() -> None:
    programs = {p.stem for p in (ROOT / "workflows").glob("*.py")} - {
        "__init__",
        "__main__",
        "common",
    }
    assert (
        {path.stem.replace("-", "_") for path in FILES}
        == programs
        == {name.replace("-", "_") for name in names()}
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rendered_file_names_no_namespace_date_or_latest(path: Path) -> None:
    text = path.read_text()
    program = path.stem.replace("-", "_")
    assert text.startswith(f"# Generated from workflows/{program}.py by make workflows.")
    assert "\r" not in text
    assert "namespace" not in text
    assert "latest" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_container_keeps_the_conventions(path: Path) -> None:
    spec = next(iter(yaml.safe_load_all(path.read_text())))["spec"]
    for template in spec["templates"]:
        if "container" not in template:
            continue
        container, name = template["container"], template["name"]
        assert container["command"] == ["bft"], name
        assert container["image"].startswith("{{workflow.parameters.image"), name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert template["automountServiceAccountToken"] is False, name
        assert {"timeout", "activeDeadlineSeconds", "serviceAccountName"} <= set(template), name
        kind = template["metadata"]["labels"]["bft.dev/class"]
        assert ("retryStrategy" in template) is (kind != "once"), name
        requests, limits = (container["resources"][key] for key in ("requests", "limits"))
        assert set(requests) == set(limits) == {"cpu", "memory", "ephemeral-storage"}, name


def test_nightly_is_the_table_of_the_specification() -> None:
    spec = next(iter(yaml.safe_load_all((ROOT / "workflows/rendered/nightly.yaml").read_text())))
    templates = {t["name"]: t for t in spec["spec"]["templates"]}
    tasks = {t["name"]: t for t in templates["night"]["dag"]["tasks"]}
    assert (
        list(tasks)
        == (
            "build train-missing gate-missing promote-missing adopt score demote rescore "
            "mark-unscored publish mark-failed"
        ).split()
    )
    target = "build score rescore publish mark-failed mark-unscored"
    assert templates["night"]["dag"]["target"] == target
    assert templates["night"]["dag"]["failFast"] is False
    deadlines = {
        name: (t["timeout"], t["activeDeadlineSeconds"])
        for name, t in templates.items()
        if "container" in t
    }
    assert deadlines == {
        "guard": ("10m", 60),
        "build": ("3h", 7200),
        "train-missing": ("8h", 21600),
        "gate-missing": ("1h", 1800),
        "promote-missing": ("10m", 120),
        "adopt": ("10m", 120),
        "score": ("45m", 1200),
        "demote": ("5m", 60),
        "rescore": ("45m", 1200),
        "mark-unscored": ("30m", 900),
        "publish": ("1h", 3000),
        "mark-failed": ("1h", 3000),
        "exit": ("10m", 120),
    }


def test_order_workflows_are_the_table_of_the_specification() -> None:
    """Platform specification, section 1.4: deadlines, retries, classes of the order nodes."""
    expected = {
        "premarket": {
            "ready": ("5m", 30, "pure", 10),
            "execute": ("4m", 180, "once", None),
        },
        "market-hours": {
            "scan": ("8m", 240, "replace", 2),
            "execute": ("4m", 180, "once", None),
        },
        "close": {
            "flatten": ("10m", 420, "once", None),
            "reconcile": ("10m", 120, "once", None),
            "books": ("30m", 900, "replace", 5),
        },
    }
    for name, nodes in expected.items():
        path = ROOT / "workflows" / "rendered" / f"{name}.yaml"
        spec = next(iter(yaml.safe_load_all(path.read_text())))["spec"]
        found = {
            t["name"]: (
                t["timeout"],
                t["activeDeadlineSeconds"],
                t["metadata"]["labels"]["bft.dev/class"],
                t.get("retryStrategy", {}).get("limit"),
            )
            for t in spec["templates"]
            if "container" in t and t["name"] not in {"guard", "exit"}
        }
        assert found == nodes, name


def test_close_fails_when_flatten_or_reconcile_did() -> None:
    path = ROOT / "workflows" / "rendered" / "close.yaml"
    spec = next(iter(yaml.safe_load_all(path.read_text())))["spec"]
    day = next(t["dag"] for t in spec["templates"] if t["name"] == "end-of-day")
    assert (day["target"], day["failFast"]) == ("flatten reconcile books", False)
