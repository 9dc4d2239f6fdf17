"""`bft gold --export`: the table of asof, prices as known then, for other tools."""

import argparse
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain.errors import ConfigError, DataError, UsageError
from bft.domain.runs import Json
from bft.ports import Store

if TYPE_CHECKING:
    import pyarrow as pa

SYMBOLS_PER_FILE = 15
DAILY = "1Day"
FORMS = ("csv", "parquet", "store")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add `--export`; what lies outside the root is written by every call."""
    parser.add_argument(
        "--export",
        type=_form,
        action=_Export,
        metavar="csv:DIR|parquet:FILE|store:DIR",
        help="also write the table for other tools",
    )


def export(store: Store, asof: date, target: tuple[str, str] | None, *, table: str) -> Json:
    """Write gold of asof where `target` says; nothing without one.

    Raises:
        ConfigError: the place is not writable.
    """
    if target is None:
        return {}
    form, place = target[0], Path(target[1])
    rows = shown(store, asof, table=table)
    write = {"csv": _csv, "parquet": _parquet, "store": _features}[form]
    try:
        files = write(rows, place)
    except OSError as error:
        raise ConfigError(f"--export {form}:{place}: {error}; give a writable place") from error
    return {"exported": files, "exported_to": str(place)}


def shown(store: Store, asof: date, *, table: str) -> "pa.Table":
    """The rows of asof on the basis of asof, targets joined as known then."""
    from bft.features.basis import rebase, with_targets

    gold = store.read(table, asof=asof)
    if table == "gold_legacy":  # the naive rules know one basis and hold their targets
        return gold
    return with_targets(rebase(gold, asof=asof), store.read("gold_targets", asof=asof))


def read_features(folder: Path, symbol: str) -> "pa.Table":
    """Features of one symbol as exported to `store:folder`.

    Raises:
        DataError: there is no file; names it.
    """
    import pyarrow.parquet as pq

    file = folder / DAILY / f"{symbol}.parquet"
    if not file.exists():
        raise DataError(f"{file} is absent; run: bft gold --export store:{folder}")
    return pq.read_table(file)


class _Export(argparse.Action):
    """Keeps the target and asks for a fresh run: no marker covers files outside the root."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.export, namespace.fresh = values, True


def _form(text: str) -> tuple[str, str]:
    form, _, place = text.partition(":")
    if form not in FORMS or not place:
        raise UsageError(f"--export {text}: give csv:DIR, parquet:FILE or store:DIR")
    wrong = Path(place).is_dir() if form == "parquet" else Path(place).is_file()
    if wrong:
        there, wanted = ("a folder", "FILE") if form == "parquet" else ("a file", "DIR")
        raise UsageError(f"--export {text}: {place} is {there}; give {form}:{wanted}")
    return form, place


def _csv(rows: "pa.Table", folder: Path) -> int:
    """Files all_data_<i>.csv of 15 symbols each, an unnamed running index first."""
    import pyarrow as pa
    from pyarrow import csv

    from bft.domain.gold import COLUMNS
    from bft.features.facts import spans

    folder.mkdir(parents=True, exist_ok=True)
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    names = [column.name for column in COLUMNS]
    ends = [b for _, b in spans(rows["symbol"]).values()]
    cuts = [0, *ends[SYMBOLS_PER_FILE - 1 : -1 : SYMBOLS_PER_FILE], *ends[-1:]]
    for number, (a, b) in enumerate(pairwise(cuts)):
        part = rows.select(names).slice(a, b - a)
        part = part.add_column(0, "", pa.array(range(b - a)))
        with (folder / f"all_data_{number}.csv").open("wb") as file:
            file.write((",".join(part.schema.names) + "\n").encode())
            csv.write_csv(part, file, options)
    return len(cuts) - 1


def _parquet(rows: "pa.Table", file: Path) -> int:
    import pyarrow.parquet as pq

    from bft.domain.gold import COLUMNS

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows.select([column.name for column in COLUMNS]), file, compression="zstd")
    return 1


def _features(rows: "pa.Table", folder: Path) -> int:
    """One file per symbol, `1Day/<SYM>.parquet`, as other feature stores lay them out."""
    import pyarrow.parquet as pq

    from bft.features.facts import spans
    from bft.features.trend import trend_features

    (folder / DAILY).mkdir(parents=True, exist_ok=True)
    found = spans(rows["symbol"])
    for symbol, (a, b) in found.items():
        made = trend_features(rows.slice(a, b - a))
        pq.write_table(made, folder / DAILY / f"{symbol}.parquet", compression="zstd")
    return len(found)
