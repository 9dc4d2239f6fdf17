"""Frozen values as JSON and back: text for what JSON cannot hold, the same value again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bft.domain.encoding import decode, encode, short_number_text
from bft.domain.journal import canonical_json
from bft.domain.orders import Contract, Side
from bft.domain.trading import ExitPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    amount: Decimal
    on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    at: datetime
    side: Side
    inner: Inner | None
    many: tuple[Inner, ...]
    pair: tuple[str, float]
    shares: Mapping[str, Decimal]
    flag: bool | None = None
    added_later: int = 7


VALUE = Outer(
    at=datetime(2025, 6, 4, 14, 0, 0, 5, tzinfo=UTC),
    side=Side.SELL,
    inner=Inner(amount=Decimal("1.10"), on=date(2025, 6, 4)),
    many=(Inner(amount=Decimal("-0")), Inner(amount=Decimal("1E+3"))),
    pair=("a", 0.1),
    shares={"AAPL": Decimal("0.5")},
)


def test_nested_values_read_back_and_are_plain_text() -> None:
    text = canonical_json(encode(VALUE))
    assert decode(Outer, json.loads(text)) == VALUE
    assert json.loads(text)["inner"] == {"amount": "1.1", "on": "2025-06-04"}
    assert json.loads(text)["side"] == "SELL"


def test_fields_that_were_not_stored_keep_their_default() -> None:
    stored = encode(replace(VALUE, added_later=9))
    del stored["added_later"]
    assert decode(Outer, stored).added_later == 7


@given(st.decimals(), st.floats())
def test_every_number_reads_back(amount: Decimal, share: float) -> None:
    value = replace(VALUE, inner=Inner(amount=amount), pair=("x", share))
    stored = json.loads(canonical_json(encode(value)))
    read = decode(Outer, stored)
    assert read.inner is not None
    assert str(read.inner.amount) == str(amount) or read.inner.amount == amount
    assert repr(read.pair[1]) == repr(share)


def test_domain_values_read_back() -> None:
    for value in (Contract(con_id=1, symbol="A", expiry=date(2025, 7, 18)), ExitPolicy()):
        assert decode(type(value), encode(value)) == value
    assert decode(Mapping[str, Decimal], {"a": "1.10"}) == {"a": Decimal("1.10")}


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        encode({1, 2})
    with pytest.raises(TypeError, match="ambiguous"):
        decode(int | str, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("49.123456", "49.1235"),
        ("10.5000", "10.5"),
        (100, "100"),
        ("NaN", "none"),
        ("1e25", "1e25"),  # red in `bft why`: InvalidOperation
        ("RECONCILING", "RECONCILING"),
    ],
)
def test_number_is_told_to_four_places(value: object, told: str) -> None:
    assert short_number_text(value) == told
