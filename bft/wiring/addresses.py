"""Addresses and tokens that settings and arguments name, judged before they are used."""

from pathlib import Path
from urllib.parse import urlsplit

from bft.domain.errors import ConfigError


def token_of(path: str) -> str:
    """What the token file holds; without a file nothing is shown.

    Raises:
        ConfigError: it cannot be read, or holds no token.
    """
    try:
        return Path(path).read_text(encoding="ascii").strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no token"
        raise ConfigError(
            f"BFT_TOKEN_FILE={path}: {why}; write one with bft token USER --roles trader "
            f"--output {path}"
        ) from error


def simulator_address(url: str) -> str:
    """A simulator's address: its host, or its whole query address.

    Raises:
        ConfigError: it is none, or holds a password.
    """
    parts = urlsplit(url)
    if parts.password is not None:  # arguments stand in lineage, markers and run records
        raise ConfigError("--source sim:URL: no password in it; a simulator asks for none")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"--source sim:{url}: no address such as sim:http://127.0.0.1:9100")
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/query"
