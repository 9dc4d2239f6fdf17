"""predict on a root of random-walk gold and untrained nets."""

import json
import shutil
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from fakes import FakePorts, FixedClock, arguments, no_tick
from model_sets import arrays_of, put_set_of_nets
from predictions import ASOF, NAMES, artifact_of, change_gold, flip, forecasts, score
from scipy.stats import rankdata

from bft.adapters.store.tables import schema
from bft.dataset.windows import gather
from bft.domain.errors import DataError, StaleDataError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.gold import SIMULATED
from bft.models import artifact
from bft.models.model_set import read_set
from bft.steps import predict, record
from bft.steps.predict_inputs import load_market


def test_forecasts_fill_the_schema_for_every_symbol(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    summary = score(ports, digest)
    rows = ports.store.read("forecasts", asof=ASOF)
    assert rows.schema == schema("forecasts")
    assert rows["symbol"].to_pylist() == NAMES
    assert all(rows[name].null_count == 0 for name in rows.column_names)
    found = forecasts(ports)
    assert set(found["status"]) == {"ok"}
    assert (found["degraded"][0], found["missing_models"][0]) == (False, "")
    assert (found["oos"][0], found["paper_only"][0], found["simulated"][0]) == (True, True, True)
    assert found["set_digest"][0] == digest
    assert found["gold_digest"][0] == ports.store.manifest("gold").digest
    assert summary.rows == 24
    assert summary.values["missing"] == {}
    assert set(summary.values["timings_s"]) == {"models", "gold", "forwards", "publish", "shadow"}


def test_forecast_of_a_symbol_equals_its_models_by_hand(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    score(ports, digest)
    found, arrays = forecasts(ports), arrays_of(ports, ASOF)
    ends = arrays.offsets[1:] - 1
    expected = {}
    for entry in read_set(ports.store, digest).entries:
        model = artifact.load(ports.store.path(f"models/{entry.digest}"), digest=entry.digest)
        raw = model.raw(model.normalise(gather(arrays.inputs, ends, 20), NAMES)).astype(float)
        if entry.name.startswith("reg"):
            expected[entry.name] = raw[:, 0] * 0.03
        elif entry.name.startswith("bin"):
            up = 1 / (1 + np.exp(-(0.7 * (raw[:, 1] - raw[:, 0]) - 0.8)))
            expected[entry.name] = up * 0.03 - (1 - up) * 0.02
            h = entry.name.removeprefix("bin_")
            assert found[f"prob_1_bin_{h}"] == pytest.approx(up, abs=1e-6)
            assert found[f"lift_bin_{h}"] == pytest.approx(up / 0.3, abs=1e-5)
            assert found[f"pred_class_bin_{h}"] == (up >= 0.3).astype(float).tolist()
        else:
            z = np.exp(raw / 1.5 + np.array([0.1, -0.1, 0.0]))
            p = z / z.sum(axis=1, keepdims=True)
            expected[entry.name] = p @ np.array([-0.03, 0.0, 0.04])
            h = entry.name.removeprefix("buck_")
            assert found[f"prob_2_buck_{h}"] == pytest.approx(p[:, 2], abs=1e-6)
    assert found["pred_return_reg_10d"] == pytest.approx(expected["reg_10d"], abs=1e-7)
    merged = np.mean([expected[f"{kind}_30d"] for kind in ("reg", "bin", "buck")], axis=0)
    assert found["expected_return_30d"] == pytest.approx(merged, abs=1e-7)
    assert found["rank_30d"] == pytest.approx((rankdata(merged) - 0.5) / 24)
    returns = arrays.closes[ends[0] - 19 : ends[0] + 1] / arrays.closes[ends[0] - 20 : ends[0]] - 1
    half = 1.6 * returns.std(ddof=1) * np.sqrt(10)
    assert found["hi_return_reg_10d"][0] - found["pred_return_reg_10d"][0] == pytest.approx(
        half, rel=1e-5
    )


def test_windows_of_predict_equal_those_of_training_bit_for_bit(
    ready: tuple[FakePorts, str],
) -> None:
    ports, _ = ready
    whole = arrays_of(ports, ASOF)
    market, _ = load_market(ports, ASOF, first=ASOF, lookback=20, past=False)
    part = market.arrays
    assert len(part.dates) < len(whole.dates)
    for n in (0, 23):
        a = gather(whole.inputs, whole.offsets[n + 1 : n + 2] - 1, 20)
        b = gather(part.inputs, part.offsets[n + 1 : n + 2] - 1, 20)
        np.testing.assert_array_equal(a, b)


def test_same_gold_and_set_give_the_same_bytes(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    first = score(ports, digest).objects
    ports.clock = FixedClock(datetime(2027, 6, 1, 12, tzinfo=UTC))
    again = score(ports, digest)
    assert again.objects == first
    key = f"tables/forecasts/asof={ASOF}.parquet"
    assert key in first
    assert b"timings" not in ports.store.get(key)


def test_last_scored_session_is_asof_though_it_has_no_label(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    score(ports, digest)
    arrays = arrays_of(ports, ASOF)
    assert np.isnan(arrays.y[arrays.offsets[1:] - 1]).all()
    assert set(forecasts(ports)["asof"]) == {ASOF}


def test_refused_symbols_have_a_reason_and_nulls(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready

    def spoil(cells: dict[str, np.ndarray]) -> np.ndarray:
        symbol, day = cells["symbol"], cells["date"].astype("datetime64[D]")
        newest = day == np.datetime64(ASOF)
        cells["adjusted_close"][(symbol == "S001") & newest] = 0.0
        late = day < np.datetime64("2025-12-10")
        cells["sma_20_pct"][symbol == "S003"] = np.inf  # null, and no reason to refuse
        return ~((symbol == "S002") & late)

    change_gold(ports, spoil)
    row = {"asof": ASOF, "check": "Q07", "symbol": "S004", "severity": "quarantine"}
    quality = pa.table(
        {f.name: [row.get(f.name)] for f in schema("quality")}, schema=schema("quality")
    )
    ports.store.publish("quality", asof=ASOF, partitions={f"asof={ASOF}": quality})
    summary = score(ports, digest)
    found = forecasts(ports)
    status = dict(zip(found["symbol"], found["status"], strict=True))
    assert {name: why for name, why in status.items() if why != "ok"} == {
        "S001": "price",
        "S002": "short_history",
        "S004": "quarantined",
    }
    assert found["rank_3d"][1] is None
    assert found["consensus_direction"][2] is None
    assert found["rank_3d"][3] is not None
    assert summary.skipped == {"price": 1, "quarantined": 1, "short_history": 1}
    assert sorted(v for v in found["rank_3d"] if v is not None) == pytest.approx(
        (np.arange(21) + 0.5) / 21
    )


def test_missing_cells_refuse_a_symbol(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    rows = ports.store.read("gold", asof=ASOF)
    mine = pa.compute.equal(rows["symbol"], "S005")
    blanked = [f.name for f in rows.schema if f.name.endswith("_signal") or f.name.endswith("_pct")]
    for name in blanked:
        place = rows.schema.get_field_index(name)
        null = pa.scalar(None, rows.schema.field(place).type)
        rows = rows.set_column(place, name, pa.compute.if_else(mine, null, rows[name]))
    ports.store.publish("gold", asof=ASOF, partitions={"all": rows}, replaces=True)
    assert score(ports, digest).skipped == {"missing_cells": 1}


@pytest.mark.parametrize(("absent", "fails"), [(1, False), (2, True)])
def test_stale_symbols_are_refused_and_above_five_percent_stop_the_night(
    ready: tuple[FakePorts, str], absent: int, fails: bool
) -> None:
    ports, digest = ready
    gone = NAMES[:absent]

    def cut(cells: dict[str, np.ndarray]) -> np.ndarray:
        newest = cells["date"].astype("datetime64[D]") == np.datetime64(ASOF)
        return ~(newest & np.isin(cells["symbol"].astype(str), gone))

    change_gold(ports, cut)
    if fails:
        with pytest.raises(DataError, match="22 of 24 eligible symbols"):
            score(ports, digest)
        assert ports.store.manifest("forecasts") is None
    else:
        assert score(ports, digest).skipped == {"stale": 1}


def test_byte_flip_in_one_of_nine_excludes_it_and_degrades(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    flip(ports, digest, "bin_10d")
    summary = score(ports, digest)
    found = forecasts(ports)
    assert "corrupt" in summary.values["missing"]["bin_10d"]
    assert summary.values["degraded"] is True
    assert set(found["missing_models"]) == {"bin_10d"}
    assert set(found["degraded"]) == {True}
    assert set(found["prob_1_bin_10d"]) == {None}
    parts = [found[f"{name}_10d"][0] for name in ("pred_return_reg", "pred_expected_return_buck")]
    assert found["expected_return_10d"][0] == pytest.approx(np.mean(parts), abs=1e-7)


def test_below_quorum_nothing_is_published_and_the_models_are_named(
    ready: tuple[FakePorts, str],
) -> None:
    ports, digest = ready
    flip(ports, digest, "bin_10d")
    flip(ports, digest, "buck_30d")
    shutil.rmtree(artifact_of(ports, digest, "reg_3d"))
    told = r"6 of 9 .*reg_3d, bin_10d, buck_30d.*reg_3d: model \w+ is missing.*corrupt"
    with pytest.raises(DataError, match=told):
        score(ports, digest)
    assert ports.store.manifest("forecasts") is None


def test_absent_entries_of_a_set_count_as_missing(ready: tuple[FakePorts, str]) -> None:
    ports, _ = ready
    digest = put_set_of_nets(ports, ASOF, absent=["buck_3d"])
    assert score(ports, digest).values["missing"] == {"buck_3d": "absent from the set"}


def test_old_models_are_excluded_and_ageing_ones_warned_about(
    ready: tuple[FakePorts, str],
) -> None:
    ports, _ = ready
    old = put_set_of_nets(ports, ASOF, created="2025-10-02T22:00:00+00:00")
    assert len(score(ports, old).values["warnings"]) == 9  # 90 days at 18:00 of asof
    assert forecasts(ports)["model_age_days_max"][0] == 90
    ports.clock = FixedClock(datetime(2026, 1, 2, 13, tzinfo=UTC))  # the newest night, by the clock
    with pytest.raises(DataError, match=r"0 of 9 .*trained 91 days ago, limit 90"):
        score(ports, old)


def test_models_unfinished_at_the_deadline_are_missing(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    ports.clock = FixedClock(datetime(2026, 1, 2, 14, 1, tzinfo=UTC))  # 09:01 of the next session
    with pytest.raises(DataError, match="reg_3d: deadline"):
        score(ports, digest)
    assert score(ports, digest, "--deadline", "2026-01-02T15:00+00:00").rows == 24
    ports.clock = FixedClock(datetime(2026, 1, 5, 23, tzinfo=UTC))  # a past night is never late
    assert score(ports, digest, "--deadline", "auto").rows == 24


def test_deadline_without_a_zone_is_refused() -> None:
    with pytest.raises(SystemExit):
        arguments(predict.STEP, "--deadline", "2026-01-02T15:00")


def test_gold_that_does_not_end_at_asof_is_stale(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    with pytest.raises(StaleDataError, match=r"newest: 2025-12-31.*bft VERB --asof 2025-12-31"):
        score(ports, digest, asof=date(2026, 1, 2))


def test_no_set_in_production_says_what_to_do(ready: tuple[FakePorts, str]) -> None:
    args = arguments(predict.STEP, "--asof", str(ASOF))
    with pytest.raises(DataError, match="bft promote"):
        predict.STEP.run(ready[0], args, no_tick)


def test_production_pointer_names_the_set_and_a_repeat_is_found_done(
    ready: tuple[FakePorts, str],
) -> None:
    ports, digest = ready
    ports.state.move_pointer(
        expected_revision=0, set_digest=digest, entry={"action": "promote"}, key="k"
    )
    args = arguments(predict.STEP, "--asof", str(ASOF))
    args.asof = ASOF
    assert record.execute(ports, "predict", predict.STEP, args, no_tick).rows == 24
    again = record.execute(ports, "predict", predict.STEP, args, no_tick)
    assert again.values["cached"] is True
    assert again.values["set_digest"] == digest


def test_new_symbol_takes_pooled_statistics_and_is_counted(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready

    def rename(cells: dict[str, np.ndarray]) -> None:
        cells["symbol"][cells["symbol"] == "S023"] = "ZNEW"

    change_gold(ports, rename)
    assert score(ports, digest).values["pooled_symbols"] == 1


def test_simulated_and_real_rows_together_are_refused(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    rows = ports.store.read("gold", asof=ASOF)
    place = rows.schema.get_field_index("row_flags")
    real = pa.array(np.where(np.arange(rows.num_rows) % 2, SIMULATED, 0), pa.int32())
    mixed = rows.set_column(place, "row_flags", real)
    ports.store.publish("gold", asof=ASOF, partitions={"all": mixed}, replaces=True)
    with pytest.raises(DataError, match="mixes simulated"):
        score(ports, digest)


def test_json_line_has_what_workflows_read(ready: tuple[FakePorts, str]) -> None:
    ports, digest = ready
    line = json.loads(json.dumps(record.line_of(score(ports, digest)), default=str))
    assert set(predict.STEP.outputs) <= set(line)
    assert set(MODEL_NAMES).isdisjoint(line["missing"])
