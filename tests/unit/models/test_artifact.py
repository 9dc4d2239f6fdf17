import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import make_arrays, training_spec

from bft.domain.errors import DataError
from bft.models import artifact
from bft.models.fit import fit_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("artifact")
    arrays = make_arrays(home / "arrays", symbols=12, days=460)
    quick = ("plots=[]", "baselines=[]", "bootstrap_draws=50", "epochs=1")
    spec: Any = training_spec(home, arrays, "bin_3d", *quick)
    result = fit_model(spec, lambda _event: None)
    return Path(result["folder"]), result["digest"]


@pytest.fixture
def copy(made: tuple[Path, str], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "m")
    return tmp_path / "m"


def resum(folder: Path) -> None:
    """Make the sums fit again, as one would who means to deceive."""
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(artifact.CORE)
    ]
    (folder / artifact.SUMS).write_text("".join(lines))


def test_the_digest_is_the_sum_of_the_sums(made: tuple[Path, str]) -> None:
    folder, digest = made
    assert hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest() == digest
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert names == ["model.json", "probe.npz", "stats.npz", "weights.pt"]
    assert artifact.verify(folder, digest=digest) == digest


@pytest.mark.parametrize("name", artifact.CORE)
def test_a_flipped_byte_is_corrupt(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 3] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(DataError, match=f"corrupt: {name}"):
        artifact.load(copy)


def test_another_digest_than_the_set_names_is_corrupt(copy: Path) -> None:
    with pytest.raises(DataError, match="corrupt: SHA256SUMS"):
        artifact.load(copy, digest="0" * 64)


def test_evidence_is_not_part_of_the_digest_but_has_sums(copy: Path) -> None:
    listed = (copy / "EVIDENCE_SUMS").read_text()
    for name in ("evaluation.json", "export_manifest.json", "card.md", "blocks.npz"):
        assert f"{hashlib.sha256((copy / name).read_bytes()).hexdigest()}  {name}\n" in listed
    (copy / "evaluation.json").unlink()
    artifact.load(copy)


def test_an_absent_folder_or_file_is_missing_or_corrupt(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        artifact.load(tmp_path / "nothing")
    (copy / "model.json").unlink()
    with pytest.raises(DataError, match=r"corrupt: model\.json"):
        artifact.load(copy)


def changed(folder: Path, **values: Any) -> None:
    spec = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(spec | values))
    resum(folder)


def test_an_unknown_schema_is_refused(copy: Path) -> None:
    changed(copy, schema="bft.model/2")
    with pytest.raises(DataError, match=r"bft\.model/2"):
        artifact.load(copy)


def test_a_feature_gold_does_not_have_is_refused(copy: Path) -> None:
    changed(copy, feature_set={"id": "x", "names": ["moon_phase"], "dead": []})
    with pytest.raises(DataError, match="moon_phase"):
        artifact.load(copy)


def test_the_net_is_rebuilt_from_its_sizes_and_weights_must_fit(copy: Path) -> None:
    net = json.loads((copy / "model.json").read_text())["net"]
    changed(copy, net=net | {"width": 32})
    with pytest.raises(DataError, match=r"corrupt: weights\.pt"):
        artifact.load(copy)


def test_weights_that_answer_otherwise_than_the_probe_are_corrupt(copy: Path) -> None:
    state = torch.load(copy / "weights.pt", weights_only=True)
    state["tokens.linear.weight"] *= 3
    out = io.BytesIO()
    torch.save(state, out)
    (copy / "weights.pt").write_bytes(out.getvalue())
    resum(copy)
    with pytest.raises(DataError, match="probe outputs differ"):
        artifact.load(copy)


def test_weights_never_run_code(copy: Path) -> None:
    import pickle

    (copy / "weights.pt").write_bytes(pickle.dumps(print, protocol=2))
    resum(copy)
    with pytest.raises(DataError, match=r"corrupt: weights\.pt"):
        artifact.load(copy)


def test_outputs_do_not_depend_on_the_batch_they_are_in(made: tuple[Path, str]) -> None:
    model = artifact.load(made[0])
    windows = np.random.default_rng(1).normal(size=(1500, 20, 52)).astype(np.float32)
    whole = model.raw(windows)
    np.testing.assert_allclose(model.raw(windows[1200:1203]), whole[1200:1203], atol=1e-5)
