"""Which root something belongs to, told without saying where it lies."""

import hashlib
from pathlib import Path


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
