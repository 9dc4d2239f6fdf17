"""Bytes for Arrow's own threads."""

import pyarrow as pa


def arrow_reader(data: bytes) -> pa.BufferReader:
    """A reader of a copy of the bytes, in memory of Arrow's own.

    Arrow's threads may let go of what they read while the interpreter ends. To let go of a Python
    object they would need the interpreter, and the process would abort (134), its work done.
    """
    sink = pa.BufferOutputStream()
    sink.write(data)
    return pa.BufferReader(sink.getvalue())
