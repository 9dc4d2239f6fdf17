"""A pool worker: takes tasks from its pipe until the pipe closes."""

import contextlib
import importlib
import signal
from multiprocessing.connection import Connection

from bft.adapters.compute.task import call


def main(pipe: Connection) -> None:
    """Serve one parent; a module's name asks for its import ahead of the first task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            message = pipe.recv()
            if isinstance(message, str):
                with contextlib.suppress(ImportError):  # the task itself will say so
                    importlib.import_module(message)
            else:
                pipe.send(call(message, pipe.send))
