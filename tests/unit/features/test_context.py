"""Market and sector returns, their proxies, and beta."""

import numpy as np
import pytest
from markets import column, flat, tables, walk

from bft.domain.gold import INPUTS, MARKET_PROXY
from bft.features import context
from bft.features.build import build_gold
from bft.features.inputs import model_inputs

NAN = np.nan


def test_beta_is_covariance_over_variance_of_252_rows() -> None:
    rng = np.random.default_rng(3)
    market, own = rng.normal(0, 1, 600), rng.normal(0, 1, 600)
    found = context.beta(own + 1.5 * market, market)
    part = slice(600 - 252, 600)
    expected = np.cov(own[part] + 1.5 * market[part], market[part])
    assert found[-1] == pytest.approx(expected[0, 1] / expected[1, 1], rel=1e-12)
    assert np.isnan(found[:125]).all()
    assert np.isfinite(found[125:]).all()


def test_beta_counts_pairs_and_forgets_a_jump() -> None:
    market = np.tile([1.0, -1.0], 300)
    own = 2 * market
    own[10] = 1e8
    market[300:430:2] = NAN
    found = context.beta(own, market)
    assert found[-1] == pytest.approx(2, rel=1e-12)
    assert context.beta(np.ones(300), np.zeros(300))[-1] != 0  # no market variance: null
    assert np.isnan(context.beta(np.ones(300), np.zeros(300))[-1])


def test_beta_of_gold_is_against_spy() -> None:
    spy = walk("SPY", 300)
    double = flat(list(50 * np.cumprod(np.r_[1, 1 + 2 * _returns(spy)])), symbol="TWO")
    made = build_gold(tables(bars=[*spy, *double]))
    assert column(made, "beta", "TWO")[-1] == pytest.approx(2)
    assert column(made, "beta", "SPY")[-1] == pytest.approx(1)
    assert not (column(made, "row_flags") & MARKET_PROXY).any()


def test_proxy_needs_twenty_members_and_is_flagged() -> None:
    few = [row for n in range(19) for row in walk(f"S{n:02d}", 200)]
    many = [*few, *walk("S19", 200)]
    assert np.isnan(column(build_gold(tables(bars=few)), "beta")).all()
    made = build_gold(tables(bars=many))
    assert np.isfinite(column(made, "beta", "S00")[-1])
    flagged = column(made, "row_flags", "S00") & MARKET_PROXY
    assert flagged.tolist() == [0, *[MARKET_PROXY] * 199]


def inputs_of(bars: list, sectors: dict[str, str]) -> tuple:
    members = [{"symbol": s, "sector": sector, "is_etf": False} for s, sector in sectors.items()]
    made = build_gold(tables(bars=bars, universe=members))
    values = model_inputs(made)

    def read(name: str, symbol: str) -> np.ndarray:
        rows = np.array(made["symbol"].to_pylist()) == symbol
        return values[rows, INPUTS.index(name)]

    return made, read


def test_sector_return_is_that_of_its_fund() -> None:
    fund, own = walk("XLK", 80), walk("A", 80)
    _, read = inputs_of([*fund, *own], {"A": "COMMUNICATION SERVICES"})
    fund_price = np.array([row["close"] for row in fund])
    own_price = np.array([row["close"] for row in own])
    daily = fund_price[1:] / fund_price[:-1] - 1
    assert read("sector_etf_ret_1d", "A")[1:] == pytest.approx(daily, rel=1e-5)
    assert read("sector_etf_ret_5d", "A")[5:] == pytest.approx(
        fund_price[5:] / fund_price[:-5] - 1, rel=1e-4
    )
    assert read("sector_etf_vol_5d", "A")[-1] == pytest.approx(np.std(daily[-5:], ddof=1), rel=1e-5)
    own_daily = own_price[1:] / own_price[:-1] - 1
    assert read("sector_rel_ret_1d", "A")[1:] == pytest.approx(
        own_daily - daily, rel=1e-4, abs=1e-7
    )
    assert np.isnan(read("sector_etf_ret_1d", "XLK")).all()  # a fund has no sector


def test_sector_proxy_leaves_the_symbol_out_and_needs_five_others() -> None:
    names = [f"S{n}" for n in range(6)]
    bars = [row for name in names for row in walk(name, 80)]
    prices = {name: np.array([row["close"] for row in walk(name, 80)]) for name in names}
    made, read = inputs_of(bars, dict.fromkeys(names, "ENERGY"))
    daily = {name: p[1:] / p[:-1] - 1 for name, p in prices.items()}
    others = np.mean([daily[name] for name in names[1:]], axis=0)
    assert read("sector_etf_ret_1d", "S0")[1:] == pytest.approx(others, rel=1e-4, abs=1e-7)
    week = np.prod([1 + others[-n] for n in range(1, 6)]) - 1
    assert read("sector_etf_ret_5d", "S0")[-1] == pytest.approx(week, rel=1e-4)
    assert (column(made, "row_flags", "S0")[1:] & MARKET_PROXY).all()
    _, read = inputs_of(bars, dict.fromkeys(names[:5], "ENERGY"))
    assert np.isnan(read("sector_etf_ret_1d", "S0")).all()


def test_market_inputs_of_spy() -> None:
    spy = walk("SPY", 80)
    price = np.array([row["close"] for row in spy])
    _, read = inputs_of([*spy, *walk("A", 80)], {})
    assert read("spy_ret_1d", "A")[-1] == pytest.approx(price[-1] / price[-2] - 1, rel=1e-5)
    assert read("spy_ret_5d", "A")[-1] == pytest.approx(price[-1] / price[-6] - 1, rel=1e-5)
    daily = price[-5:] / price[-6:-1] - 1
    assert read("spy_vol_5d", "A")[-1] == pytest.approx(np.std(daily, ddof=1), rel=1e-5)


def _returns(rows: list) -> np.ndarray:
    close = np.array([row["close"] for row in rows])
    return close[1:] / close[:-1] - 1
