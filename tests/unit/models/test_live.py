import numpy as np
import pytest

from bft.models import drift, live


def test_standard_error_of_twenty_sessions() -> None:
    assert pytest.approx(3.55, abs=0.005) == live.STANDARD_ERROR


def test_weak_sharpe_fails_only_far_under_the_tests() -> None:
    flat = np.tile([0.001, -0.001], 10)  # Sharpe 0
    assert live.portfolio_faults(flat, test_sharpe=7.0) == []
    assert live.portfolio_faults(flat, test_sharpe=7.2) != []
    assert live.portfolio_faults(flat, test_sharpe=None) == []


def test_deep_drawdown_fails() -> None:
    net = np.full(20, 0.01)
    net[5] = -0.149
    assert live.portfolio_faults(net, test_sharpe=0.0) == []
    net[5] = -0.151
    assert live.portfolio_faults(net, test_sharpe=0.0) == ["drawdown -0.151"]


def test_common_move_of_a_day_is_no_drift_but_a_wider_spread_is() -> None:
    rng = np.random.default_rng(1)
    reference = sorted(rng.normal(size=401))
    day = np.repeat(np.arange(20), 100)
    score = rng.normal(size=2000)
    same = live.output_drift(reference, day, score + day)
    assert live.drift_faults({"reg_3d": same}, ks=live.KS_MAX, psi=live.PSI_MAX) == []
    wide = live.output_drift(reference, day, 5 * score)
    faults = live.drift_faults({"reg_3d": wide}, ks=live.KS_MAX, psi=live.PSI_MAX)
    assert [fault.split()[:2] for fault in faults] == [["reg_3d", "ks"], ["reg_3d", "psi"]]


def test_breach_needs_five_failing_days_in_a_row() -> None:
    bad, good = {"faults": ["x"]}, {"faults": []}
    assert live.verdict([bad] * 5)
    assert not live.verdict([bad] * 4)
    assert not live.verdict([bad, bad, good, bad, bad])
    assert live.verdict([good] + [bad] * 5)


def test_outputs_that_left_lately_have_not_failed_for_five_days() -> None:
    """Nine wide days of twenty are drift; four days before they were five of twenty: none."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(24), 200)
    score = rng.normal(size=len(day)) * np.where(day >= 15, 50, 1)
    reference = drift.reference(rng.normal(size=5000))
    found = live.drift_by_day({"reg_3d": reference}, day, {"reg_3d": score})
    faults = [live.drift_faults(one, ks=live.KS_MAX, psi=live.PSI_MAX) for one in found]
    assert len(faults) == live.DAYS_IN_A_ROW
    assert faults[-1]
    assert not faults[0]
    assert not live.verdict([{"faults": one} for one in faults])


def test_inputs_are_told_when_more_than_a_quarter_moved() -> None:
    rng = np.random.default_rng(5)
    names = ["volume_pct", "rsi_14", "adx_14", "cci_14"]
    trained = {name: drift.reference(rng.normal(size=5000), count=101) for name in names}
    now = {name: rng.normal(size=2000) for name in names}
    assert live.input_fault(trained, now) is None
    now["rsi_14"] = 3 + now["rsi_14"]
    assert live.input_fault(trained, now) is None  # a quarter is not more than a quarter
    now["adx_14"] = np.r_[3 + now["adx_14"], np.nan]
    told = "2 of 4 inputs moved (psi > 0.2): adx_14, rsi_14"
    assert live.input_fault(trained, now) == told
    assert live.input_fault({}, now) is None  # trained before these were kept


def test_own_inputs_are_neither_calendar_macro_market_nor_sector() -> None:
    assert len(live.OWN_INPUTS) == 52 - 2 - 4 - 3 - 4
    assert not {"month", "unemployment", "spy_ret_1d", "sector_rel_ret_1d"} & set(live.OWN_INPUTS)
