"""Where a root's rows come from and what its models are trained by, remembered beside its tables.

A root holds simulated rows or real ones, never both: a model trained on a mixture, or a
portfolio ranked from it, would look real.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from bft.domain.errors import ConfigError

KEY = "source.json"
PROFILE_KEY = "profile.json"
PULLS = "lineage/pull/"
SIMULATOR = "bft serve market-sim"
SIMULATOR_PORT = 9100


class Objects(Protocol):
    """What of a store is read here."""

    def get(self, key: str) -> bytes:
        """Bytes of an object."""

    def keys(self, prefix: str) -> Sequence[str]:
        """Keys that begin so, ascending."""

    def digest(self, key: str) -> str | None:
        """None where there is no such object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A root's source as it was given, the path of a file source in full, what its rows are.

    `world` is the command of the simulator whose prices they are; empty where it did not tell.
    """

    source: str
    simulated: bool
    path: str = ""
    world: str = ""

    def spec(self, here: Path) -> str:
        """`--source` as a call from the folder `here` must give it.

        The words of the first call while they mean the same file, for finished work is found by
        them.
        """
        kind, _, given = self.source.partition(":")
        if kind != "files" or not self.path or str((here / given).resolve()) == self.path:
            return self.source
        return f"files:{self.path}"

    def words_of(self, spec: str, here: Path) -> str:
        """`--source` as the root's first call gave it, where one from `here` names that file."""
        made = origin_of(spec, here, simulated=self.simulated)
        return self.source if self.path and made.path == self.path else spec

    @property
    def words(self) -> str:
        """What the root holds, for people."""
        return f"{'simulated' if self.simulated else 'real'} prices ({self.source})"

    def check(self, *, simulated: bool, spec: str, root: str) -> None:
        """Refuse a source of the other kind.

        Raises:
            ConfigError: simulated rows for a root of real ones, or the reverse.
        """
        if simulated is self.simulated:
            return
        other = "simulated" if simulated else "real"
        raise ConfigError(
            f"root {root} holds {self.words}; --source {spec} would mix {other} ones in: give "
            "another --root for it, or leave --source away to go on with what the root holds"
        )

    def simulator(self, usual: str = "") -> str:
        """The command that serves the prices of this root, where they are asked for.

        `usual` is the address of a source that names none (`BFT_SIM_URL`).
        """
        return listening(self.world or SIMULATOR, self.source.partition(":")[2] or usual)

    def check_world(self, told: str, *, root: str) -> None:
        """Refuse a simulator whose prices are others from the first day on.

        Raises:
            ConfigError: both worlds are known, and differ.
        """
        if not (told and self.world) or told == self.world:
            return
        raise ConfigError(
            f"root {root} holds the prices of `{self.world}`, and the simulator that answers is "
            f"`{told}`: stop it and start `{self.simulator()} --today DAY`, or give another --root"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The profile that a root's models are trained by; of a file of one's own, its full path."""

    profile: str
    path: str = ""

    def spec(self, here: Path) -> str:
        """`--profile` as a call from the folder `here` must give it; see `Origin.spec`."""
        same = not self.path or str((here / self.profile).resolve()) == self.path
        return self.profile if same else self.path

    def words_of(self, profile: str, here: Path) -> str:
        """`--profile` as the root's first run gave it; see `Origin.words_of`."""
        made = training_of(profile, here)
        return self.profile if self.path and made.path == self.path else profile


def listening(command: str, address: str) -> str:
    """The command of a simulator, with its port where the address has another than the default."""
    port = urlsplit(address).netloc.rpartition(":")[2]
    usual = not port.isdigit() or int(port) == SIMULATOR_PORT
    return command if usual else f"{command} --port {port}"


def sim_address(url: str) -> str:
    """A simulator's address for queries, of its host or that whole address.

    Raises:
        ConfigError: none, or one with a password.
    """
    parts = urlsplit(url)
    if parts.password is not None:  # arguments stand in lineage, markers and run records
        raise ConfigError("--source sim:URL: no password in it; a simulator asks for none")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"--source sim:{url}: no address such as sim:http://127.0.0.1:9100")
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/query"


def is_simulated(spec: str) -> bool:
    """Whether a `--source` names the simulator."""
    return spec.partition(":")[0] == "sim"


def origin_of(spec: str, here: Path, *, simulated: bool, world: str = "") -> Origin:
    """The origin that a call from the folder `here` gives a root."""
    kind, _, given = spec.partition(":")
    path = str((here / given).resolve()) if kind == "files" else ""
    return Origin(source=spec, simulated=simulated, path=path, world=world)


def training_of(profile: str, here: Path) -> Training:
    """What a call from the folder `here` with `--profile` gives a root."""
    own = "/" in profile or profile.endswith((".yaml", ".yml"))
    return Training(profile=profile, path=str((here / profile).resolve()) if own else "")


def trained_by(store: Objects) -> Training | None:
    """The profile of a root's last run, or None."""
    found = store.digest(PROFILE_KEY) is not None
    return Training(**json.loads(store.get(PROFILE_KEY))) if found else None


def learned_by(store: Objects, set_digest: str | None) -> tuple[str, ...]:
    """Profiles that the models of a set were trained by, as they name themselves, ascending."""
    key = f"sets/{set_digest}.json"
    if set_digest is None or store.digest(key) is None:
        return ()
    digests = [entry["digest"] for entry in json.loads(store.get(key))["entries"]]
    found = {named for digest in digests if digest and (named := profile_of(store, digest))}
    return tuple(sorted(found))


def profile_of(store: Objects, model: str) -> str | None:
    """Profile that a model was trained by; None: its files are gone, or do not tell."""
    key = f"models/{model}/model.json"
    if store.digest(key) is None:
        return None
    told: str | None = (json.loads(store.get(key)).get("profile") or {}).get("profile")
    return told


def worded(store: Objects, given: Mapping[str, Any], here: Path) -> dict[str, Any]:
    """Arguments of a call from the folder `here`, with a file or profile in the root's own words.

    Finished work is found by its arguments, which must not differ with the working directory.
    """
    found = dict(given)
    if found.get("source") and (held := remembered(store)):
        found["source"] = held.words_of(found["source"], here)
    if found.get("profile") and (training := trained_by(store)):
        found["profile"] = training.words_of(found["profile"], here)
    return found


def pulled_to(store: Objects) -> date | None:
    """Newest day that was pulled, or None."""
    days = [key.removeprefix(PULLS)[:10] for key in store.keys(PULLS)]
    return date.fromisoformat(max(days)) if days else None


def encoded(origin: Origin | Training) -> bytes:
    """The object a root keeps under `KEY` or `PROFILE_KEY`."""
    return (json.dumps(asdict(origin), sort_keys=True) + "\n").encode()


def remembered(store: Objects) -> Origin | None:
    """What a root's pulls were given: its note, else (older roots) its newest pull's lineage."""
    if store.digest(KEY) is not None:
        return Origin(**json.loads(store.get(KEY)))
    for key in reversed(store.keys(PULLS)):
        spec = str(json.loads(store.get(key))["args"].get("source") or "alphavantage")
        return Origin(source=spec, simulated=is_simulated(spec))
    return None
