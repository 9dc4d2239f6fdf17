"""What is told where a table has nothing of a day: the newest it has, and the commands that work.

A verb run by hand without `--asof` takes the last closed session, which the root may have nothing
of: its file may end years ago (ADR 0093).
"""

from datetime import date
from pathlib import Path

from bft.domain import origin, sessions
from bft.domain.errors import BftError, DataError, StaleDataError
from bft.ports import Manifest, Ports
from bft.steps import registry


def need(ports: Ports, table: str, asof: date) -> Manifest:
    """The table's manifest of exactly this day.

    Raises:
        StaleDataError: there is none; names the newest and what to run.
    """
    found = ports.store.manifest(table, asof=asof)
    if found is None or found.asof != asof:
        raise absent(ports, table, asof)
    return found


def need_root(ports: Ports) -> None:
    """See that the root of a verb that only shows is there: a typo must make no folder.

    Raises:
        DataError: there is no such folder.
    """
    root = ports.store.root
    if "://" not in root and not Path(root).is_dir():
        raise DataError(
            f"root {root} is not there: give --root the folder of a night, or: bft run nightly"
        )


def absent(ports: Ports, table: str, asof: date) -> StaleDataError:
    """That a table has nothing of a day, the newest it has, and what to run."""
    newest = ports.store.manifest(table)
    have = f"newest: {newest.asof}" if newest else "none of any day"
    return StaleDataError(f"{table} {asof} is absent ({have}); {instead(ports, table, asof)}")


def instead(ports: Ports, table: str, asof: date) -> str:
    """What to run: what makes the day's rows, where that can be, and the call as of the newest."""
    newest = ports.store.manifest(table)
    own = ports.commands.again(newest.asof) if newest and newest.asof != asof else ""
    nearest, why = _nearest(ports, asof)
    if nearest is None:
        makes = _maker(ports, table, asof)
        return f"run: {makes}; as of the newest: {own}" if own else f"run: {makes}"
    return f"{why}; run: {own or f'bft run nightly --asof {nearest}'}"


def unjudged(ports: Ports, asof: date) -> StaleDataError:
    """That a day has no gate report, the newest day that has one, and what to run."""
    newest, gold = registry.last_judged(ports.store), ports.store.manifest("gold", asof=asof)
    have = f"newest: {newest}" if newest else "none of any day"
    own = f"as of the newest: {ports.commands.again(newest)}" if newest else ""
    makes = f"run: bft gate --asof {asof}" if gold and gold.asof == asof else ""
    told = "; ".join(part for part in (makes, own) if part)
    return StaleDataError(
        f"no gate report of {asof} ({have}); {told or instead(ports, 'gold', asof)}"
    )


def _maker(ports: Ports, table: str, asof: date) -> str:
    """The command that makes a day of a table, by what the root has of it."""
    gold, bars = ports.store.manifest("gold", asof=asof), ports.store.manifest("bars")
    if table == "signals" and gold and gold.asof == asof:
        return f"bft scan --asof {asof}"
    if table == "gold" and bars and bars.asof >= asof and asof in _bar_days(ports):
        return f"bft gold --asof {asof}"
    return f"bft run nightly --asof {asof}"


def _nearest(ports: Ports, asof: date) -> tuple[date | None, str]:
    """Nearest day with prices where asof can have none, and that in words; None: it may."""
    held, bars = origin.remembered(ports.store), ports.store.manifest("bars")
    if bars and bars.asof >= asof:  # also a day between two pulls
        days = _bar_days(ports)
        if days and min(days) > asof:
            return min(days), f"prices begin {min(days)}"
        if asof in days:
            return None, ""
    if held is None:
        return None, ""
    if held.simulated:
        end = bars.asof if bars else None
        return end, f"simulated prices were pulled up to {end}"
    return _of_file(ports, held, asof) if held.path else (None, "")


def _of_file(ports: Ports, held: origin.Origin, asof: date) -> tuple[date | None, str]:
    """Where a file lacks asof: the session before that it has, and whether it ends there."""
    from bft.features.gaps import end_told
    from bft.steps import preflight

    try:
        found = preflight.history(ports, held.spec(Path.cwd()), asof)
    except BftError:  # of an unreadable file the pull says more
        return None, ""
    end = sessions.on_or_before(found.last)
    if end >= asof:
        return None, ""
    return end, end_told(held.source, asof, last=end, after=found.after)


def _bar_days(ports: Ports) -> set[date]:
    """Days of which the root has a bar."""
    import pyarrow.compute as pc

    return set(pc.unique(ports.store.read("bars", columns=["date"])["date"]).to_pylist())
