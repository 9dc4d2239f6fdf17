"""A scored market, built once."""

import shutil
from pathlib import Path

import pytest
from fakes import FakePorts, make_ports
from goldroots import publish_gold
from model_sets import put_set_of_nets
from predictions import ASOF
from registries import with_registry


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A root with gold of 24 symbols, a set of one fold and one of two."""
    root = tmp_path_factory.mktemp("built") / "root"
    ports = make_ports(root)
    publish_gold(ports, days=420)
    return root, put_set_of_nets(ports, ASOF), put_set_of_nets(ports, ASOF, older_folds=1)


@pytest.fixture
def ready(built: tuple[Path, str, str], tmp_path: Path) -> tuple[FakePorts, str]:
    """Ports on a copy of the root, and the digest of the set of one fold."""
    shutil.copytree(built[0], tmp_path / "root")
    return with_registry(make_ports(tmp_path / "root")), built[1]
