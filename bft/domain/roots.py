"""Which root something belongs to, told without saying where it lies."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def root_id(root: str) -> str:
    """Sixteen hex digits of a root: a bucket's address, a folder's identity on this machine.

    A folder mounted elsewhere is still itself; a copy of it is another. Empty: it is not there.
    """
    if "://" in root:
        told = root.rstrip("/")
    else:
        try:
            found = Path(root).stat()
        except OSError:
            return ""
        told = f"{found.st_dev}:{found.st_ino}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def elsewhere(url: str, told: object, root: str) -> bool:
    """Whether an executor at an address, by the `root_id` it tells, trades for another root.

    Of folders only one of this machine can tell: elsewhere the same folder has another identity.
    """
    near = "://" in root or urlsplit(url).hostname in LOOPBACK
    return bool(near and told and told != root_id(root))
