import argparse

import pytest

from bft.domain.numbers import AT_LEAST_0, COUNT, FINITE, MONEY, PORT, Number


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FINITE, "-1.5", -1.5),
        (AT_LEAST_0, "0", 0.0),
        (MONEY, "1e5", 100_000.0),
        (COUNT, "3", 3),
        (PORT, "65535", 65_535),
    ],
)
def test_number_within_its_limits_is_taken(kind: Number, text: str, value: float) -> None:
    found = kind(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (FINITE, "nan", "'nan' is no finite number"),
        (FINITE, "-inf", "'-inf' is no finite number"),
        (FINITE, "1e999", "'1e999' is no finite number"),
        (FINITE, "many", "'many' is no finite number"),
        (AT_LEAST_0, "-0.1", "finite number from 0"),
        (MONEY, "0", "finite number above 0"),
        (COUNT, "0", "whole number from 1"),
        (COUNT, "2.0", "'2.0' is no whole number from 1"),
        (PORT, "65536", "whole number from 0 to 65535"),
    ],
)
def test_other_texts_are_refused_with_what_would_do(kind: Number, text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    assert says in str(caught.value)
