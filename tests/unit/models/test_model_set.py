import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes import FakePorts

from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES
from bft.models import model_set
from bft.models.model_set import Entry, ModelSet, report_digest


def entries(digest: str | None = "d" * 64) -> tuple[Entry, ...]:
    return tuple(
        Entry(name=name, version="1", digest=digest, train_end="2024-01-02", origin="candidate")
        for name in MODEL_NAMES
    )


def made(**changes: object) -> ModelSet:
    values = {
        "created_utc": "2025-01-06T23:00:00+00:00",
        "asof": "2025-01-06",
        "entries": entries(),
        "feature_set": "f" * 64,
        "gate_report_digest": "e" * 64,
        "paper_only": True,
    }
    return ModelSet(**(values | changes))


def test_set_digest_is_sha256_of_sorted_spaceless_utf8_json(ports: FakePorts) -> None:
    digest = model_set.write_set(ports.store, made(feature_set="gemäß"))
    data = ports.store.get(f"sets/{digest}.json")
    assert hashlib.sha256(data).hexdigest() == digest
    by_hand = json.dumps(
        json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert data == by_hand.encode()
    assert b"gem\xc3\xa4\xc3\x9f" in data
    body = json.loads(data)
    assert set(body) == {
        "schema", "created_utc", "asof", "entries", "weights", "quorum", "feature_set",
        "gate_report_digest", "paper_only",
    }  # fmt: skip
    assert model_set.read_set(ports.store, digest) == made(feature_set="gemäß")


def test_altered_set_is_refused(ports: FakePorts) -> None:
    digest = model_set.write_set(ports.store, made())
    key = f"sets/{digest}.json"
    ports.store.put(key, ports.store.get(key).replace(b"true", b"false"))
    with pytest.raises(DataError, match="altered"):
        model_set.read_set(ports.store, digest)


@pytest.mark.parametrize("count", [8, 10])
def test_set_of_other_than_nine_is_refused(ports: FakePorts, count: int) -> None:
    nine = entries()
    with pytest.raises(DataError, match=str(count)):
        model_set.write_set(ports.store, made(entries=(*nine, *nine)[:count]))


def test_two_models_may_be_absent_three_not(ports: FakePorts) -> None:
    gone = tuple(replace(e, digest=None, version=None, origin="absent") for e in entries())
    model_set.write_set(ports.store, made(entries=gone[:2] + entries()[2:]))
    with pytest.raises(DataError, match="lack 2"):
        model_set.write_set(ports.store, made(entries=gone[:3] + entries()[3:]))


def test_unknown_key_is_refused() -> None:
    with pytest.raises(DataError, match="surprise"):
        model_set.from_json(model_set.to_json(made()) | {"surprise": 1})


def test_artifact_that_is_absent_or_other_is_named(ports: FakePorts) -> None:
    files = {"model.json": b'{"created_utc": "2025-01-01T00:00:00+00:00"}', "weights.pt": b"w"}
    sums = "".join(f"{hashlib.sha256(b).hexdigest()}  {n}\n" for n, b in sorted(files.items()))
    digest = hashlib.sha256(sums.encode()).hexdigest()
    for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
        ports.store.put(f"models/{digest}/{name}", data)
    good = replace(made(), entries=entries(digest))
    assert model_set.absent_artifacts(ports.store, good) == []
    assert model_set.age_days(ports.store, digest, at=datetime(2025, 1, 9, 1, tzinfo=UTC)) == 8
    ports.store.put(f"models/{digest}/weights.pt", b"W")
    assert model_set.absent_artifacts(ports.store, good) == list(MODEL_NAMES)
    assert model_set.absent_artifacts(ports.store, made()) == list(MODEL_NAMES)


def test_digest_of_a_report_leaves_out_what_a_clock_measured() -> None:
    def report(**more: object) -> dict[str, object]:
        latency = {"id": "fast", "metric": "batch_550_ms", "verdict": "pass", "value": 30.5}
        skill = {"id": "skill", "metric": "rank_ic", "verdict": "pass", "value": 0.02}
        return {"gates": "paper", "rules": [{**latency, "margin": 9.5, **more}, skill]}

    digest = report_digest(report())
    assert digest == report_digest(report(value=31.7, margin=8.3))
    assert digest != report_digest(report(verdict="fail"))
    other = report()
    other["rules"][1]["value"] = 0.03  # type: ignore[index]
    assert digest != report_digest(other)
