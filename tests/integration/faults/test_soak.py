"""Two hundred seeded days of faults; and the same seed writes the same journal."""

import os
from collections import Counter

import pytest
from soak import Outcome, many, play

SEEDS = 200


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of all seeds, from processes of their own."""
    return list(many(range(SEEDS), processes=min(2, os.cpu_count() or 1)))


def test_two_hundred_days_of_faults_break_no_invariant(outcomes: list[Outcome]) -> None:
    broken = {o.seed: (o.problems, o.story) for o in outcomes if o.problems}
    assert not broken
    assert [o.seed for o in outcomes] == list(range(SEEDS))
    counts = sum((o.counts for o in outcomes), Counter[str]())
    assert counts["allowed"] > SEEDS, "hardly an order was sent: the days prove nothing"
    assert min(counts[what] for what in ("crash", "trap", "message", "kill", "disk", "lost")) > 20


@pytest.mark.parametrize("seed", [3, 12, 14, 21])
def test_same_seed_writes_the_same_journal(seed: int, outcomes: list[Outcome]) -> None:
    """Nothing of a process reaches into it: there other days came before, here other tests."""
    here, there = play(seed), outcomes[seed]
    assert here.story == there.story
    assert here.journal == there.journal
    assert len(here.journal) > 20
