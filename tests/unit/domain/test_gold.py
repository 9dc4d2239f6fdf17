"""The gold schema's own promises."""

import re

from bft.domain import gold
from bft.domain.gold import COLUMNS, FLAGS, INPUTS, LOOKAHEAD, SNAPSHOT_INPUTS


def test_columns_are_96_and_parts_are_named_once() -> None:
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names)) == 96
    assert len(INPUTS) == len(set(INPUTS)) == 52
    assert len(FLAGS) == 10
    assert set(LOOKAHEAD) == {f"future_{h}_day_pct" for h in gold.HORIZONS}
    assert not set(LOOKAHEAD) & set(INPUTS)
    assert len(SNAPSHOT_INPUTS) == 6


def test_formulas_name_the_thresholds_that_flags_test() -> None:
    """The text of a flag's column and the constants its code compares are the same numbers."""
    said = {
        c.name: [float(x) for x in re.findall(r"(?<![\w.])-?\d+\.?\d*", c.formula)] for c in COLUMNS
    }
    tested = {
        "adx_signal": (gold.ADX_TREND, gold.ADX_FLAT),
        "atr_signal": (gold.ATR_BAND,),
        "pe_ratio_signal": (gold.PE_CHEAP, gold.PE_DEAR),
        "rsi_signal": (gold.RSI_HIGH, gold.RSI_LOW),
        "cci_signal": (gold.CCI_HIGH, gold.CCI_LOW),
        "pcr_signal": (gold.PCR_BEARISH, gold.PCR_BULLISH),
    }
    for name, thresholds in tested.items():
        assert set(thresholds) <= set(said[name]), name
