import pytest

from bft.domain.masking import all_masked, masked, passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://bft:hunter2@db:5432/x", "postgresql://bft:***@db:5432/x"),
        ("http://:hunter2@host/", "http://:***@host/"),
        ("http://me:hun@ter/2@host/", "http://me:***@host/"),
        ("postgresql://db/x?user=a&password=hunter2&sslmode=on", None),
        ("http://[broken:hunter2@host", "http://[broken:***@host"),
        ("postgresql://bft@db/x", "postgresql://bft@db/x"),
        ("sqlite:////data/state.db", "sqlite:////data/state.db"),
    ],
)
def test_address_is_shown_without_its_passwords(url: str, shown: str | None) -> None:
    found = masked(url, url)
    assert "hunter2" not in found
    assert "ter/2" not in found
    assert shown is None or found == shown


def test_decoded_password_is_masked_as_well() -> None:
    url = "postgresql://bft:hun%40ter2@db/x"
    assert passwords(url) == ["hun%40ter2", "hun@ter2"]
    assert masked("login as bft with hun@ter2 failed", url) == "login as bft with *** failed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no source 'http://u:pw@host:1/q'; see x@y", "no source 'http://u:***@host:1/q'; see x@y"),
        ("sim:http://u:p@w@h and pg://v:x/y@h", "sim:http://u:***@h and pg://v:***@h"),
        ("on http://127.0.0.1:9100/a@b, mail c@d", "on http://127.0.0.1:9100/a@b, mail c@d"),
        ("http://127.0.0.1:9100/query, me@here", "http://127.0.0.1:9100/query, me@here"),
        ("http://h/?a=1&Token=abc&b=2 fails", "http://h/?a=1&Token=***&b=2 fails"),
        ("http://:pw@h", "http://:***@h"),
    ],
)
def test_passwords_of_any_address_in_a_sentence(text: str, shown: str) -> None:
    assert all_masked(text) == shown
