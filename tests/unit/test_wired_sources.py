"""`--source` words to sources."""

import errno
from pathlib import Path

import pytest
import structlog

from bft.cli import CommandLine
from bft.domain.errors import ConfigError, RefusedError, UnavailableError
from bft.settings import Secret, Settings
from bft.wiring import Wired, fault_of_root


def wired(root: Path, **values: object) -> Wired:
    return Wired(Settings(**values), root=str(root), commands=CommandLine())  # type: ignore[arg-type]


def test_password_in_an_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BFT_MYSQL_PASSWORD") as caught:
        wired(tmp_path).source("mysql:mysql+pymysql://reader:hunter2@127.0.0.1:9/legacy")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("spec", ["", "alphavantage", "bloomberg"])
def test_no_source_names_one_that_works(tmp_path: Path, spec: str) -> None:
    with pytest.raises(ConfigError, match="--source sim"):
        wired(tmp_path).source(spec)


@pytest.mark.parametrize("spec", ["files", "files:", "mysql:"])
def test_source_that_lacks_its_place_gives_an_example_of_its_own(tmp_path: Path, spec: str) -> None:
    kind = spec.removesuffix(":")
    with pytest.raises(ConfigError, match=f"--source {spec} lacks its .*--source {kind}:"):
        wired(tmp_path).source(spec)


def test_named_vendor_without_a_key_asks_for_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"alphavantage needs a key.*ALPHAVANTAGE_API_KEY_FILE"):
        wired(tmp_path).source("alphavantage")


def test_full_disk_is_told_although_a_write_names_no_file() -> None:
    fault = fault_of_root(OSError(errno.ENOSPC, "No space left on device"), "mine")
    assert isinstance(fault, UnavailableError)
    assert "make room" in str(fault)
    assert fault_of_root(OSError(errno.EPIPE, "Broken pipe"), "mine") is None


def test_simulator_has_an_address(tmp_path: Path) -> None:
    assert wired(tmp_path).source("sim").replayed
    with pytest.raises(ConfigError, match="sim:http"):
        wired(tmp_path).source("sim:nowhere")


def test_key_alone_means_alphavantage_and_is_shown_nowhere(tmp_path: Path) -> None:
    source = wired(tmp_path, alphavantage_api_key=Secret("s3cret")).source("")
    assert source.name == "alphavantage"
    assert "s3cret" not in repr(vars(source))


def test_source_is_made_once(tmp_path: Path) -> None:
    ports = wired(tmp_path)
    assert ports.source("sim") is ports.source("sim")


def test_tables_of_a_root_are_published_under_its_lease(tmp_path: Path) -> None:
    ports = wired(tmp_path)
    with ports.store.exclusive(), pytest.raises(RefusedError, match="tables is held by pid"):
        ports.state.lease("tables").__enter__()
    with ports.state.lease("tables"):
        pass


def test_bucket_is_not_opened_without_the_state_that_guards_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BFT_STATE_URL"):
        _ = Wired(Settings(), root="s3://bft/x", commands=CommandLine()).store


def test_a_traceback_in_a_log_for_people_shows_no_locals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wired(tmp_path, log_format="text").notifier is not None  # what it wires writes logs
    key = "hunter" + "2"
    try:
        raise ValueError(len(key))
    except ValueError:
        structlog.get_logger().exception("test.failed")
    told = capsys.readouterr().err
    assert "test.failed" in told
    assert "ValueError" in told
    assert "hunter2" not in told
