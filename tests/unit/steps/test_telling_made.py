"""Gold and training on a terminal. Red: every key of the line below the other."""

from typing import Any

from bft.steps.telling import told

DAY = {"asof": "2026-01-02", "seconds": 1.2, "rows": 2}
GOLD = {
    "verb": "gold",
    **DAY,
    "built": "from",
    "since": "2025-12-30",
    "because": "gold of 2025-12-31",
    "restated": 3,
    "restated_symbols": {"A": "2025-12-30", "B": "2025-12-31"},
    "partitions": 1204,
    "bytes": 11_238_452,
    "digest": "8" * 64,
}


def test_gold_tells_what_was_built_changed_and_exported() -> None:
    text = told("gold", {**GOLD, "exported": 1, "exported_to": "out/e.parquet"})
    assert text.splitlines() == [
        "built rows from 2025-12-30 on (gold of 2025-12-31): 1,204 partitions, 11.2 MB",
        "older rows that changed: A from 2025-12-30, B from 2025-12-31, 1 more",
        "exported 1 file to out/e.parquet",
        "gold 2026-01-02: 2 rows in 1.2 s",
    ]
    whole = {**GOLD, "since": None, "because": "no earlier gold", "restated": 0, "bytes": 999}
    assert told("gold", whole).splitlines()[0] == (
        "built all rows (no earlier gold): 1,204 partitions, 999 bytes"
    )


def fold(k: int) -> dict[str, Any]:
    blocks = {
        "train": ["2023-11-21", "2025-01-27"],
        "valid": ["2025-02-03", "2025-04-02"],
        "test": [["2025-04-09", "2025-04-30"], ["2025-05-20", "2025-06-24"]],
        "normalise": ["2023-11-21", "2024-11-05"],
    }
    return {"k": k, **blocks}


def test_dry_run_of_a_training_is_a_table_of_folds() -> None:
    models = [
        {"name": "buck_10d", "key": "a" * 64, "folds": [fold(0)]},
        {"name": "reg_3d", "key": "b" * 64, "folds": [fold(k) for k in range(45)]},
    ]
    text = told("train", {"verb": "train", **DAY, "models": models})
    rows = text.splitlines()
    assert max(map(len, rows)) <= 80
    assert rows[0] == ("a dry run, nothing is trained; 2 models, first and last day of each block:")
    assert rows[2].split() == (
        "buck_10d 2023-11-21 2025-01-27 2025-02-03 2025-04-02 2025-04-09 2025-06-24".split()
    )
    assert [row.split()[1] for row in rows[3:8]] == ["40", "41", "42", "43", "44"]
    assert rows[8].split() == ["reg_3d", "40", "earlier:", "--json"]


def test_training_is_a_table_of_models_with_faults_below() -> None:
    good = {"name": "reg_3d", "status": "trained", "version": "1", "rank_ic": 0.0312}
    good |= {"valid_loss": 0.91234, "epochs": 12, "seconds": 40.25, "error": None}
    lost = {**dict.fromkeys(good), "name": "bin_3d", "status": "failed", "seconds": 0.0}
    line = {"verb": "train", **DAY, "models": [good, {**lost, "error": "out of memory"}]}
    assert told("train", {**line, "study": False}).splitlines() == [
        "model   status   version   RankIC  valid loss  epochs  seconds",
        "reg_3d  trained        1  +0.0312      0.9123      12     40.2",
        "bin_3d  failed         -        -           -       -      0.0",
        "bin_3d: out of memory",
        "train 2026-01-02: 2 rows in 1.2 s",
    ]
