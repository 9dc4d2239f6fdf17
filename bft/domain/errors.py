"""The one error tree; the exit code is part of the type, because retries read it.

::

    BftError                    1
    ├── UsageError              2   the command line asks for something impossible
    ├── DataError              65   data breaks its contract; no retry heals it
    │   ├── StaleDataError     65   data is older than the run needs
    │   └── UnfitError         65   data suffices for another command than the one given
    ├── UnavailableError       75   a remote did not answer; retry
    ├── RefusedError           77   a lock, lease or permission said no
    │   └── ForeignStateError  77   a book of another account, or of a later day
    └── ConfigError            78   misconfigured; a person must change something

Messages say what, which, and what to do next.
"""


class BftError(Exception):
    """A fault bft understands."""

    exit_code = 1


class UsageError(BftError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class DataError(BftError):
    """Data breaks its contract; running again changes nothing."""

    exit_code = 65


class StaleDataError(DataError):
    """Data is older than the run needs."""


class UnfitError(DataError):
    """Data does not suffice for what was asked; `instead` is the command it suffices for."""

    def __init__(self, message: str, *, instead: str) -> None:
        super().__init__(message)
        self.instead = instead


class UnavailableError(BftError):
    """A remote did not answer; the same call may succeed later."""

    exit_code = 75


class RefusedError(BftError):
    """A lock, a lease or a permission said no."""

    exit_code = 77


class ForeignStateError(RefusedError):
    """A book is another account's, or of a later day: waiting heals neither."""


class ConfigError(BftError):
    """A setting is missing, unknown or contradictory."""

    exit_code = 78
