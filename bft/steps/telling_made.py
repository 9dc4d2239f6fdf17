"""What a terminal is told of tables and models that were made, or would be."""

from collections.abc import Iterator, Sequence
from typing import Any

from bft.domain.runs import Json
from bft.steps.columns import number, table, wrapped

FOLDS_SHOWN = 5
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def gold(line: Json) -> str:
    """How much was built and why, whose older rows changed, what was exported and where."""
    whole = "all rows" if line["since"] is None else f"rows from {line['since']} on"
    built = f"built {whole} ({line['because']}): {line['partitions']:,} partitions, "
    parts = [built + _size(line["bytes"])]
    if line["restated"]:
        named = [f"{name} from {day}" for name, day in line["restated_symbols"].items()]
        more = line["restated"] - len(named)
        named += [f"{more:,} more"] if more else []
        parts.append(f"older rows that changed: {', '.join(named)}")
    if "exported" in line:
        files = "file" if line["exported"] == 1 else "files"
        parts.append(f"exported {line['exported']:,} {files} to {line['exported_to']}")
    return "\n".join(map(wrapped, parts))


def train(line: Json) -> str:
    """What became of each model; of a dry run the days of each fold."""
    models = line["models"]
    if models and "folds" in models[0]:
        return _folds(models)
    heads = ("model", "status", "version", "RankIC", "valid loss", "epochs", "seconds")
    rows = [
        (
            row["name"],
            row["status"],
            row["version"] or "-",
            number(row["rank_ic"]),
            number(row["valid_loss"], ".4f"),
            "-" if row["epochs"] is None else row["epochs"],
            number(row["seconds"], ".1f"),
        )
        for row in models
    ]
    study = ["a study: no model is a candidate"] if line["study"] else []
    faults = [wrapped(f"{row['name']}: {row['error']}") for row in models if row["error"]]
    return "\n".join([table(heads, rows, right=heads[2:]), *faults, *study])


def _folds(models: Sequence[Json]) -> str:
    """First and last day of each fold's blocks."""
    rows = [row for model in models for row in _of_model(model)]
    heads = ("model", "trained on", "stopped by", "tested on")
    count = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    title = f"a dry run, nothing is trained; {count}, first and last day of each block:"
    return f"{title}\n{table(heads, rows)}"


def _of_model(model: Json) -> Iterator[tuple[object, ...]]:
    folds = model["folds"]
    for fold in folds[-FOLDS_SHOWN:]:
        spans = (_span(fold[block]) for block in ("train", "valid", "test"))
        number_of = f" {fold['k']}" if len(folds) > 1 else ""
        yield (f"{model['name']}{number_of}", *spans)
    if len(folds) > FOLDS_SHOWN:
        yield (model["name"], f"{len(folds) - FOLDS_SHOWN} earlier: --json", "", "")


def _span(days: Any) -> str:
    """First and last day of a block, which may consist of several."""
    flat = [str(day) for day in _flat(days)]
    return f"{min(flat)} {max(flat)}" if flat else "-"


def _flat(days: Any) -> Iterator[Any]:
    if isinstance(days, list):
        for part in days:
            yield from _flat(part)
    else:
        yield days


def _size(size: int) -> str:
    """Bytes for people: `11.2 MB`."""
    for least, unit in SIZES:
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} bytes"
