"""A denial names the fact of the option that is missing, and why it is."""

from typing import Any

import pytest
from risk_cases import option_context, option_order

from bft.risk.context import OptionFacts
from bft.risk.decide import evaluate
from bft.risk.options import lacking


@pytest.mark.parametrize(
    ("field", "rule", "note"),
    [
        ("delta", 31, "option_delta (too old) is unknown"),
        ("iv_observations", 31, "iv_rank (too old) is unknown"),
        ("iv_rank", 31, "iv_rank (too old) is unknown"),
        ("volume", 14, "option volume (too old) is unknown"),
        ("open_interest", 14, "open interest (too old) is unknown"),
        ("vix", 25, "vix (too old) is unknown"),
    ],
)
def test_a_missing_fact_is_named_by_the_first_rule_it_fails(
    field: str, rule: int, note: str
) -> None:
    changes: dict[str, Any] = {f"option__{field}": None, "option__lacks": ((field, "too old"),)}
    decision = evaluate(option_order(), option_context(**changes))
    first = next(r for r in decision.rules if r.verdict != "pass")
    assert (first.number, decision.detail) == (rule, note)


def test_without_any_facts_the_contract_is_unknown() -> None:
    decision = evaluate(option_order(), option_context(option=None))
    assert decision.detail == "option volume of the contract is unknown"


def test_a_fact_without_a_reason_is_named_alone() -> None:
    facts = option_context().option
    assert isinstance(facts, OptionFacts)
    assert lacking(facts, "option_delta") == "option_delta"


def test_option_is_not_asked_for_the_volume_of_its_underlying() -> None:
    """The table of limits bounds an option's own volume and open interest (ADR 0146)."""
    decision = evaluate(option_order(), option_context(symbol__adv_20=None))
    assert {rule.verdict for rule in decision.rules} == {"pass"}, decision.detail
