"""Which names are one instrument; cases by hand."""

import pytest

from bft.domain.instruments import links_of, name_now, names_of, parted

RENAMES = {"FB": "META", "OLD": "MID", "MID": "NEW"}


def known(name: str, *told: tuple[int, str], listed: frozenset[str] = frozenset()) -> set[str]:
    return set(names_of(name, told=told, links=links_of(RENAMES, listed=listed)))


@pytest.mark.parametrize("name", ["OLD", "MID", "NEW"])
def test_renames_join_a_chain_whichever_end_is_asked_for(name: str) -> None:
    assert known(name) == {"OLD", "MID", "NEW"}


def test_name_nothing_is_known_of_is_itself() -> None:
    assert known("AAPL") == {"AAPL"}
    assert known("") == {""}


def test_contract_id_joins_names_without_a_rename() -> None:
    assert known("APPL", (7, "AAPL"), (7, "APPL"), (8, "MSFT")) == {"AAPL", "APPL"}
    assert known("META", (7, "META"), (7, "METAX")) == {"FB", "META", "METAX"}


def test_contract_without_an_id_joins_nothing() -> None:
    assert known("AAPL", (0, "AAPL"), (0, "MSFT")) == {"AAPL"}


def test_old_name_that_another_company_bears_now_is_no_name_of_ours() -> None:
    assert known("META", listed=frozenset({"FB", "META"})) == {"META"}
    assert known("FB", listed=frozenset({"FB", "META"})) == {"FB"}


def test_option_is_renamed_with_its_root() -> None:
    assert known("META260116C00200000") == {"META260116C00200000", "FB260116C00200000"}
    assert parted("FB260116C00200000") == ("FB", "260116C00200000")
    assert parted("NQZ5") == ("NQZ5", "")


@pytest.mark.parametrize(
    ("name", "listed", "now"),
    [
        ("OLD", "NEW", "NEW"),
        ("FB", "META", "META"),
        ("FB", "FB", "FB"),
        ("AAPL", "AAPL", "AAPL"),
        ("GONE", "AAPL", "GONE"),
    ],
)
def test_name_of_today_follows_the_chain(name: str, listed: str, now: str) -> None:
    assert name_now(name, renames=RENAMES, listed={listed}) == now


def test_names_swapped_in_a_circle_end() -> None:
    assert name_now("A", renames={"A": "B", "B": "A"}, listed=()) == "B"
