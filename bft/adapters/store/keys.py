"""Names of objects: plain relative paths with `/`, the same in a folder and in a bucket."""

from bft.domain.errors import DataError


def plain(key: str) -> str:
    """The key itself.

    Raises:
        DataError: empty, absolute, or with an empty, `.` or `..` part.
    """
    if not key or {"", ".", ".."} & set(key.split("/")):
        raise DataError(f"key {key!r} is no path below the root, such as tables/bars/x.parquet")
    return key


def prefix(text: str) -> str:
    """The beginning of keys: a key that may end anywhere; the empty one begins all."""
    if text:
        plain(f"{text}x")
    return text
