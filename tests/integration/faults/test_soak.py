"""Two hundred seeded days of faults; and the same seed writes the same journal."""

import os
from collections import Counter

import pytest
from soak import many, play

SEEDS = 200


def test_two_hundred_days_of_faults_break_no_invariant() -> None:
    outcomes = list(many(range(SEEDS), processes=min(2, os.cpu_count() or 1)))
    broken = {o.seed: (o.problems, o.story) for o in outcomes if o.problems}
    assert not broken
    counts = sum((o.counts for o in outcomes), Counter[str]())
    assert counts["allowed"] > SEEDS, "hardly an order was sent: the days prove nothing"
    assert min(counts[what] for what in ("crash", "trap", "message", "kill", "disk", "lost")) > 20


@pytest.mark.parametrize("seed", [3, 12, 14, 21])
def test_same_seed_writes_the_same_journal(seed: int) -> None:
    first, second = play(seed), play(seed)
    fresh = next(many([seed], processes=1))  # nothing of this process reaches into that one
    assert first.story == second.story
    assert first.journal == second.journal == fresh.journal
    assert len(first.journal) > 20
