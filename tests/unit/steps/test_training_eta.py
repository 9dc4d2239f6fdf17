"""Time left of a training. Red: epochs of one fold only, and nothing for what is not an epoch."""

from datetime import timedelta

import pytest
from fakes import NOW

from bft.domain.runs import Event
from bft.steps.training_eta import Eta


def at(second: float, key: str, state: str, **more: float) -> Event:
    return Event(key=key, state=state, at=NOW + timedelta(seconds=second), **more)  # type: ignore[arg-type]


def epoch(second: float, key: str, number: int, took_s: float, *, fold: int = 0) -> Event:
    return at(second, key, "progress", epoch=number, step=fold, epoch_s=took_s)


def test_nothing_is_told_before_every_running_model_has_an_epoch() -> None:
    eta = Eta(dict.fromkeys("abcd", (4, 1)))
    assert [eta.note(at(0, key, "queued")) for key in "abcd"] == [None] * 4
    assert [eta.note(at(0, key, "running")) for key in "ab"] == [None] * 2
    assert eta.note(epoch(3, "a", 1, 2.0)) is None
    # a: 3 epochs of 2 s, then one that waits, 4 of 3 s; b: 3 of 4 s, then the other
    assert eta.note(epoch(5, "b", 1, 4.0)) == pytest.approx(max(6 + 12, 12 + 12))


def test_nothing_is_told_while_starting_is_the_greater_part() -> None:
    """Two epochs of 2 s after 27 s of starting a worker say nothing of seven more models."""
    eta = Eta(dict.fromkeys("abcd", (2, 1)))
    eta.note(at(0, "a", "running"))
    assert eta.note(epoch(29, "a", 1, 2.0)) is None
    assert eta.note(epoch(31, "a", 2, 2.0)) is None
    # stored after 4 s more; for the others a worker is there
    assert eta.note(at(35, "a", "done")) == pytest.approx(3 * (2 * 2.0 + 4.0))
    eta.note(at(35, "b", "running"))
    # 1 s until the first epoch begins, which then counts for c and d
    assert eta.note(epoch(38, "b", 1, 2.0)) == pytest.approx(2.0 + 4.0 + 2 * (1.0 + 4.0 + 4.0))


def test_folds_to_come_count() -> None:
    eta = Eta({"a": (8, 3)})
    eta.note(at(0, "a", "running"))
    assert eta.note(epoch(2, "a", 1, 2.0)) == pytest.approx((7 + 2 * 8) * 2.0)
    assert eta.note(epoch(40, "a", 8, 2.0, fold=1)) == pytest.approx(8 * 2.0)


def test_whole_time_of_finished_models_counts_for_the_others() -> None:
    """The first stopped early, at half its epochs, and took 5 s beside them."""
    eta = Eta(dict.fromkeys("abc", (4, 1)))
    eta.note(at(0, "a", "running"))
    eta.note(epoch(2, "a", 1, 2.0))
    eta.note(epoch(4, "a", 2, 2.0))
    assert eta.note(at(9, "a", "done")) == pytest.approx(2 * (2 * 2.0 + 5.0))
    assert eta.note(at(9, "b", "running")) == pytest.approx(2 * 9.0)
    assert eta.note(epoch(12, "b", 1, 2.0)) == pytest.approx((2.0 + 5.0) + 1.0 + 9.0)


def test_models_of_earlier_calls_and_the_end_leave_nothing() -> None:
    eta = Eta(dict.fromkeys("ab", (2, 1)))
    eta.over("a")
    eta.note(at(0, "b", "running"))
    assert eta.note(epoch(1, "b", 1, 1.0)) == pytest.approx(1.0)
    assert eta.note(at(3, "b", "done")) is None


def test_model_that_ran_out_of_memory_starts_anew() -> None:
    eta = Eta({"a": (3, 1)})
    eta.note(at(0, "a", "running"))
    eta.note(epoch(1, "a", 1, 1.0))
    assert eta.note(at(2, "a", "queued")) is None
    assert eta.note(at(3, "a", "running")) is None
    assert eta.note(epoch(4, "a", 1, 1.0)) == pytest.approx(2.0)


def test_place_that_became_free_is_taken_by_one_that_waits() -> None:
    """Between an end and the next start the others were told twice as long."""
    eta = Eta(dict.fromkeys("abcd", (2, 1)))
    for key in "ab":
        eta.note(at(0, key, "running"))
    for key in "ab":
        eta.note(epoch(2, key, 1, 2.0))
    eta.note(epoch(4, "a", 2, 2.0))
    # b: one epoch of 2 s; c at once, d after b
    assert eta.note(at(4, "a", "done")) == pytest.approx(2.0 + 4.0)
