"""Randomness by name: a value is a hash of (seed, stream, symbol, day), so call order is nothing.

Keys broadcast like arrays. A longer range of days begins with the values of a shorter one.
"""

from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]


@cache
def key(text: str) -> int:
    """Number of a name: 64 bits of its BLAKE2b."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def keys(names: list[str]) -> Keys:
    """Numbers of names."""
    return np.array([key(name) for name in names], dtype=np.uint64)


def uniform(seed: int, stream: str, *parts: ArrayLike) -> Floats:
    """Uniform values inside (0, 1), one per combination of the broadcast parts."""
    state = np.full(1, key(f"{seed}/{stream}"), dtype=np.uint64)
    for part in parts:
        state = _mix(state ^ _mix(_bits(part)))
    shape = np.broadcast_shapes(*(np.shape(part) for part in parts))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5).reshape(shape) * 2.0**-53


def normal(seed: int, stream: str, *parts: ArrayLike) -> Floats:
    """Standard normal values (Box and Muller, 1958)."""
    u, v = (uniform(seed, f"{stream}/{side}", *parts) for side in "uv")
    drawn: Floats = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return drawn


def student5(seed: int, stream: str, *parts: ArrayLike) -> Floats:
    """Student t of 5 degrees of freedom, scaled to variance 1: normal over root of chi square."""
    four = -2 * np.log(uniform(seed, f"{stream}/p", *parts) * uniform(seed, f"{stream}/q", *parts))
    five = four + normal(seed, f"{stream}/r", *parts) ** 2
    drawn: Floats = normal(seed, f"{stream}/n", *parts) / np.sqrt(five / 5) * np.sqrt(3 / 5)
    return drawn


def _bits(part: ArrayLike) -> Keys:
    values = np.atleast_1d(np.asarray(part))
    return values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)


def _mix(x: Keys) -> Keys:
    # SplitMix64: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators (2014)
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
