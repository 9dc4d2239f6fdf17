"""Sectors, their funds and their other names (strategies specification, section 6)."""

import pytest

from bft.domain.market import SECTOR_FUNDS, sector_of


def test_sectors_have_the_stated_funds() -> None:
    stated = (
        "TECHNOLOGY XLK, FINANCIAL SERVICES XLF, HEALTHCARE XLV, ENERGY XLE, CONSUMER CYCLICAL "
        "XLY, INDUSTRIALS XLI, BASIC MATERIALS XLB, COMMUNICATION SERVICES XLC, UTILITIES XLU, "
        "REAL ESTATE XLRE, CONSUMER DEFENSIVE XLP"
    )
    pairs = (each.rpartition(" ") for each in stated.split(", "))
    assert {name: fund for name, _, fund in pairs} == SECTOR_FUNDS


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("LIFE SCIENCES", "HEALTHCARE"),
        ("FINANCE", "FINANCIAL SERVICES"),
        ("Energy & Transportation", "ENERGY"),
        (" technology ", "TECHNOLOGY"),
        ("WIDGETS", None),
        (None, None),
    ],
)
def test_other_names_of_sectors(given: str | None, stored: str | None) -> None:
    assert sector_of(given) == stored
