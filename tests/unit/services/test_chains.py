"""Stored option chains: IV rank, volatilities at the money, the process that reads them."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes import make_ports
from market_signals import rows_to

from bft.domain.orders import Contract
from bft.services.executor.chain_night import ChainNight, at_the_money, read_chains
from bft.services.executor.chains import iv_rank

DAY = date(2026, 1, 2)
NEAR, FAR = DAY + timedelta(days=28), DAY + timedelta(days=60)
D = Decimal


def row(kind: str = "call", strike: float = 100, **over: Any) -> dict[str, Any]:
    values = {
        "symbol": "AAPL",
        "date": DAY,
        "type": kind,
        "expiration": NEAR,
        "strike": strike,
        "delta": 0.5 if kind == "call" else -0.5,
        "implied_volatility": 0.30,
        "volume": 200,
        "open_interest": 1000,
        "source": "sim",
        "revision": 0,
        "status": "ok",
        "known_at": datetime(2026, 1, 2, 21, tzinfo=UTC),
        "arrived_at": datetime(2026, 1, 2, 22, tzinfo=UTC),
    }
    values |= over
    kind, expiry = values["type"], values["expiration"]
    name = f"{values['symbol']}{expiry:%y%m%d}{kind[0].upper()}{int(strike * 1000):08d}"
    return {"contract_id": name, **values}


def chain_of(*rows: dict[str, Any]) -> Any:
    return rows_to("options", sorted(rows, key=lambda r: (r["contract_id"], r["date"])))


def test_iv_rank_is_the_place_between_lowest_and_highest() -> None:
    """By hand: 0.20 to 0.60; 0.30 lies a quarter up."""
    history = [D("0.20"), D("0.60"), D("0.40")]
    assert iv_rank(D("0.30"), history) == D("0.25")
    assert (iv_rank(D("0.10"), history), iv_rank(D("0.90"), history)) == (0, 1)
    assert (iv_rank(D("0.3"), [D("0.3")]), iv_rank(D("0.31"), [D("0.3")])) == (0, 1)
    assert iv_rank(D("0.3"), []) is None


def test_at_the_money_is_the_mean_of_the_middle_call_and_put() -> None:
    """By hand: 28 days ahead beats 60; deltas 0.48 and -0.47 are nearest 0.5: (0.31+0.35)/2."""
    rows = chain_of(
        row(strike=100, delta=0.48, implied_volatility=0.31),
        row(strike=95, delta=0.70, implied_volatility=0.5),
        row("put", strike=101, delta=-0.47, implied_volatility=0.35),
        row("put", strike=90, delta=-0.3, implied_volatility=0.9),
        row(expiration=FAR, delta=0.5, implied_volatility=0.99),
        row("put", expiration=FAR, delta=-0.5, implied_volatility=0.99),
    )
    assert at_the_money(rows) == {"2026-01-02": {"AAPL": pytest.approx(0.33)}}


@pytest.mark.parametrize(
    "over",
    [
        {"delta": None},
        {"implied_volatility": None},
        {"implied_volatility": 0.0},
        {"status": "refused"},
        {"expiration": DAY + timedelta(days=6)},
    ],
)
def test_what_cannot_count_makes_no_observation(over: dict[str, Any]) -> None:
    assert at_the_money(chain_of(row(**over), row("put"))) == {}


def stored(root: Path, days: int = 3) -> Any:
    """Chains of so many days that end with DAY, at the money 0.21, 0.22 ... upward."""
    store = make_ports(root).store
    for back in range(days - 1, -1, -1):
        day = DAY - timedelta(days=back)
        level = round(0.20 + (days - back) / 100, 6)
        told = {"date": day, "expiration": day + timedelta(days=30), "implied_volatility": level}
        parts = {f"arrived={day}": chain_of(row(**told), row("put", **told))}
        store.publish("options", asof=day, partitions=parts)
    return store


def test_chains_hold_the_newest_rows_and_every_days_volatility(tmp_path: Path) -> None:
    known: dict[str, Any] = {}
    aapl, msft = read_chains(stored(tmp_path), ["AAPL", "MSFT"], known, budget_s=60)
    assert (aapl.asof, len(aapl.rows), aapl.unread) == (DAY, 2, 0)
    assert [v for _, v in aapl.volatilities] == [D("0.21"), D("0.22"), D("0.23")]
    assert (msft.asof, msft.volatilities) == (None, ())
    contract = Contract(
        con_id=1,
        symbol="AAPL",
        sec_type="OPT",
        expiry=DAY + timedelta(days=30),
        strike_usd=D(100),
        right="P",
    )
    found = aapl.row(contract)
    assert found is not None
    assert (found.delta, found.open_interest) == (D("-0.5"), 1000)
    assert len(known) == 3


def test_a_year_is_read_bit_by_bit_newest_first(tmp_path: Path) -> None:
    store, known = stored(tmp_path), dict[str, Any]()
    (first,) = read_chains(store, ["AAPL"], known, budget_s=-1)
    assert (first.unread, first.volatilities, first.asof) == (3, (), DAY)
    newest = store.manifest("options").objects[-1].digest
    known[newest] = {DAY.isoformat(): {"AAPL": 0.5}}
    (second,) = read_chains(store, ["AAPL"], known, budget_s=60)
    assert second.unread == 0
    assert second.volatilities[-1] == (DAY, D("0.5"))  # what is known is not read again


def test_without_a_table_there_is_an_empty_chain(tmp_path: Path) -> None:
    (found,) = read_chains(make_ports(tmp_path).store, ["AAPL"], {}, budget_s=1)
    assert (found.asof, found.volatilities, found.unread) == (None, (), 0)


def test_the_process_tells_the_same_and_keeps_what_it_worked_out(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", tmp_path / "state"
    folder.mkdir()
    stored(root)
    found = asyncio.run(ChainNight(str(root), folder)(frozenset(["AAPL"])))
    assert [v for _, v in found["AAPL"].volatilities] == [D("0.21"), D("0.22"), D("0.23")]
    assert found["AAPL"].asof == DAY
    kept = json.loads((folder / "option-volatilities.json").read_text())
    assert len(kept) == 3
