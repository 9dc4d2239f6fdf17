"""The portfolio by hand: four names, two test days, one-day sleeves, then overlapping ones."""

import numpy as np
import pytest

from bft.models import blocks, portfolio

# opens of A, B, C, D on sessions 11..15; a test day t is in at t + 1, out at t + 1 + h
OPENS = np.array(
    [
        [100.0, 110.0, 110.0, 121.0, 121.0],
        [100.0, 100.0, 100.0, 100.0, 100.0],
        [100.0, 100.0, 105.0, 105.0, 105.0],
        [100.0, 90.0, 90.0, 81.0, 81.0],
    ]
)
PRICES = blocks.Prices(first=11, opens=OPENS)
SCORE = np.array([[4.0, 3, 2, 1], [1.0, 2, 3, 4]])  # day 10: long A, short D; day 11: the reverse


def test_sides_take_the_ends_and_need_two_k_names() -> None:
    score = np.array([[4.0, 3, 2, 1, np.nan], [np.nan, 5, 5, 5, 6], [1, np.nan, np.nan, 2, 3]])
    side = portfolio.sides(score, top_names=1)
    assert side.tolist() == [[1, 0, 0, -1, 0], [0, -1, 0, 0, 1], [-1, 0, 0, 0, 1]]
    assert not portfolio.sides(score, top_names=3).any()
    assert not portfolio.sides(np.full((1, 9), 0.5), top_names=1).any()
    forty = portfolio.sides(np.arange(40.0)[None], top_names=1)
    assert forty[0, -4:].tolist() == [1] * 4
    assert (forty < 0).sum() == 4


def test_one_day_sleeves_by_hand() -> None:
    side = portfolio.sides(SCORE, top_names=1)
    held = portfolio.hold(portfolio.weights_of(side), np.array([10, 11]), 1, PRICES)
    # 11 -> 12: long A +10 %, short D -10 %: 0.5 * 0.1 + 0.5 * 0.1; 12 -> 13: long D, short A: 0
    assert held.session.tolist() == [11, 12, 13]
    assert held.gross == pytest.approx([0.1, 0, 0])
    # traded: in 1.0; turned round 2.0; out 1.0, each at 10 bp; borrow 0.5 * 0.5 % / 252 a day
    assert held.traded == pytest.approx([1, 2, 1])
    borrow = 0.5 * 0.005 / 252
    assert held.net == pytest.approx([0.1 - 0.001 - borrow, -0.002 - borrow, -0.001])


def test_two_day_sleeves_overlap_at_half_weight() -> None:
    side = portfolio.sides(SCORE, top_names=1)
    held = portfolio.hold(portfolio.weights_of(side), np.array([10, 11]), 2, PRICES)
    # sleeve 1 holds 11..13, sleeve 2 12..14, a quarter a side: both cancel on 12 -> 13.
    # 13 -> 14: long D -10 %, short A +10 %, each 0.25
    assert held.session.tolist() == [11, 12, 13, 14]
    assert held.gross == pytest.approx([0.05, 0, -0.05, 0])
    assert held.traded == pytest.approx([0.5, 0.5, 0.5, 0.5])


def test_summary_by_hand() -> None:
    held = portfolio.Held(
        session=np.arange(5),
        gross=np.array([0.02, -0.01, 0.03, -0.02, 0.01]),
        net=np.array([0.01, -0.02, 0.02, -0.03, 0.0]),
        traded=np.array([1.0, 2, 1, 2, 0]),
    )
    found = portfolio.summary(held)
    net = held.net
    assert found["sharpe_net"] == pytest.approx(-0.004 / np.std(net, ddof=1) * np.sqrt(252))
    assert found["sortino"] == pytest.approx(-0.004 / np.sqrt(0.0013 / 5) * np.sqrt(252))
    # equity 1, 1.01, .9898, 1.009596, .97930812: deepest from the first peak 1.01
    assert found["max_drawdown"] == pytest.approx(0.97930812 / 1.01 - 1)
    assert found["cagr"] == pytest.approx(0.97930812 ** (252 / 5) - 1)
    assert found["calmar"] == pytest.approx(found["cagr"] / (1 - 0.97930812 / 1.01))
    assert found["turnover"] == pytest.approx(0.6)
    assert found["break_even_bps"] == pytest.approx(0.03 / 6 * 1e4)
    assert found["worst_day"] == -0.03


def test_trades_are_net_of_both_sides_and_borrow() -> None:
    side = np.array([[1.0, -1, 1, 0], [-1, 0, 0, 1]])
    y = np.array([[0.05, 0.02, np.nan, 9], [-0.04, 9, 9, 0.001]])
    found = portfolio.trades(side, y, 10)
    borrow = 0.005 * 10 / 252
    net = [0.05 - 0.002, -0.02 - 0.002 - borrow, 0.04 - 0.002 - borrow, 0.001 - 0.002]
    assert found["trades"] == 4
    assert found["win_rate"] == 0.5
    assert found["profit_factor"] == pytest.approx((net[0] + net[2]) / -(net[1] + net[3]))
    assert found["trade_mean"] == pytest.approx(np.mean(net))


def test_portfolio_of_one_side_uses_all_capital_and_flat_returns_have_no_ratio() -> None:
    assert portfolio.weights_of(np.array([[1.0, 1, 0]])).tolist() == [[0.5, 0.5, 0]]
    assert portfolio.sharpe(np.zeros(9)) is None
    assert portfolio.moments(np.zeros(9))["daily_sharpe"] is None


def test_price_panel_keeps_the_last_close_where_there_is_no_bar() -> None:
    # A trades on 11, 12, 14; B only on 10
    panel = blocks.prices(
        np.array([11, 12, 14, 10]),
        np.array([0, 3, 4]),
        np.array([1.0, 2.0, 4.0, 7.0]),
        np.array([1.5, 2.5, 4.5, 7.5]),
        (10, 14),
    )
    assert panel.first == 10
    np.testing.assert_array_equal(panel.opens, [[np.nan, 1, 2, 2.5, 4], [7, 7.5, 7.5, 7.5, 7.5]])
