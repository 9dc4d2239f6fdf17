from dataclasses import replace
from typing import Any

import pytest

from bft.domain.forecast import MODEL_NAMES
from bft.models import gates, proposal
from bft.models.gates import Evidence, Pair, Reading
from bft.models.model_set import Entry
from bft.models.proposal import Standing


def profile(**more: Any) -> gates.Profile:
    rules = [
        {"id": "floor", "scope": "model", "kind": "floor", "metric": "rank_ic", "min": 0.0},
        {"id": "beats", "scope": "model", "kind": "incumbent", "metric": "rank_ic",
         "tolerance": 0.002, "worse": -0.005},
    ]  # fmt: skip
    body = {"schema": "bft.gates/1", "profile": "p", "rules": rules, **more}
    return gates.load(body, source="t")


def entry(digest: str | None) -> Entry:
    return Entry(name="reg_3d", version="1", digest=digest, train_end=None, origin="x")


def standing(
    *, rank_ic: float = 0.1, mean: float = 0.01, lower: float = 0.0, age: int = 5, **more: Any
) -> Standing:
    known = Evidence(
        readings={"rank_ic": Reading(value=rank_ic)},
        pairs={"beats": Pair(mean=mean, lower=lower, upper=0.1, days=80)},
    )
    base = Standing(
        name="reg_3d",
        candidate=entry("new"),
        incumbent=entry("old"),
        incumbent_age_days=age,
        evidence=known,
    )
    return replace(base, **more)


def took(one: Standing, by: gates.Profile | None = None) -> tuple[str | None, str, str]:
    found = proposal.choose(by or profile(), one)
    return found.entry.digest, found.entry.origin, found.verdict


def test_better_candidate_replaces_the_incumbent() -> None:
    assert took(standing()) == ("new", "candidate", "pass")


def test_failed_candidate_leaves_the_incumbent() -> None:
    assert took(standing(rank_ic=-0.1)) == ("old", "incumbent", "fail")
    assert took(standing(mean=-0.006, lower=-0.02)) == ("old", "incumbent", "fail")


def test_undecided_candidate_keeps_a_fresh_incumbent_and_replaces_an_aged_one() -> None:
    undecided = {"mean": -0.001, "lower": -0.02}
    assert took(standing(**undecided)) == ("old", "incumbent", "inconclusive")
    assert took(standing(**undecided, age=30)) == ("old", "incumbent", "inconclusive")
    assert took(standing(**undecided, age=31)) == ("new", "candidate", "inconclusive")
    worse = {"mean": -0.0021, "lower": -0.02}
    assert took(standing(**worse, age=31)) == ("old", "incumbent", "inconclusive")
    assert took(standing(**undecided), profile(inconclusive="candidate"))[1] == "candidate"


def test_no_candidate_keeps_the_incumbent_and_none_at_all_is_absent() -> None:
    assert took(standing(candidate=None)) == ("old", "incumbent", "pass")
    assert took(standing(candidate=None, incumbent=None)) == (None, "absent", "fail")
    assert took(standing(rank_ic=-1, incumbent=None)) == (None, "absent", "fail")


def test_same_model_stays_the_incumbent() -> None:
    one = standing(incumbent=entry("new"))
    assert took(replace(one, evidence=Evidence(readings=one.evidence.readings)))[1] == "incumbent"  # type: ignore[union-attr]


def test_vacant_only_judges_names_without_a_usable_incumbent() -> None:
    first = profile(vacant_only=True)
    assert took(standing(), first) == ("old", "incumbent", "pass")
    assert took(standing(age=90), first)[1] == "incumbent"
    assert took(standing(age=91), first)[1] == "candidate"
    assert took(standing(incumbent=entry(None)), first)[1] == "candidate"


@pytest.mark.parametrize(
    ("absent", "allowed", "expected"), [(2, 2, "pass"), (3, 2, "fail"), (1, 0, "fail")]
)
def test_absent_names_are_counted(absent: int, allowed: int, expected: str) -> None:
    by = profile(absent_at_most=allowed)
    one = proposal.choose(by, standing())
    none = proposal.choose(by, standing(candidate=None, incumbent=None))
    choices = {
        name: replace(pick, entry=replace(pick.entry, name=name))
        for n, name in enumerate(MODEL_NAMES)
        for pick in [none if n < absent else one]
    }
    assert proposal.set_verdict(by, choices, []) == expected
    rows = proposal.no_model_rows(by, choices)
    assert [row.model for row in rows] == list(MODEL_NAMES[:absent])
    assert {row.verdict for row in rows} == {"warn" if expected == "pass" else "fail"}


def test_profiles_combine_to_the_strictest() -> None:
    loose = profile(profile="loose", inconclusive="candidate", absent_at_most=2, vacant_only=True)
    both = proposal.combined([loose, profile(profile="strict")])
    assert (both.profile, both.inconclusive) == ("loose,strict", "incumbent")
    assert (both.absent_at_most, both.vacant_only) == (0, False)
    assert len(both.rules) == 2
