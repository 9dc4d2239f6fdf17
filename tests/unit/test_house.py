"""House style that no linter knows: sizes, a standard-library domain, no patches."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "bft").rglob("*.py"))
GENERATED = {"xnys.py"}


def _functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= (first.end_lineno or 0) - first.lineno + 1 if doc else 0
            yield f"{file.relative_to(ROOT)}:{node.name}", lines


def test_functions_stay_short() -> None:
    sizes = [pair for file in PRODUCT for pair in _functions(file)]
    lines = sorted(size for _, size in sizes)
    assert [name for name, size in sizes if size > 60] == []
    assert statistics.median(lines) <= 10
    assert lines[int(0.9 * len(lines))] <= 25


def test_files_stay_short() -> None:
    sizes = {f: len(f.read_text().splitlines()) for f in PRODUCT if f.name not in GENERATED}
    assert {f.name: n for f, n in sizes.items() if n > 400} == {}
    assert statistics.median(sizes.values()) <= 150


def test_domain_imports_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"bft"}
    for file in (ROOT / "bft" / "domain").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{file.name} imports {name}"
                assert name.split(".")[0] != "bft" or name.startswith("bft.domain"), file.name


def test_tests_patch_environment_and_directory_only() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if named and node.value.id == "monkeypatch":
                allowed = {"setenv", "delenv", "chdir", "syspath_prepend"}
                assert node.attr in allowed, f"{file.name}: monkeypatch.{node.attr}"


def test_repository_names_no_machine_path_or_index() -> None:
    words = ["/" + "work/", "index-" + "url", "/" + "root/"]
    for file in sorted(ROOT.glob("requirements/*.txt")) + PRODUCT:
        text = file.read_text()
        assert not [word for word in words if word in text], file.name
