"""The array cache: gold as memory-mapped matrices in symbol-date order, with labels.

Built on first use under `cache/arrays/<digest>/`, mapped read-only after; the digest covers the
gold manifest, the feature list, the label clock and the code that made it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bft.dataset.folders import publish
from bft.dataset.labels import Bars, State, labels
from bft.dataset.members import MEMBER
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.gold import INPUTS, MARKET_PROXY, SIMULATED
from bft.domain.runs import Json

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

SCHEMA = "bft.arrays/2"
FEATURE_SET = hashlib.sha256("\n".join(INPUTS).encode()).hexdigest()
"""Id of the ordered input names (bft52)."""
_FILES = ("X", "dates", "offsets", "opens", "closes", "flags", "y", "label_end", "label_state")
_FIELDS = {"X": "inputs"}  # file -> member of Arrays, where they differ
_COLUMNS = ("adjusted_open", "adjusted_close", "adj_factor", "row_flags")
_RETURN_MAX = 0.2  # a median absolute daily return above it: percent where a fraction is due


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrays:
    """Rows of all symbols in symbol-date order, read-only.

    `inputs` (rows, 52) raw inputs, NaN = null; `dates` session numbers; rows of symbol s are
    `offsets[s]:offsets[s + 1]`; `opens`, `closes` forward prices; `y`, `label_end`, `label_state`
    (rows, 3) for the horizons 3, 10, 30, NaN where there is no usable label.
    """

    digest: str
    gold_digest: str
    asof: int
    clock: str
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    simulated: bool
    market_proxy: bool
    inputs: NDArray[np.float32]
    dates: NDArray[np.int32]
    offsets: NDArray[np.int64]
    opens: NDArray[np.float64]
    closes: NDArray[np.float64]
    flags: NDArray[np.int32]
    y: NDArray[np.float32]
    label_end: NDArray[np.int32]
    label_state: NDArray[np.int8]

    @property
    def owner(self) -> Ints:
        """Place in `symbols` of each row."""
        return np.repeat(np.arange(len(self.symbols)), np.diff(self.offsets))


def arrays_digest(
    *, gold_digest: str, facts_digest: str, asof: "date", clock: str, code: str
) -> str:
    """Name of the cache folder of these arrays."""
    parts = (SCHEMA, gold_digest, facts_digest, asof.isoformat(), clock, code, FEATURE_SET)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cached_arrays(
    cache: Path,
    digest: str,
    build_folder: Callable[[Path], None],
) -> Path:
    """Folder of the arrays, built by `build_folder` on first use or when damaged."""
    folder = cache / digest
    try:
        open_arrays(folder)
    except DataError:
        build_folder(folder)
    return folder


def from_gold(
    gold: "pa.Table",
    inputs: NDArray[np.float32],
    *,
    asof: "date",
    gold_digest: str,
    clock: str = "next_open",
    digest: str = "",
) -> Arrays:
    """Arrays of stored gold rows (own-day basis) and their inputs, in memory.

    `inputs` are `bft.features.inputs.model_inputs(gold)`, rows in the order of `gold`. Rows that a
    column `member` (`bft.dataset.members`) denies have no label.

    Raises:
        DataError: a column is missing or text, a key repeats or is unsorted, a row lies after
            `asof`, daily returns look like percent, simulated and real rows are mixed.
    """
    cells = _checked_columns(gold)
    symbols, offsets, dates = _keys(gold, asof)
    flags = cells["row_flags"].astype(np.int32)
    simulated = _simulated(flags)
    values = np.where(np.isfinite(inputs), inputs, np.nan).astype(np.float32)
    _check_unit(values)
    bars = Bars(
        dates=dates,
        offsets=offsets,
        opens=cells["adjusted_open"] * cells["adj_factor"],
        closes=cells["adjusted_close"] * cells["adj_factor"],
        flags=flags,
    )
    known = labels(bars, asof=sessions.number(asof), clock=clock)
    if MEMBER in gold.column_names:
        outside = ~gold[MEMBER].to_numpy()
        known.state[outside], known.y[outside] = State.NOT_MEMBER, np.nan
    return Arrays(
        digest=digest,
        gold_digest=gold_digest,
        asof=sessions.number(asof),
        clock=clock,
        symbols=tuple(symbols),
        features=INPUTS,
        simulated=simulated,
        market_proxy=bool((flags & MARKET_PROXY).any()),
        inputs=values,
        dates=np.asarray(dates, dtype=np.int32),
        offsets=np.asarray(offsets, dtype=np.int64),
        opens=np.asarray(bars.opens, dtype=np.float64),
        closes=np.asarray(bars.closes, dtype=np.float64),
        flags=flags,
        y=known.y,
        label_end=known.end,
        label_state=known.state,
    )


def build(
    gold: "pa.Table",
    inputs: NDArray[np.float32],
    folder: Path,
    *,
    asof: "date",
    gold_digest: str,
    clock: str = "next_open",
) -> str:
    """Write the arrays of `from_gold` to a folder; return the digest.

    Raises:
        DataError: as `from_gold`.
    """
    made = from_gold(
        gold, inputs, asof=asof, gold_digest=gold_digest, clock=clock, digest=folder.name
    )
    matrices = {name: getattr(made, _FIELDS.get(name, name)) for name in _FILES}
    meta = {"schema": SCHEMA} | {
        name: getattr(made, name)
        for name in (
            *("digest", "gold_digest", "asof", "clock", "symbols", "features"),
            *("simulated", "market_proxy"),
        )
    }
    publish(folder, lambda aside: _write(aside, matrices, meta))
    return folder.name


def open_arrays(folder: Path) -> Arrays:
    """Map the arrays of a folder.

    Raises:
        DataError: absent, of another schema, or a file of another size than written.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in meta["sizes"]}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"arrays {folder} are absent or unreadable; they are rebuilt") from error
    if meta.pop("schema") != SCHEMA or meta.pop("sizes") != sizes:
        raise DataError(f"arrays {folder} are damaged or of another schema; delete the folder")
    mapped: Any = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
        for name in _FILES
    }
    return Arrays(
        inputs=mapped.pop("X"),
        symbols=tuple(meta.pop("symbols")),
        features=tuple(meta.pop("features")),
        **meta,
        **mapped,
    )


def _write(aside: Path, matrices: dict[str, NDArray[Any]], meta: Json) -> None:
    for name, values in matrices.items():
        np.save(aside / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
    sizes = {path.name: path.stat().st_size for path in sorted(aside.iterdir())}
    text = json.dumps({**meta, "sizes": sizes}, sort_keys=True, indent=1)
    (aside / "meta.json").write_text(text, encoding="utf-8")


def _checked_columns(gold: "pa.Table") -> dict[str, Floats]:
    import pyarrow as pa

    cells = {}
    for name in ("symbol", "date", *_COLUMNS):
        if name not in gold.column_names:
            raise DataError(f"gold lacks the column {name}; rebuild it with bft gold --full")
        if name in _COLUMNS:
            kind = gold.schema.field(name).type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                raise DataError(f"gold column {name} is {kind}, expected a number")
            cells[name] = gold[name].to_numpy()
    return cells


def _keys(gold: "pa.Table", asof: "date") -> tuple[list[str], Ints, Ints]:
    import pyarrow.compute as pc

    if not len(gold):
        raise DataError(f"gold has no rows as of {asof}; run bft gold --asof {asof}")
    days = pc.unique(gold["date"])
    numbers = np.array([sessions.number(day) for day in days.to_pylist()], dtype=np.int32)
    dates = numbers[pc.index_in(gold["date"], days).to_numpy()]
    if numbers.max() > sessions.number(asof):
        late = sessions.session(int(numbers.max()))
        raise DataError(f"gold has a row of {late}, after asof {asof}; read it as of {asof}")
    names = pc.unique(gold["symbol"])
    owner = pc.index_in(gold["symbol"], names).to_numpy().astype(np.int64)
    symbols = names.to_pylist()
    step = np.diff(owner * (1 << 32) + dates)
    if (step <= 0).any() or symbols != sorted(symbols):
        at = int(np.argmax(step <= 0)) + 1
        what = "repeats" if (step == 0).any() else "is out of order"
        raise DataError(f"gold key ({symbols[owner[at]]}, {gold['date'][at]}) {what}")
    offsets = np.searchsorted(owner, np.arange(len(symbols) + 1))
    return symbols, offsets.astype(np.int64), dates


def _simulated(flags: Ints) -> bool:
    share = float(((flags & SIMULATED) != 0).mean())
    if 0 < share < 1:
        raise DataError(f"gold mixes simulated ({share:.1%}) and real rows; use one root for each")
    return share == 1


def _check_unit(values: NDArray[np.float32]) -> None:
    moves = np.abs(values[:, INPUTS.index("close_1d_roc")])
    known = moves[np.isfinite(moves)]
    if len(known) and float(np.median(known)) > _RETURN_MAX:
        raise DataError("unit: median daily return above 0.2; percent where a fraction is due")
