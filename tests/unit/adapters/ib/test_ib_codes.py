"""The table of codes, written down a second time from the specification (section 7.1)."""

import pytest

from bft.adapters.broker.ib.codes import LISTED, farm_of, kind_of
from bft.domain.broker import ErrorKind

REFUSED = [106, 107, 110, 111, 113, 116, 132, 133, 200, 201, 203, 383, 387, 388]
REFUSED += [434, 435, 436, 10006, 10052]
UNCHANGED = [104, 105, 134, 135, 136, 161, 329, 2102, 10147, 10148]
CONNECTIVITY, FARM_OK = [1100, 1101, 1102, 2103, 2105, 2110, 2157], [2104, 2106, 2107, 2108, 2158]
DATA = [354, 10089, 10090, 10167, 10168, 10197, 309, 310, 317]
TABLE = {
    **dict.fromkeys(REFUSED, ErrorKind.REFUSED),
    202: ErrorKind.CANCELLED,
    103: ErrorKind.DUPLICATE_ID,
    **dict.fromkeys(UNCHANGED, ErrorKind.UNCHANGED),
    **dict.fromkeys([399, 2109, 2137, 10349], ErrorKind.MESSAGE),
    **dict.fromkeys([404, 109, 165, 321, 492], ErrorKind.HELD),
    **dict.fromkeys([100, 101, 162, 322, 366, 420], ErrorKind.PACING),
    **dict.fromkeys([326, 502, 504, 507, 1300], ErrorKind.CONNECTION),
    **dict.fromkeys(CONNECTIVITY, ErrorKind.CONNECTIVITY),
    **dict.fromkeys(FARM_OK, ErrorKind.FARM_OK),
    **dict.fromkeys(DATA, ErrorKind.DATA),
}


@pytest.mark.parametrize(("code", "kind"), TABLE.items())
def test_each_listed_code_means_what_the_table_says(code: int, kind: ErrorKind) -> None:
    assert kind_of(code) is kind


def test_other_warnings_are_messages_and_all_else_is_unlisted() -> None:
    warnings = set(range(2100, 2200)) - set(TABLE)
    assert {kind_of(code) for code in warnings} == {ErrorKind.MESSAGE}
    others = set(range(-1, 11_000)) - set(range(2100, 2200)) - set(TABLE)
    assert {kind_of(code) for code in others} == {ErrorKind.UNLISTED}


def test_nothing_else_is_listed() -> None:
    assert set(LISTED) <= set(TABLE)


def test_farms_are_told_apart_by_kind_and_name() -> None:
    assert farm_of(2103, "Market data farm connection is broken:usfarm") == "market data usfarm"
    assert farm_of(2104, "Market data farm connection is OK:usfarm") == "market data usfarm"
    assert farm_of(2106, "HMDS data farm connection is OK:ushmds") == "history ushmds"
    assert farm_of(2158, "Sec-def data farm connection is OK:secdefnj") == "definitions secdefnj"
    assert farm_of(1100, "lost") is None
