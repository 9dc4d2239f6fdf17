"""Passwords in addresses, as stars in whatever is said about them."""

import re
from urllib.parse import unquote

_STARS = "***"
_IN_ADDRESS = (
    re.compile(r"://[^:/@]*:(.*)@"),  # up to the last @: a password may hold one
    re.compile(r"://[^:/@]*:([^@]*)@"),
    re.compile(r"[?&](?:password|passwd|pwd|token|secret)=([^&#]*)", re.IGNORECASE),
)
# In prose: an address ends at a blank, and digits before a slash are a port.
_SAID = (
    re.compile(r"(://[^\s:/@]*:)(?!\d+/)\S+(?=@)"),
    re.compile(r"([?&](?:password|passwd|pwd|token|secret)=)[^\s&#]+", re.IGNORECASE),
)


def passwords(url: str) -> list[str]:
    """Passwords that an address holds, as written and as decoded, the longest first."""
    found = {text for pattern in _IN_ADDRESS for text in pattern.findall(url) if text}
    return sorted(found | {unquote(text) for text in found}, key=lambda text: (-len(text), text))


def masked(text: str, url: str) -> str:
    """A text about an address without the address's passwords."""
    for password in passwords(url):
        text = text.replace(password, _STARS)
    return text


def all_masked(text: str) -> str:
    """A text without the passwords of any address in it."""
    for pattern in _SAID:
        text = pattern.sub(rf"\g<1>{_STARS}", text)
    return text
