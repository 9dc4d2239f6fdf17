"""Walk-forward, outcomes and the shadow set."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fakes import FakePorts, arguments
from model_sets import arrays_of, put_set_of_nets
from predictions import ASOF, NAMES, change_gold, forecasts, score

from bft.dataset.windows import gather
from bft.domain import sessions
from bft.domain.runs import ModelVersion
from bft.models import artifact
from bft.models.model_set import read_set
from bft.steps import predict, record


def test_walk_forward_scores_each_day_by_the_newest_fold_out_of_sample(
    built: tuple[Path, str, str], ready: tuple[FakePorts, str]
) -> None:
    ports, two = ready[0], built[2]
    last = sessions.number(ASOF)
    first = sessions.session(last - 42)  # test blocks start 40 and 20 sessions before asof
    summary = score(ports, two, "--walk-forward", str(first))
    assert summary.values["days"] == 43
    assert summary.values["oos"] is False
    oos = {back: forecasts(ports, sessions.session(last - back))["oos"][0] for back in (42, 41, 40)}
    assert oos == {42: False, 41: False, 40: True}
    arrays, fold = arrays_of(ports, ASOF), {}
    home = ports.store.path(f"models/{read_set(ports.store, two).entry('reg_3d').digest}")
    for back in (42, 30, 21, 20, 0):
        said = forecasts(ports, sessions.session(last - back))["pred_return_reg_3d"]
        row = arrays.offsets[1:] - 1 - back
        for k, folder in enumerate((home / "folds" / "0", home)):
            model = artifact.load(folder)
            raw = model.raw(model.normalise(gather(arrays.inputs, row, 20), NAMES))
            if np.allclose(raw[:, 0] * 0.03, said, atol=1e-7):
                fold[back] = k
    assert fold == {42: 0, 30: 0, 21: 0, 20: 1, 0: 1}


def test_future_changes_leave_earlier_forecasts_bit_identical(
    ready: tuple[FakePorts, str],
) -> None:
    ports, digest = ready
    start, cut = sessions.shift(ASOF, -12), sessions.shift(ASOF, -6)

    def kept() -> list[tuple[Any, ...]]:
        rows = ports.store.read("forecasts", asof=ASOF)
        early = rows.filter(pa.compute.less_equal(rows["asof"], cut)).drop_columns(["gold_digest"])
        assert early.num_rows == 7 * 24
        return [tuple(row.values()) for row in early.to_pylist()]

    score(ports, digest, "--walk-forward", str(start))
    before = kept()

    def shake(cells: dict[str, np.ndarray]) -> None:
        later = cells["date"].astype("datetime64[D]") > np.datetime64(cut)
        for name in ("adjusted_close", "adjusted_open", "rsi_14"):
            cells[name][later] *= np.random.default_rng(1).uniform(0.5, 2, later.sum())

    change_gold(ports, shake)
    score(ports, digest, "--walk-forward", str(start))
    assert kept() == before
    assert forecasts(ports)["rank_3d"] != before


def test_walk_forward_and_nightly_agree_on_the_same_day(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    score(ports, digest)
    night = forecasts(ports)
    score(ports, digest, "--walk-forward", str(sessions.shift(ASOF, -3)))
    assert forecasts(ports) == night


def test_outcomes_are_the_labels_that_became_known(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    start = sessions.shift(ASOF, -35)
    summary = score(ports, digest, "--walk-forward", str(start))
    rows = ports.store.read("outcomes", asof=ASOF).to_pylist()
    arrays = arrays_of(ports, ASOF)
    assert summary.values["outcomes"] == len(rows)
    # days -35 .. asof: labels of h sessions are known for all but the last h + 1
    assert len(rows) == 24 * sum(36 - (h + 1) for h in (3, 10, 30))
    one = next(r for r in rows if r["symbol"] == "S007" and r["h"] == 10 and r["asof"] == start)
    row = arrays.offsets[8] - 36
    by_hand = arrays.opens[row + 11] / arrays.opens[row + 1] - 1
    assert one["y"] == pytest.approx(by_hand, rel=1e-5)
    partition = f"known={sessions.shift(start, 11)}"
    part = ports.store.read("outcomes", asof=ASOF, partitions=[partition]).to_pylist()
    assert {(r["h"], r["asof"]) for r in part} >= {(10, start)}


def test_shadow_is_scored_into_its_own_table(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    other = put_set_of_nets(ports, ASOF, absent=["reg_3d"])
    tags = {"digest": other}
    ports.tracker.models["bft-set"] = [
        ModelVersion(name="bft-set", version="4", run_id=None, tags=tags)
    ]
    ports.tracker.moved["bft-set"] = {"shadow": "4"}
    summary = score(ports, digest, "--shadow")
    assert summary.values["shadow"] == {"set_digest": other, "rows": 24}
    assert set(forecasts(ports)["set_digest"]) == {digest}
    assert set(forecasts(ports, table="forecasts_shadow")["set_digest"]) == {other}


@pytest.mark.parametrize("state", ["away", "none", "broken"])
def test_shadow_faults_never_stop_the_night(ready: tuple[FakePorts, str], state: str) -> None:
    ports, digest = ready
    ports.tracker.down = state == "away"
    if state == "broken":
        ports.tracker.models["bft-set"] = [
            ModelVersion(name="bft-set", version="4", run_id=None, tags={"digest": "f" * 64})
        ]
        ports.tracker.moved["bft-set"] = {"shadow": "4"}
    summary = score(ports, digest, "--shadow")
    assert summary.rows == 24
    assert summary.values["shadow"]["set_digest"] == ("f" * 64 if state == "broken" else None)
    assert ("error" in summary.values["shadow"]) == (state == "broken")


def test_a_call_by_hand_is_the_nights_own(ready: tuple[FakePorts, str]) -> None:
    """Red: by hand no shadow was scored, so the night's score node was stale after it."""
    ports, _ = ready
    night = arguments(predict.STEP, "--deadline", "auto", "--shadow", asof=ASOF)
    hand = arguments(predict.STEP, asof=ASOF)
    found = [
        record.identity(ports.store, "predict", predict.STEP, args, predict.inputs(ports, args))
        for args in (night, hand)
    ]
    assert found[0] == found[1]
