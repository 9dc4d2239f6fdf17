"""Sections of the day report about forecasts and what became of the past."""

from typing import Any

from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.runs import Json
from bft.reports import svg
from bft.reports.history import Accuracy, Estimate, Record, accuracy, past_signals, records
from bft.reports.night import Night
from bft.reports.sections import scored
from bft.reports.shown import UNKNOWN, frac, number, pct, plural
from bft.reports.symbol import side

LISTED_SIGNALS = 200
COVERAGE_GOAL = 0.9


def dispersion(night: Night) -> Json:
    """How far apart today's forecasts are, by horizon."""
    rows = scored(night)
    if rows.empty:
        return {"absent": f"no forecasts for {night.asof}", "charts": []}
    charts = []
    for days in HORIZONS_DAYS:
        values = 100 * rows[f"expected_return_{days}d"].dropna()
        if values.empty:
            continue
        up = float((values > 0).mean())
        title = f"{days} sessions: {frac(up, 0, sign=False)} of forecasts are positive"
        spread = (
            f"standard deviation {pct(values.std(), sign=False)}, median {pct(values.median())}"
        )
        chart = svg.histogram(values.tolist(), title, "expected return, %")
        charts.append({"title": title, "text": spread, "chart": chart})
    return {"title": f"{plural(len(rows), 'symbol')} scored", "charts": charts}


def past_accuracy(night: Night) -> Json:
    """RankIC and coverage of past forecasts with intervals, and their calibration."""
    found = accuracy(night)
    if not found:
        return {"absent": "no past forecast has a known outcome yet", "rows": [], "charts": []}
    return {
        "title": _accuracy_title(found),
        "rows": [_accuracy_row(one) for one in found],
        "rank_ic": _forest([(one, one.rank_ic) for one in found], "RankIC", 0.0),
        "coverage": _forest([(one, one.coverage) for one in found], "coverage", COVERAGE_GOAL),
        "charts": [_calibration(one) for one in found if one.groups],
    }


def signal_history(night: Night) -> Json:
    """Hit rates by strategy, and each past signal with what became of it."""
    signals = past_signals(night)
    if signals.empty:
        return {"absent": "no signal of an earlier session is stored", "rows": [], "signals": []}
    rows = records(signals)
    done = sum(row.done for row in rows)
    hits = sum(row.hits for row in rows)
    share = frac(hits / done, 0, sign=False) if done else UNKNOWN
    listed = signals.head(LISTED_SIGNALS).to_dict("records")
    return {
        "title": f"{share} of {plural(done, 'finished signal')} gained; "
        f"{plural(len(signals), 'signal')} in all",
        "rows": [_record_row(row) for row in rows],
        "signals": [_past(row) for row in listed],
        "listed": f"The {plural(len(listed), 'newest signal')} one by one",
        "more": len(signals) - len(listed),
    }


def _accuracy_title(found: list[Accuracy]) -> str:
    best = [one for one in found if one.rank_ic and one.rank_ic.low is not None]
    if not best:
        return "Too few days for an interval: the figures below may be luck"
    sure = [one.horizon_days for one in best if one.rank_ic and (one.rank_ic.low or 0) > 0]
    named = ", ".join(map(str, sure))
    if sure:
        return f"RankIC is above zero beyond chance at {named} sessions"
    return "No horizon has a RankIC that is above zero beyond chance"


def _accuracy_row(one: Accuracy) -> Json:
    return {
        "horizon": f"{one.horizon_days}",
        "days": number(one.rank_ic.days if one.rank_ic else 0, 0),
        "forecasts": number(one.forecasts, 0),
        "rank_ic": _estimate(one.rank_ic, percent=False),
        "coverage": _estimate(one.coverage, percent=True),
        "spread_forecast": frac(one.spread_forecast, sign=False),
        "spread_outcome": frac(one.spread_outcome, sign=False),
    }


def _shown(value: float, *, percent: bool) -> str:
    return frac(value, 1, sign=False) if percent else number(value, 3, sign=True)


def _estimate(one: Estimate | None, *, percent: bool) -> str:
    if one is None:
        return UNKNOWN
    mean = _shown(one.mean, percent=percent)
    if one.low is None or one.high is None:
        return f"{mean} (no interval: few days)"
    low, high = (_shown(end, percent=percent) for end in (one.low, one.high))
    return f"{mean} ({low} to {high})"


def _forest(found: list[tuple[Accuracy, Estimate | None]], what: str, zero: float) -> Any:
    percent = what != "RankIC"
    rows = [
        (f"{one.horizon_days} days", e.mean, e.low, e.high, _shown(e.mean, percent=percent))
        for one, e in found
        if e is not None
    ]
    goal = (zero, _shown(zero, percent=percent))
    return svg.intervals(rows, f"{what} by horizon with 95% intervals", goal) if rows else ""


def _calibration(one: Accuracy) -> Json:
    points = [(100 * guess, 100 * outcome) for guess, outcome in one.groups]
    low, high = points[0][1], points[-1][1]
    title = (
        f"{one.horizon_days} sessions: highest fifth returned {number(high, 2, sign=True)}%, "
        f"lowest {number(low, 2, sign=True)}%"
    )
    return {"title": title, "chart": svg.calibration(points, title)}


def _record_row(row: Record) -> Json:
    shares = (row.hits / row.done, row.hit_low, row.hit_high) if row.done else ()
    rate, *band = (frac(share, 0, sign=False) for share in shares) if shares else (UNKNOWN,)
    ahead = (
        None
        if row.mean_return is None or row.mean_universe is None
        else row.mean_return - row.mean_universe
    )
    return {
        "strategy": row.strategy_id,
        "done": number(row.done, 0),
        "running": number(row.running, 0),
        "hit_rate": rate,
        "hit_band": " to ".join(band),
        "mean_return": frac(row.mean_return),
        "mean_universe": frac(row.mean_universe),
        "ahead": frac(ahead),
    }


def _past(row: dict[str, Any]) -> Json:
    return {
        "asof": str(row["asof"].date()),
        "symbol": row["symbol"],
        "side": side(row["kind"], row["direction"]),
        "strategy": row["strategy_id"],
        "tag": row["tag"] or "",
        "state": row["state"],
        "days": number(row["days"], 0),
        "result": frac(row["result"]),
        "universe": frac(row["universe"]),
    }
