"""How torch runs: device, threads, determinism. Set for a block and put back after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bft.domain.errors import ConfigError

Windows = Callable[[NDArray[np.int64]], Tensor]
"""End rows -> normalised windows (B, T, F) on the device."""


def choose_device(asked: str) -> torch.device:
    """Device of that name; `auto` takes CUDA where there is one.

    Raises:
        ConfigError: CUDA asked for and absent.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ConfigError("device cuda is absent on this machine; use --device cpu or auto")
    return torch.device("cuda" if there and asked != "cpu" else "cpu")


@contextmanager
def fixed(threads: int) -> Iterator[None]:
    """A fixed thread count and deterministic algorithms: equal bits for equal inputs on a CPU."""
    # set_deterministic_debug_mode: use_deterministic_algorithms imports the compiler, 4.6 s
    before, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(mode)


def describe(device: torch.device) -> str:
    """Name of a device as people know it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def precision_of(device: torch.device) -> torch.dtype:
    """bf16 on a GPU that has it, else fp16; fp32 on a CPU."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def windows_on(device: torch.device, matrix: NDArray[np.float32], lookback: int) -> Windows:
    """Gather of windows; the matrix lives on the GPU when it fits in half its free memory."""
    here = torch.from_numpy(matrix)
    if device.type == "cpu":
        return _gather(here, lookback)
    if matrix.nbytes <= torch.cuda.mem_get_info(device)[0] / 2:
        return _gather(here.to(device), lookback)
    windows = _gather(here, lookback)
    return lambda ends: windows(ends).pin_memory().to(device, non_blocking=True)


def _gather(matrix: Tensor, lookback: int) -> Windows:
    rows, width = matrix.shape
    shape = (rows - lookback + 1, lookback, width)
    overlapping = matrix.as_strided(shape, (width, width, 1))  # (rows, F) -> (N, T, F)

    def windows(ends: NDArray[np.int64]) -> Tensor:
        starts = torch.from_numpy(ends - lookback + 1).to(matrix.device)
        return overlapping.index_select(0, starts)

    return windows
