"""What MLflow calls to load a bft model: `bft.models.mlflow_loader` in an MLmodel file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.models import artifact


class Served:
    """A model behind MLflow's `predict`."""

    def __init__(self, model: artifact.Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: Any = None) -> NDArray[np.float64]:
        """Calibrated outputs of raw windows (N, T, F): returns (N,), or probabilities (N, K).

        `model_input` is such an array, or a mapping with `windows` and their `symbols`; without
        names the pooled statistics are used.
        """
        named = isinstance(model_input, Mapping)
        windows = np.asarray(model_input["windows"] if named else model_input, dtype=np.float32)
        symbols = model_input["symbols"] if named else [""] * len(windows)
        return self._model.calibrated(self._model.raw(self._model.normalise(windows, symbols)))


def _load_pyfunc(path: str) -> Served:
    return Served(artifact.load(Path(path)))
