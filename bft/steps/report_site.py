"""The site of `bft report --site`: files below a digest, then one pointer."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from bft.domain.runs import Json
from bft.ports import Ports, Store
from bft.steps.reading import gold_asof

if TYPE_CHECKING:
    from bft.reports.night import Night

POINTER = "site/current.json"
HISTORY_COLUMNS = tuple(
    "adjusted_close volume sma_20 sma_50 sma_200 bbands_upper_20 bbands_lower_20".split()
)


def publish_site(ports: Ports, night: "Night", bullets: Mapping[str, list[str]]) -> dict[str, str]:
    """Files first, the pointer `site/current.json` last; older versions but one are removed.

    A store has no links, so the pointer is a small object that names the folder.
    """
    from bft.reports import site
    from bft.reports.render import sha256

    store = ports.store
    history = gold_asof(ports, night.asof, columns=HISTORY_COLUMNS)
    images, screened = _images(store, night.asof), _screened(store, night.asof)
    made = dict(site.files(night, history, bullets=bullets, images=images, screened=screened))
    listed = site.manifest(night, {name: sha256(data) for name, data in made.items()})
    folder = f"site/{sha256(listed)}"
    made["manifest.json"] = listed
    pointer = {**site.head(night), "digest": sha256(listed)}
    with store.exclusive():  # another report would take these files for a version left behind
        objects = {f"{folder}/{name}": store.put(f"{folder}/{name}", made[name]) for name in made}
        before = _current(store)
        objects[POINTER] = store.put(POINTER, site.encoded(pointer))
        _prune(store, {sha256(listed), before})
    return objects


def site_day(store: Store) -> date | None:
    """Day of the site that is shown, None where there is no site."""
    shown = _pointer(store)
    return date.fromisoformat(shown["asof"]) if shown else None


def _pointer(store: Store) -> Json | None:
    if store.digest(POINTER) is None:
        return None
    found: Json = json.loads(store.get(POINTER))
    return found


def _current(store: Store) -> str:
    shown = _pointer(store)
    return str(shown["digest"]) if shown else ""


def _prune(store: Store, kept: Iterable[str]) -> None:
    """Remove versions of the site that no reader can still be reading."""
    names = set(kept)
    for key in store.keys("site/"):
        parts = key.split("/")
        if len(parts) == 3 and parts[1] not in names:
            store.delete(key)


def digest_of_site(site: Mapping[str, str]) -> str:
    """Digest in the keys of a published site."""
    return next(key for key in site if key.endswith("/manifest.json")).split("/")[1]


def _images(store: Store, asof: date) -> list[str]:
    prefix = f"reports/{asof}/overnight_{asof}/"
    return [key.removeprefix(prefix) for key in store.keys(prefix)]


def _screened(store: Store, asof: date) -> list[str]:
    key = f"reports/{asof}/screener_results_{asof}.csv"
    if store.digest(key) is None:
        return []
    return [line.split(",")[0] for line in store.get(key).decode().splitlines()[1:]]
