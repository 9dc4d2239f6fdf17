"""Text cells to numbers and dates, strictly: an unknown word is null, anything else is a fault."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

NULLS = ("", "none", "null", "nan", "na", "n/a", "-", ".")
"""Words that mean an unknown number, in lower case."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?$"


def floats(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Numbers (f8, null where unknown or wrong), and where the text is no number."""
    trimmed = pc.utf8_trim_whitespace(texts)
    unknown = pc.is_in(pc.utf8_lower(trimmed), pa.array(NULLS))
    known = pc.if_else(unknown, pa.scalar(None, pa.string()), trimmed)
    good = pc.match_substring_regex(known, _NUMBER)
    bad = pc.fill_null(pc.invert(good), fill_value=False)
    numbers = pc.if_else(good, pc.utf8_rtrim(known, "%"), pa.scalar(None, pa.string()))
    return pc.cast(numbers, pa.float64()), bad


def dates(texts: pa.Array) -> pa.Array:
    """ISO dates, null where the text is none."""
    return mapped(texts, _date, pa.date32())


def mapped(column: pa.Array, function: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """Apply a function to each distinct value of a column."""
    coded = pc.dictionary_encode(column)
    distinct = [None if v is None else function(v) for v in coded.dictionary.to_pylist()]
    return pc.take(pa.array(distinct, type=kind), coded.indices)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None
