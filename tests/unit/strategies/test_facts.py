"""Facts by symbol that ranking and sizing read, by hand."""

from datetime import date

import numpy as np
import pytest
from panels import ASOF, forecast, gold_rows, table

from bft.strategies.facts import symbol_facts


def test_facts_by_hand() -> None:
    rows = gold_rows("A", days=30, adjusted_close=110.0, volume=2_000_000)
    rows[-2]["adjusted_close"] = 104.5
    frame, returns = symbol_facts(
        table("gold", rows), table("forecasts", []), table("universe", []), asof=ASOF
    )
    at = frame.loc["A"]
    turnover = (18 * 100 * 1e6 + 104.5 * 1e6 + 110 * 2e6) / 20
    assert at["adv_20_usd"] == pytest.approx(turnover)
    assert at["adv_20"] == pytest.approx(21e6 / 20)
    assert at["ret_1d_frac"] == pytest.approx(110 / 104.5 - 1)
    assert at["ret_5d_frac"] == pytest.approx(0.10)
    assert returns["A"].iloc[-1] == pytest.approx(110 / 104.5 - 1)


def test_forecast_of_a_model_too_old_is_none() -> None:
    """Older than 90 days: no rule reads it, and no edge either (sections 2.4 and 5)."""
    for days, known in ((90, True), (91, False)):
        told = [forecast("A", expected_return_10d=0.02, model_age_days_max=days)]
        frame, _ = symbol_facts(
            table("gold", gold_rows("A", days=30)),
            table("forecasts", told),
            table("universe", []),
            asof=ASOF,
        )
        assert bool(np.isfinite(frame.at["A", "expected_return_10d"])) is known


def test_facts_put_volumes_on_the_newest_share_basis() -> None:
    """A 2:1 split today: 20 days of 1 M old shares are 2 M new ones."""
    rows = gold_rows("A", days=30, adjusted_close=50.0, adj_factor=2.0, split_factor=2.0)
    rows[-1]["volume"] = 2_000_000
    frame, _ = symbol_facts(
        table("gold", rows), table("forecasts", []), table("universe", []), asof=ASOF
    )
    assert frame.at["A", "adv_20"] == pytest.approx(2_000_000)
    assert frame.at["A", "ret_1d_frac"] == pytest.approx(0.0)


def test_sector_nobody_knows_is_no_sector() -> None:
    """An odd word in the symbol list must not buy a second place under the sector cap."""
    listed = [{"symbol": "A", "sector": "WIDGETS", "is_etf": False}]
    frame, _ = symbol_facts(
        table("gold", gold_rows("A", days=30, sector=None)),
        table("forecasts", []),
        table("universe", listed),
        asof=ASOF,
    )
    assert frame.at["A", "sector"] is None


def test_facts_are_of_the_newest_revision_of_the_last_entry() -> None:
    """However the rows lie: an entry that never was (`to` 1900-01-01) counts for nothing."""
    told = {"symbol": "A", "is_etf": True, "from": date(2018, 1, 2), "name": "Index", "revision": 0}
    listed = [
        {**told, "name": "UltraPro 3x", "watch": 0, "revision": 1},
        told,
        {**told, "from": date(2016, 1, 4), "to": date(2017, 1, 3), "name": "Bear"},
        {**told, "from": None, "to": date(1900, 1, 1), "is_etf": False, "revision": 1},
    ]
    gold, none = table("gold", gold_rows("A", days=30)), table("forecasts", [])
    frame, _ = symbol_facts(gold, none, table("universe", listed), asof=ASOF)
    assert frame.loc["A", ["is_etf", "leveraged", "on_watchlist", "watch"]].tolist() == [
        True
    ] * 3 + [0]
