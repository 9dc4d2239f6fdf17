"""A reader of this process's output that went away, as `head` does."""

import os
import select

UNREAD = 141
"""Exit code of a call whose output nobody read to its end: what a shell says of SIGPIPE."""
OUTPUTS = (1, 2)


def silenced() -> bool:
    """Whether a reader of stdout or stderr is gone; what else is written there goes nowhere.

    Else a broken pipe is another one, of a socket or a child, and no reader's.
    """
    watch = select.poll()
    for number in OUTPUTS:
        watch.register(number, 0)
    gone = [number for number, event in watch.poll(0) if event & select.POLLERR]
    for number in gone:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, number)
        os.close(sink)
    return bool(gone)
