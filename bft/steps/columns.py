"""Text for terminals: tables and paragraphs of at most 80 columns."""

import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 80


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> str:
    """Rows below their heads, columns as wide as needed; those named in `right` end flush."""
    cells = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        ).rstrip()
        for row in cells
    )


def wrapped(text: str, *, indent: str = "") -> str:
    """A paragraph of at most 80 columns; words longer than that, as paths, stay whole."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def number(value: Any, form: str = "+.4f") -> str:
    """A measured number, or a dash where it is unknown."""
    return "-" if value is None else format(value, form)
