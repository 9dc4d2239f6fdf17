import json

import pytest

from bft.domain.trading import ExitPolicy, policy_of, policy_values
from bft.strategies import STRATEGIES
from bft.strategies.signals import params_digest

# strategies specification, section 2.2: S8, S9, S10 day and swing
LATER = [
    ExitPolicy(
        stop_frac=None,
        stop_atr=2.0,
        target_frac=None,
        target_atr=3.0,
        trail_atr=3.0,
        max_hold_days=10,
        atr_floor_frac=0.005,
    ),
    ExitPolicy(
        stop_frac=None,
        stop_atr=1.5,
        target_frac=None,
        target_atr=3.0,
        max_hold_days=None,
        min_hold_days=0,
        cooldown_days=0,
        same_session=True,
        cooldown_s=900,
    ),
    ExitPolicy(
        stop_frac=None,
        stop_atr=2.0,
        target_frac=None,
        target_risk=2.0,
        max_hold_days=None,
        min_hold_days=0,
        cooldown_days=0,
        same_session=True,
        max_hold_s=14_400,
        cooldown_s=900,
    ),
    ExitPolicy(stop_frac=None, stop_atr=2.0, target_frac=None, target_risk=2.0, max_hold_days=10),
]


def test_params_digests_of_the_core_set_stay() -> None:
    """Stored signals carry these: another digest makes `bft rank` ask for the scan again."""
    assert {name: params_digest(made) for name, made in STRATEGIES.items()} == {
        "bollinger": "5d232dffcdcb9717",
        "oversold_bounce": "a1d031877a8240bb",
        "oversold_reversal": "50af1080c4d3c88a",
        "low_bounce": "88ee46e942ecd997",
        "ml_prediction": "5bc0c0e5a3928251",
        "regression_momentum": "4d8b0c609aa32702",
    }


@pytest.mark.parametrize("policy", [*LATER, ExitPolicy(partials=((0.05, 0.5), (0.1, 0.25)))])
def test_policy_survives_json(policy: ExitPolicy) -> None:
    assert policy_of(json.loads(json.dumps(policy_values(policy)))) == policy


def test_policy_values_name_a_field_of_intraday_policies_only_where_set() -> None:
    assert "cooldown_s" not in policy_values(ExitPolicy())
    assert policy_values(ExitPolicy(cooldown_s=0))["cooldown_s"] == 0
