"""Judge the set in production by what came true: `bft gate --live`."""

import argparse
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from bft.domain import sessions
from bft.domain.runs import Json
from bft.models.model_set import ModelSet, canonical
from bft.ports import Ports, Summary, Tick
from bft.steps import registry, training

if TYPE_CHECKING:
    import pyarrow as pa

    from bft.dataset.arrays import Arrays

BACK_SESSIONS = 45  # sleeves of ten sessions, in windows of twenty, for five days
HORIZON_DAYS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Forecasts that the set in production published, newest sessions only."""

    day: Any  # (n,) session numbers
    symbol: Any  # (n,) places in the arrays
    rows: "pa.Table"


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Compare the newest sessions with the set's test figures and store the day's answer."""
    pointer, current = registry.production(ports)
    if current is None or pointer.set_digest is None:
        return _answer(ports, args, None, {"verdict": "no_outcomes", "why": "no set in production"})
    outcomes = ports.store.manifest("outcomes", asof=args.asof)
    if outcomes is None or not sum(ref.rows for ref in outcomes.objects):
        why = {"verdict": "no_outcomes", "why": "no outcomes yet"}
        return _answer(ports, args, pointer.set_digest, why)
    from bft.dataset.arrays import open_arrays

    tick(0, 2, "outcomes")
    arrays = open_arrays(training.arrays_folder(ports, args.asof))
    record = _record(ports, args.asof, pointer.set_digest, arrays)
    tick(1, 2, "drift")
    return _answer(ports, args, pointer.set_digest, _judged(ports, args, current, record, arrays))


def _judged(
    ports: Ports, args: argparse.Namespace, current: ModelSet, record: Record, arrays: "Arrays"
) -> Json:
    from bft.models import live

    net = _net_returns(ports, current, record, arrays)
    if len(net) < live.WINDOW_SESSIONS:
        return {"verdict": "few_days", "why": f"{len(net)} sessions held, 20 are compared"}
    moved = _output_drift(ports, current, record)
    test_sharpe = _test_sharpe(ports, current, arrays)
    days = []
    for end in range(max(live.WINDOW_SESSIONS, len(net) - live.DAYS_IN_A_ROW + 1), len(net) + 1):
        window = net[end - live.WINDOW_SESSIONS : end]
        faults = live.portfolio_faults(window, test_sharpe=test_sharpe)
        back = len(net) - end
        faults += live.drift_faults(moved[-1 - back], ks=live.KS_MAX, psi=live.PSI_MAX)
        days.append({"back": back, "faults": faults})
    breach = live.verdict(days)
    held_back = _held_back(ports, args.asof) if breach else None
    warn = live.drift_faults(moved[-1], ks=live.KS_WARN, psi=live.PSI_WARN)
    warn += _moved_inputs(ports, current, arrays)
    return {
        "verdict": "fail" if breach else "pass",
        "breached": breach and held_back is None,
        "why": held_back,
        "days": days,
        "drift": moved[-1],
        "test_sharpe": test_sharpe,
        "retrain_asked": bool(warn),
        "warnings": warn,
    }


def _held_back(ports: Ports, asof: date) -> str | None:
    """Why a breach stays an alert, or None."""
    from bft.models import live

    if ports.state.pointer("previous").set_digest is None:
        return "no previous set"
    rolled = [row for row in ports.state.audit() if row["action"] == "rollback"]
    if rolled:
        last = sessions.last_closed(datetime.fromisoformat(rolled[-1]["ts_utc"]))
        since = sessions.number(asof) - sessions.number(last)
        if since < live.COOL_DOWN_SESSIONS:
            return f"cool-down, {since} of {live.COOL_DOWN_SESSIONS} sessions since a rollback"
    return None


def _record(ports: Ports, asof: date, set_digest: str, arrays: "Arrays") -> Record:
    import numpy as np
    import pyarrow.compute as pc

    since = sessions.shift(asof, -BACK_SESSIONS)
    rows = ports.store.read("forecasts", asof=asof, since=since)
    mine = pc.and_(pc.equal(rows["set_digest"], set_digest), pc.equal(rows["status"], "ok"))
    rows = rows.filter(mine)
    known = {symbol: place for place, symbol in enumerate(arrays.symbols)}
    symbol = np.array([known.get(name, -1) for name in rows["symbol"].to_pylist()], dtype=np.int64)
    day = np.array([sessions.number(one) for one in rows["asof"].to_pylist()], dtype=np.int64)
    there = symbol >= 0
    return Record(day=day[there], symbol=symbol[there], rows=rows.filter(there))


def _net_returns(ports: Ports, current: ModelSet, record: Record, arrays: "Arrays") -> Any:
    """Daily net returns, up to asof, of the portfolio the ten-day merge would hold."""
    import numpy as np

    from bft.models import portfolio
    from bft.models.blocks import prices

    if not len(record.day):
        return np.empty(0)
    score = record.rows["expected_return_10d"].to_numpy().astype(np.float64)
    days = np.unique(record.day)
    grid = np.full((len(days), len(arrays.symbols)), np.nan)
    grid[np.searchsorted(days, record.day), record.symbol] = score
    top = _profile(ports, current)["top_names"]
    sleeves = portfolio.weights_of(portfolio.sides(grid, top_names=top))
    span = (int(days[0]), int(days[-1]) + 1 + HORIZON_DAYS)
    opens = prices(arrays.dates, arrays.offsets, arrays.opens, arrays.closes, span)
    held = portfolio.hold(sleeves, days, HORIZON_DAYS, opens)
    return held.net[held.session < arrays.asof]  # a session's return ends at the next open


def _output_drift(ports: Ports, current: ModelSet, record: Record) -> list[Json]:
    """Drift of each model's outputs at the newest five sessions, oldest first."""
    from bft.models import live

    held = {entry.name: entry.digest for entry in current.entries if entry.digest}
    references = {
        name: _artifact(ports, digest, "evaluation.json")["reference"]
        for name, digest in held.items()
    }
    scores = {name: record.rows[_column(name)].to_numpy().astype("float64") for name in held}
    return list(live.drift_by_day(references, record.day, scores))


def _moved_inputs(ports: Ports, current: ModelSet, arrays: "Arrays") -> list[str]:
    """Models of which many inputs have left their training, by the newest 20 sessions."""
    import numpy as np

    from bft.domain.market import EXCLUDED
    from bft.models import live

    funds = np.array([name in EXCLUDED for name in arrays.symbols])
    newest = (arrays.dates > arrays.asof - live.WINDOW_SESSIONS) & ~funds[arrays.owner]
    rows = np.asarray(arrays.inputs[newest], dtype=np.float64)
    columns = {name: rows[:, place] for place, name in enumerate(arrays.features)}
    found = []
    for entry in current.entries:
        if entry.digest:
            told = _artifact(ports, entry.digest, "evaluation.json").get("inputs", {})
            why = live.input_fault(told, columns)
            found += [f"{entry.name} {why}"] if why else []
    return found


def _column(name: str) -> str:
    """Forecast column that holds a model's score."""
    kind, horizon = name.split("_")
    heads = {"reg": "pred_return_reg", "bin": "prob_1_bin", "buck": "pred_expected_return_buck"}
    return f"{heads[kind]}_{horizon}"


def _test_sharpe(ports: Ports, current: ModelSet, arrays: "Arrays") -> float | None:
    from bft.models.set_evidence import merged

    folders = {e.name: ports.store.path(f"models/{e.digest}") for e in current.entries if e.digest}
    found = merged(folders, arrays)
    sharpe: float | None = found["metrics"]["sharpe_net"] if found else None
    return sharpe


def _profile(ports: Ports, current: ModelSet) -> Json:
    digest = next(entry.digest for entry in current.entries if entry.digest)
    profile: Json = _artifact(ports, digest, "model.json")["profile"]
    return profile


def _artifact(ports: Ports, digest: str, name: str) -> Json:
    found: Json = json.loads(ports.store.get(f"models/{digest}/{name}"))
    return found


def _answer(ports: Ports, args: argparse.Namespace, set_digest: str | None, found: Json) -> Summary:
    values = {"breached": False, "set_digest": set_digest, **found}
    values["revision"] = ports.state.pointer("production").revision
    key = registry.live_key(args.asof)
    return Summary(values=values, objects={key: ports.store.put(key, canonical(values))})
