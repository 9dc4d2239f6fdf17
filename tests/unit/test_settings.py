from pathlib import Path

import pytest

from bft.domain.errors import ConfigError
from bft.settings import read_settings


def test_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean BFT_ROOT"):
        read_settings({"BFT_ROTO": "x"})


@pytest.mark.parametrize("text", ["0", "1201", "many"])
def test_value_out_of_range_names_setting_and_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"BFT_AV_CALLS_PER_MINUTE.*1\.\.1200.*=140"):
        read_settings({"BFT_AV_CALLS_PER_MINUTE": text})


@pytest.mark.parametrize("name", ["LOG_LEVEL", "LOG_FORMAT", "MODE"])
def test_word_that_is_no_choice_names_the_choices(name: str) -> None:
    with pytest.raises(ConfigError, match=f"BFT_{name}='loud': one of .*, "):
        read_settings({f"BFT_{name}": "loud"})


@pytest.mark.parametrize("text", ["2016", "yesterday", "2016-02-30", ""])
def test_first_day_that_is_none_names_setting_and_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"BFT_HISTORY_START=.*: an ISO date.*=2016-01-01"):
        read_settings({"BFT_HISTORY_START": text})


def test_equal_days_are_equal_settings() -> None:
    """They stand in the markers' keys."""
    assert read_settings({"BFT_HISTORY_START": "20160104"}).history_start == "2016-01-04"


def test_choice_may_be_in_capitals() -> None:
    assert read_settings({"BFT_LOG_LEVEL": "WARNING"}).log_level == "warning"


def test_secret_is_masked_and_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2\n")
    settings = read_settings({"ALPHAVANTAGE_API_KEY_FILE": str(file)})
    assert str.__str__(settings.alphavantage_api_key) == "hunter2"
    assert "hunter2" not in repr(settings)


def test_secret_file_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BFT_MYSQL_PASSWORD_FILE"):
        read_settings({"BFT_MYSQL_PASSWORD_FILE": str(tmp_path / "none")})
