"""What a marker's key holds of the code: also the module that reads raw tables for a step."""

import importlib

import pytest

from bft.cli import VERBS
from bft.steps.record import PACKAGE
from bft.steps.training import ARRAY_CODE

READER = "steps.gold_tables"


def reads_raw_tables(module: str) -> bool:
    """Whether a module of the steps names the one that reads raw tables as known then."""
    file = PACKAGE / f"{module.replace('.', '/')}.py"
    return module.startswith("steps.") and "gold_tables" in file.read_text()


@pytest.mark.parametrize("verb", VERBS)
def test_code_of_a_step_names_what_reads_its_raw_tables(verb: str) -> None:
    """Red: predict, train, gate and rank were found finished after a change of it."""
    code = importlib.import_module(VERBS[verb][0]).STEP.code
    readers = {module for module in code if reads_raw_tables(module)}
    assert not readers or READER in code


def test_arrays_are_built_anew_where_what_reads_their_raw_tables_changed() -> None:
    assert READER in ARRAY_CODE
