import ast
from pathlib import Path

from bft.models import fold

MODELS = Path(fold.__file__).parent
ONLY_EVALUATES = {"evidence"}


def imported(name: str) -> set[str]:
    """Modules of bft.models that a module of it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((MODELS / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "bft.models":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("bft.models."):
            found.add(str(node.module).rpartition(".")[2])
    return found


def test_a_training_key_covers_every_module_that_fits_a_fold() -> None:
    reached, ahead = set(), {"fit"}
    while ahead:
        reached |= ahead
        ahead = {other for name in ahead for other in imported(name)} - reached - ONLY_EVALUATES
    assert reached == {file.stem for file in fold.code_files() if file.parent == MODELS}
    assert {"fit", "optimizers", "runtime", "checkpoint", "description"} <= reached
