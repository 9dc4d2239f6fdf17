"""The model cards of `bft report --models`."""

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain.errors import DataError
from bft.ports import Ports, Store, Summary
from bft.steps.failures import failed_steps
from bft.steps.held_back import newest_gate, verdicts

if TYPE_CHECKING:
    from bft.reports.cards import Model


def publish_cards(ports: Ports, asof: date, root: str | None) -> Summary:
    """HTML cards of the production set under `reports/models_<asof>/`, and no others."""
    from bft.reports.cards import cards
    from bft.reports.night import failure_lines

    digest = ports.state.pointer("production").set_digest
    if digest is None:
        raise DataError(f"no production set; run: bft run nightly --asof {asof}")
    chosen = json.loads(ports.store.get(f"sets/{digest}.json"))
    gate = newest_gate(ports.store, asof)
    said = verdicts(gate) if gate else {}
    models = [
        _model(ports.store, entry, said.get(entry["name"], "")) for entry in chosen["entries"]
    ]
    pages = cards(
        models,
        asof=str(asof),
        set_digest=digest,
        paper_only=chosen["paper_only"],
        failures=failure_lines(failed_steps(ports.store, asof), asof, root),
    )
    folder = f"reports/models_{asof}"
    with ports.store.exclusive():
        objects = {
            f"{folder}/{name}": ports.store.put(f"{folder}/{name}", data)
            for name, data in pages.items()
        }
        for key in ports.store.keys(f"{folder}/"):
            if key not in objects:
                ports.store.delete(key)
    absent = [model.name for model in models if not model.evaluation]
    values = {"report": f"{folder}/index.html", "set_digest": digest, "absent": absent}
    skipped = {"no_artifact": len(absent)} if absent else {}
    return Summary(values=values, rows=len(pages) - 1, skipped=skipped, objects=objects)


def _model(store: Store, entry: Mapping[str, Any], gate: str) -> "Model":
    from bft.reports.cards import Model

    folder = f"models/{entry['digest']}"
    present = bool(entry["digest"]) and store.digest(f"{folder}/evaluation.json") is not None
    plots = [k for k in store.keys(f"{folder}/plots/") if k.endswith(".png")] if present else []
    return Model(
        name=entry["name"],
        version=str(entry["version"] or ""),
        digest=str(entry["digest"] or "absent"),
        train_end=str(entry["train_end"] or ""),
        origin=str(entry["origin"]),
        gate=gate,
        evaluation=_json(store, f"{folder}/evaluation.json") if present else {},
        about=_json(store, f"{folder}/model.json") if present else {},
        plots={key.rsplit("/", 1)[1]: store.get(key) for key in plots},
    )


def _json(store: Store, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.get(key))
    return found
