"""A root that is no folder, or one that may not be written to, told in one sentence."""

import errno
from pathlib import Path

from bft.domain.errors import BftError, ConfigError, UnavailableError

_FULL = {errno.ENOSPC, errno.EDQUOT}


def check_folder(root: str) -> None:
    """See that a folder is, or could be made, where the root is to be.

    Raises:
        ConfigError: a file lies there, or above it.
    """
    if "://" in root:
        return
    place = Path(root).absolute()
    there = next(path for path in (place, *place.parents) if path.exists() or path.is_symlink())
    if there.is_dir():
        return
    what = "a file" if there.is_file() else "no folder"
    whose = "it" if there == place else str(there)
    raise ConfigError(f"--root {root}: {whose} is {what}; give --root the path of a folder")


def fault_of_root(error: OSError, root: str) -> BftError | None:
    """What an error of the file system below a root means, or None: it lies elsewhere."""
    if error.errno in _FULL and not error.filename:  # a write tells no name, as an open does
        return UnavailableError(
            f"no space left on the disk of root {root}, or where the output goes; make room, then "
            "run the same command again"
        )
    place = Path(root).absolute()
    name = error.filename if isinstance(error.filename, str) else ""
    if "://" in root or not name or not Path(name).absolute().is_relative_to(place):
        return None
    told = f"root {root}: {name}: {error.strerror}"
    if error.errno in _FULL:
        return UnavailableError(f"{told}; make room, then run the same command again")
    return ConfigError(f"{told}; give --root a folder you may write to")
