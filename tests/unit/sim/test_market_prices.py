"""Prices: order, dividends and splits by hand, listings, funds, and the planted signal."""

import json
from collections import Counter
from dataclasses import fields
from datetime import date

import numpy as np
import pytest
from scipy.stats import spearmanr
from sims import ask, vendor

from bft.sim.market.draws import normal, student5, uniform
from bft.sim.market.paths import Returns, as_traded
from bft.sim.market.shocks import Shocks, Traits
from bft.sim.market.signal import ceiling
from bft.sim.market.vendor import Vendor

FULL = {"outputsize": "full"}


def series(one: Vendor, symbol: str) -> dict[str, dict[str, float]]:
    """Full series oldest first, numbers parsed."""
    rows = ask(one, "TIME_SERIES_DAILY_ADJUSTED", symbol, **FULL)["Time Series (Daily)"]
    return {day: {k[3:]: float(v) for k, v in row.items()} for day, row in reversed(rows.items())}


def test_draws_follow_their_distributions() -> None:
    days = np.arange(200_000)
    flat, bell, heavy = (draw(7, "test", days) for draw in (uniform, normal, student5))
    assert 0 < flat.min() < 1e-4 < 1 - 1e-4 < flat.max() < 1
    assert flat.mean() == pytest.approx(0.5, abs=0.003)
    assert bell.std() == pytest.approx(1, abs=0.01)
    assert np.mean(bell**4) == pytest.approx(3, abs=0.1)
    assert heavy.std() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(heavy) > 4) == pytest.approx(0.0036, abs=0.0008)  # t5: 2P(T > 5.164)
    assert abs(np.corrcoef(flat[1:], flat[:-1])[0, 1]) < 0.01
    np.testing.assert_array_equal(normal(7, "test", days[:5]), bell[:5])


def test_bars_are_valid(market: Vendor) -> None:
    bars = market.world().bars
    for place in range(bars.close.shape[1]):
        o, h, low, c, v = (
            part[np.isfinite(bars.close[:, place]), place]
            for part in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        )
        assert (low > 0).all()
        assert (v > 0).all()
        assert (low <= np.minimum(o, c)).all()
        assert (h >= np.maximum(o, c)).all()


def test_returns_have_the_planned_spread(market: Vendor) -> None:
    """Own 1.0 to 2.4 %, market 0.9 %, sector 0.6 % a day; SPY is close to the market."""
    world = market.world()
    moves = np.diff(np.log(world.returns.level), axis=0).std(axis=0)
    planned = np.sqrt(world.traits.sd**2 + (world.traits.beta * 0.009) ** 2 + 0.006**2)
    np.testing.assert_allclose(moves, planned, rtol=0.15)
    assert 0.010 <= world.traits.sd.min() < 0.012
    assert 0.022 < world.traits.sd.max() <= 0.024
    spy = np.diff(np.log([row["close"] for row in series(market, "SPY").values()]))
    assert spy.std() == pytest.approx(0.0098, abs=0.001)


def test_volume_persists_and_rises_with_the_move(market: Vendor) -> None:
    made = market.world().returns
    volume = np.log(made.volume) - np.log(made.volume).mean(axis=0)
    move = np.abs(np.diff(made.level, axis=0) / made.level[:-1])
    assert np.corrcoef(volume[1:].ravel(), volume[:-1].ravel())[0, 1] > 0.4
    assert np.mean([np.corrcoef(volume[1:, n], move[:, n])[0, 1] for n in range(60)]) > 0.2


def _one_stock(rows: int, **changed: object) -> tuple[Traits, Shocks, Returns]:
    """A stock at 100 USD whose total return is zero every day, no chance at all."""
    flat, none = np.ones((rows, 1)), np.zeros((rows, 1))
    fixed = {
        "sd": np.array([0.02]),
        "beta": np.array([1.0]),
        "sector": np.array([0]),
        "price_usd": np.array([100.0]),
        "log_volume": np.array([10.0]),
        "yield_frac": np.array([0.0]),
        "dividend_phase": np.array([0]),
    }
    chance = {f.name: none for f in fields(Shocks)} | {"split": flat}
    for name, value in changed.items():
        (fixed if name in fixed else chance)[name] = value
    made = Returns(level=flat, volume=1000 * flat, fast=none, slow=none)
    return Traits(**fixed), Shocks(**chance), made


def test_split_two_for_one_halves_price_and_doubles_volume() -> None:
    chance = np.ones((4, 1))
    chance[2] = 0.0  # a split on row 2; kind 0 is the first of the choices, 2 for 1
    fixed, shocks, made = _one_stock(4, split=chance)
    bars = as_traded(fixed, shocks, made, np.ones((4, 1), dtype=bool), np.arange(1, 5))
    assert bars.split[:, 0].tolist() == [1, 1, 2, 1]
    assert bars.close[:, 0].tolist() == [100, 100, 50, 50]
    assert bars.open[:, 0].tolist() == [100, 100, 50, 50]
    assert bars.volume[:, 0].tolist() == [1000, 1000, 2000, 2000]


def test_dividend_lowers_the_price_by_its_amount() -> None:
    """4 % a year on 100 USD is 1.00 a quarter; C = 100 / 99."""
    fixed, shocks, made = _one_stock(3, yield_frac=np.array([0.04]))
    bars = as_traded(fixed, shocks, made, np.ones((3, 1), dtype=bool), np.array([62, 63, 64]))
    assert bars.dividend[:, 0].tolist() == [0, 1.0, 0]
    assert bars.close[:, 0].tolist() == [100, 99, 99]
    assert bars.open[:, 0].tolist() == [100, 99, 99]
    np.testing.assert_allclose(bars.factor[:, 0], [1, 100 / 99, 100 / 99], rtol=1e-15)


def test_dividend_and_split_on_one_day() -> None:
    """1 % of the new 50 USD share is 0.50; C = 2 * 100 / (100 - 2 * 0.50)."""
    chance = np.ones((2, 1))
    chance[1] = 0.0
    fixed, shocks, made = _one_stock(2, split=chance, yield_frac=np.array([0.04]))
    bars = as_traded(fixed, shocks, made, np.ones((2, 1), dtype=bool), np.array([62, 63]))
    assert bars.dividend[1, 0] == 0.5
    assert bars.factor[1, 0] == pytest.approx(200 / 99, rel=1e-15)
    assert bars.close[1, 0] == 49.5


def test_adjusted_close_follows_from_the_fields_beside_it(market: Vendor) -> None:
    """Backwards from the newest bar: each event multiplies by (P - f d) / (P f), by hand."""
    world, splits = market.world(), 0
    for one in world.stocks[:30]:
        rows = list(series(market, one.symbol).values())
        factor = 1.0
        for now, before in zip(rows[::-1], [*rows[-2::-1], None], strict=True):
            assert now["adjusted close"] == pytest.approx(now["close"] * factor, rel=1e-6)
            if before:
                f, d, p = now["split coefficient"], now["dividend amount"], before["close"]
                factor *= (p - f * d) / (p * f)
                assert abs(np.log(now["open"] * f / (p - f * d))) < 0.15  # opens accordingly
                splits += f != 1
    assert splits > 5


def test_actions_come_as_often_as_planned(market: Vendor) -> None:
    bars, world = market.world().bars, market.world()
    payers = (bars.dividend[:, :60].sum(axis=0) > 0).mean()
    assert payers == pytest.approx(0.6, abs=0.15)
    one = int(bars.dividend[:, :60].sum(axis=0).argmax())
    assert np.diff(np.flatnonzero(bars.dividend[:, one])).tolist()[:3] == [63, 63, 63]
    years = np.isfinite(bars.close[:, :60]).sum() / 252
    assert (bars.split[:, :60] != 1).sum() / years == pytest.approx(1 / 8, rel=0.5)
    found = set(np.round(bars.split[bars.split != 1], 6).tolist())
    assert found <= {2, 3, 1.5, 4, 10, 0.2, 0.1}
    said = ask(market, "SPLITS", world.stocks[0].symbol)["data"]
    rows = np.flatnonzero(bars.split[: world.row(date(2022, 12, 30)) + 1, 0] != 1)
    assert [row["effective_date"] for row in said] == [str(world.days[r]) for r in rows[::-1]]


def test_a_fund_is_the_weighted_sum_of_its_members(market: Vendor) -> None:
    """Some fixed non-negative units of the members explain every price of XLE."""
    from scipy.optimize import nnls

    world = market.world()
    inside = [
        n
        for n, one in enumerate(world.stocks)
        if one.sector == "ENERGY" and not (one.first_row or one.end_row)
    ]
    rows = slice(600, 1200)  # the late listing of this sector came before
    late = [n for n, one in enumerate(world.stocks) if one.sector == "ENERGY" and one.first_row]
    level = world.returns.level[rows][:, inside + late]
    fund = world.bars.close[rows, [one.symbol for one in world.listings].index("XLE")]
    units, rest = nnls(level, fund)
    assert (units > 0).all()
    assert rest / np.linalg.norm(fund) < 1e-6


def test_late_delisted_and_renamed_stocks(market: Vendor) -> None:
    stocks = market.world().stocks
    (late,) = [one for one in stocks if one.first_row]
    (gone,) = [one for one in stocks if one.end_row]
    (renamed,) = [one for one in stocks if one.old_symbol]
    days = market.world().days
    before, first = days[late.first_row - 1], days[late.first_row]
    assert "Error Message" in ask(market, "TIME_SERIES_DAILY_ADJUSTED", late.symbol, before)
    opened = ask(market, "TIME_SERIES_DAILY_ADJUSTED", late.symbol, first)["Time Series (Daily)"]
    assert list(opened) == [str(first)]
    assert next(iter(reversed(series(market, gone.symbol)))) == str(days[gone.end_row - 1])
    assert ask(market, "OVERVIEW", gone.symbol) == {}
    old, change = renamed.old_symbol, days[renamed.renamed_row]
    eve = days[renamed.renamed_row - 1]
    as_old = ask(market, "TIME_SERIES_DAILY_ADJUSTED", old, eve, **FULL)["Time Series (Daily)"]
    as_new = ask(market, "TIME_SERIES_DAILY_ADJUSTED", renamed.symbol, change, **FULL)
    assert as_old == {
        day: row for day, row in as_new["Time Series (Daily)"].items() if day <= str(eve)
    }
    assert "Error Message" in ask(market, "TIME_SERIES_DAILY_ADJUSTED", old, change)
    listed = ask(market, "LISTING_STATUS", state="delisted")
    assert f"\r\n{gone.symbol},{gone.name}" in listed
    assert f"\r\n{old},{renamed.name}" in listed


# --- the planted signal -------------------------------------------------------------------------


def z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


@pytest.fixture(scope="module")
def strong() -> Vendor:
    return vendor(kappa_fast=0.1, kappa_slow=0.0)


def test_truth_is_the_formula_on_the_served_bars(strong: Vendor) -> None:
    """f rebuilt from public answers alone: adjusted closes and volumes in today's shares."""
    day = "2021-03-17"
    said = json.loads(strong.truth(day).body)["truth"]
    level, volume = [], []
    for symbol in said:
        answered = ask(strong, "TIME_SERIES_DAILY_ADJUSTED", symbol, day)["Time Series (Daily)"]
        rows = list(answered.values())[:10][::-1]
        shares = np.cumprod([1.0, *(float(r["8. split coefficient"]) for r in rows[:0:-1])])[::-1]
        level.append([float(row["5. adjusted close"]) for row in rows])
        volume.append(np.array([float(row["6. volume"]) for row in rows]) * shares)
    x, v = np.array(level).T, np.array(volume).T
    roc = x[-1] / x[-4] - 1
    f = z(0.8 * z(-roc) + 0.6 * z(np.log(v[-3:].mean(axis=0) / v.mean(axis=0))))
    np.testing.assert_allclose(list(said.values()), 0.1 * f, atol=2e-4)


def test_slow_part_is_the_last_known_surprise() -> None:
    """On the day with the most reports: a pre-market one counts at its close, others do not."""
    slow = vendor(kappa_fast=0.0, kappa_slow=0.5)
    told: Counter[str] = Counter()
    for one in slow.world().stocks:
        told.update(
            row["reportedDate"] for row in ask(slow, "EARNINGS", one.symbol)["quarterlyEarnings"]
        )
    day = max(told, key=lambda d: (told[d] if d < "2022-12-30" else 0, d))
    said = json.loads(slow.truth(day).body)["truth"]
    last, fresh = [], Counter[str]()
    for symbol in said:
        rows = ask(slow, "EARNINGS", symbol, day)["quarterlyEarnings"]
        fresh.update(row["reportTime"] for row in rows if row["reportedDate"] == day)
        done = [
            row
            for row in rows
            if row["reportedEPS"] != "None"
            and (row["reportedDate"] < day or row["reportTime"] == "pre-market")
        ]
        last.append(float(done[0]["surprisePercentage"]))
    assert min(fresh["pre-market"], fresh["post-market"]) > 0
    np.testing.assert_allclose(list(said.values()), 0.5 * z(np.array(last)), atol=1e-4)


def _served_rank_ic(one: Vendor, horizon: int, days: list[date]) -> list[float]:
    closes = {
        stock.symbol: {day: row["adjusted close"] for day, row in series(one, stock.symbol).items()}
        for stock in one.world().stocks
        if not stock.old_symbol
    }
    found = []
    for day in days:
        end = str(one.world().days[one.world().row(day) + horizon])
        said = json.loads(one.truth(str(day)).body)["truth"]
        pairs = [
            (value, closes[name][end] / closes[name][str(day)])
            for name, value in said.items()
            if end in closes.get(name, ())
        ]
        found.append(spearmanr(*zip(*pairs, strict=True)).statistic)
    return found


def test_ceiling_is_what_the_served_data_give(strong: Vendor) -> None:
    """Truth against realised returns, both from the wire, ranked by scipy, every fifth day."""
    world = strong.world()
    days = list(world.days[20 : world.row(date(2022, 12, 1)) : 5])
    measured = _served_rank_ic(strong, 3, days)
    said = json.loads(strong.ceiling().body)["horizons"]["3"]
    error = np.std(measured) / len(measured) ** 0.5
    assert said["rank_ic"] == pytest.approx(np.mean(measured), abs=3 * error)
    assert said["rank_ic"] > 10 * said["standard_error"]


def test_usual_strength_can_be_found_and_zero_cannot(market: Vendor) -> None:
    usual = json.loads(market.ceiling().body)["horizons"]["3"]
    assert usual["rank_ic"] == pytest.approx(0.045, abs=0.015)
    assert usual["rank_ic"] > 3 * usual["standard_error"]
    none = vendor(kappa_fast=0.0, kappa_slow=0.0)
    said = json.loads(none.ceiling().body)["horizons"]
    assert {one["rank_ic"] for one in said.values()} == {0.0}
    made = none.world().returns
    score = 0.04 * made.fast + 0.015 * made.slow
    for horizon in (3, 10, 30):
        value, error, _ = ceiling(score, made.level, horizon)
        assert abs(value) < 3 * error
