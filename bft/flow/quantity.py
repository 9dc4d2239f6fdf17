"""Durations and amounts as Kubernetes and Argo write them."""

import re
from contextlib import suppress

from bft.domain.errors import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES_MB = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024, "Ti": 1024**2, "": 1 / 2**20}
_SIZES_MB |= {"k": 1e3 / 2**20, "M": 1e6 / 2**20, "G": 1e9 / 2**20, "T": 1e12 / 2**20}
NODES = {"laptop": (2.0, 8192), "single-node": (4.0, 16_384), "two-node": (8.0, 32_768)}
"""Profile -> cores and MiB of its largest node."""


def seconds(text: str) -> float:
    """A duration of Argo (`90`, `10s`, `1h30m`; `inf` for none) in seconds.

    Raises:
        ConfigError: it is none.
    """
    parts = _DURATION.findall(text)
    if parts and "".join(n + unit for n, unit in parts) == text:
        return sum(float(n) * _UNITS_S[unit] for n, unit in parts)
    with suppress(ValueError):
        if float(text) >= 0:
            return float(text)
    raise ConfigError(f"{text!r} is no duration such as 90s or 1h30m")


def cpus(text: str) -> float:
    """Cores of an amount such as `500m` or `2`."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def megabytes(text: str) -> int:
    """MiB of an amount such as `512Mi`.

    Raises:
        ConfigError: it is none.
    """
    number = text.rstrip("KMGTik")
    try:
        return round(float(number) * _SIZES_MB[text[len(number) :]])
    except (KeyError, ValueError):
        raise ConfigError(f"{text!r} is no amount of memory such as 512Mi") from None
