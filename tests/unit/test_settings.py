from dataclasses import fields
from pathlib import Path

import pytest

from bft.cli import VERBS, load
from bft.domain.errors import ConfigError
from bft.settings import Secret, Settings, read_settings


def test_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean BFT_ROOT"):
        read_settings({"BFT_ROTO": "x"})


@pytest.mark.parametrize("text", ["0", "1201", "many"])
def test_value_out_of_range_names_setting_and_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"BFT_AV_CALLS_PER_MINUTE.*1\.\.1200.*=140"):
        read_settings({"BFT_AV_CALLS_PER_MINUTE": text})


@pytest.mark.parametrize("name", ["LOG_LEVEL", "LOG_FORMAT", "TRADING_MODE"])
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


@pytest.mark.parametrize("name", ["BFT_STATE_URL", "BFT_TRACKER_URL", "BFT_SMTP_URL"])
def test_addresses_that_may_hold_a_password_are_secrets(name: str, tmp_path: Path) -> None:
    url = "postgresql://bft:hunter2@127.0.0.1/bft"
    settings = read_settings({name: url})
    secret = getattr(settings, name.removeprefix("BFT_").lower())
    shown = [repr(settings), str(settings), repr(secret), str(secret), f"{secret}", f"{secret:>9}"]
    assert [text for text in shown if "hunter2" in text] == []
    assert str.__str__(secret) == url
    (tmp_path / "url").write_text(f"{url}\n")
    assert read_settings({f"{name}_FILE": str(tmp_path / "url")}) == settings


@pytest.mark.parametrize("name", ["AV_URL", "SIM_URL", "S3_ENDPOINT", "OLLAMA_URL"])
def test_plain_address_with_a_password_is_refused_and_not_shown(name: str) -> None:
    """These are written into lineage and logs."""
    with pytest.raises(ConfigError, match=f"BFT_{name}: .*password") as caught:
        read_settings({f"BFT_{name}": "http://me:hunter2@127.0.0.1:9"})
    assert "hunter2" not in str(caught.value)


def test_no_step_is_handed_a_secret() -> None:
    """What a step is handed stands in its marker and lineage."""
    secrets = {f.name for f in fields(Settings) if f.type is Secret}
    handed = {name for verb in VERBS for name in load(verb).settings}
    assert secrets & handed == set()
    assert {"state_url", "tracker_url"} <= secrets


def test_secret_file_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BFT_MYSQL_PASSWORD_FILE"):
        read_settings({"BFT_MYSQL_PASSWORD_FILE": str(tmp_path / "none")})


def test_secret_file_without_a_name_or_that_is_a_folder_is_told(tmp_path: Path) -> None:
    for path, told in ("", "is empty: name the file"), (str(tmp_path), "that is a folder"):
        with pytest.raises(ConfigError, match=f"BFT_JWT_SECRET_FILE.*{told}"):
            read_settings({"BFT_JWT_SECRET_FILE": path})


def test_source_of_a_root_without_one_is_what_is_set_up() -> None:
    assert read_settings({}).usual_source == ""
    keyed = {"ALPHAVANTAGE_API_KEY": "k"}
    assert read_settings(keyed).usual_source == "alphavantage"
    assert read_settings({**keyed, "BFT_SOURCE": "files:a.csv"}).usual_source == "files:a.csv"
