"""`python -m workflows` renders every program; `--check` compares with what is committed."""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("nightly", "premarket", "market-hours", "close", "backfill")


def render(name: str) -> str:
    program = name.replace("-", "_")
    objects = getattr(import_module(f"workflows.{program}"), program.upper())
    head = f"# Generated from workflows/{program}.py by make workflows. Do not edit.\n"
    return head + "---\n".join(made.to_yaml() for made in objects)


def main(words: list[str]) -> int:
    texts = {HERE / "rendered" / f"{name}.yaml": render(name) for name in NAMES}
    stale = [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_bytes() != text.encode()
    ]
    for path in stale:
        print(f"stale: {path.relative_to(HERE.parent)}", file=sys.stderr)
        if words != ["--check"]:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(texts[path].encode())
    return int(bool(stale) and words == ["--check"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
