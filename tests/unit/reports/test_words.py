"""Every figure of a sentence must stand in the table, character by character."""

import pyarrow as pa
import pytest
from market import ASOF, Market

from bft.adapters.llm.template import Template
from bft.reports.night import Night, open_night
from bft.reports.words import checked, facts, traced

CELLS = {
    "name": "Brvo 3 Inc.",
    "close": "$1,185.48",
    "day_change": "\N{MINUS SIGN}0.17%",
    "volume": "33.2 M",
    "rsi_14": "31.6",
    "from_sma_50": "+3.0%",
}


@pytest.mark.parametrize(
    "sentence",
    [
        "BRVO closed at $1,185.48, \N{MINUS SIGN}0.17% on the day.",
        "BRVO closed at $1185.48, -0.17% on the day.",
        "RSI 14 reads 31.6 and volume was 33.2 M.",
        "It stands +3.0% from its 50-day average.",
        "Brvo 3 Inc. stayed near its 52-week low.",
        "It moved -0.17 percent.",
        "The stock is calm.",
    ],
)
def test_sentence_with_cells_as_shown_is_kept(sentence: str) -> None:
    assert traced("BRVO", sentence, CELLS)


@pytest.mark.parametrize(
    "sentence",
    [
        "BRVO closed at $1,185.49.",  # another number
        "BRVO closed at $1,185.",  # rounded
        "It fell 0.17% on the day.",  # the sign is gone
        "It stands 3.0% from its 50-day average.",  # the sign is gone
        "It stands \N{MINUS SIGN}3.0% from its 50-day average.",  # the other sign
        "RSI is 31.6%.",  # another unit
        "Volume was 33.2 B.",  # another size
        "It closed on 2026-01-02.",  # a date no cell holds
        "RSI 14 reads 14.",  # a name's number is no figure
        "It lost a third of its value.",  # a figure in words
        "It doubled.",
        "Brvo 3 trades at 3.",  # a number of the name alone
    ],
)
def test_sentence_with_any_other_figure_is_dropped(sentence: str) -> None:
    assert not traced("BRVO", sentence, CELLS)


def test_checked_counts_what_it_drops() -> None:
    kept, dropped = checked("BRVO", ["RSI 14 reads 31.6.", "RSI 14 reads 31.7."], CELLS)
    assert (kept, dropped) == (["RSI 14 reads 31.6."], 1)


def test_template_sentences_all_pass_the_check(night: Night) -> None:
    for symbol in night.now.index:
        cells = facts(night, symbol)
        said = Template().summarize(symbol, cells)
        assert len(said) >= 4
        assert checked(symbol, said, cells) == (said, 0)


def test_facts_leave_out_what_is_unknown(night: Night) -> None:
    assert "pe_ratio" in facts(night, "ALFA")
    assert "pe_ratio" not in facts(night, "SPY")


def test_loss_is_told_as_one_and_not_as_a_negative_multiple(market: Market) -> None:
    """Red: `The price is -11.3 times trailing earnings.`"""
    column = market.gold.schema.get_field_index("pe_ratio")
    ratios = pa.array([-11.3] * market.gold.num_rows, market.gold.schema.field(column).type)
    gold = market.gold.set_column(column, market.gold.schema.field(column), ratios)
    cells = facts(open_night(market.tables() | {"gold": gold}, asof=ASOF), "ALFA")
    said = Template().summarize("ALFA", cells)
    assert "Trailing earnings are a loss, so there is no P/E ratio." in said
    assert "11.3" not in " ".join(said)
    assert checked("ALFA", said, cells) == (said, 0)
