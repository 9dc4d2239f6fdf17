"""Sections of the day report about today: market, picks, ranking, changes, quality.

Each is a mapping of texts and charts that both templates (HTML, Markdown) print; a section says in
`absent` why it has nothing to show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.quality import held_words, skipped_words
from bft.domain.runs import Json
from bft.reports import svg
from bft.reports.night import Night, fund_of, value
from bft.reports.shown import (
    FUND_NAMES,
    MINUS,
    SECTOR_NAMES,
    SECTOR_ORDER,
    UNKNOWN,
    frac,
    known,
    number,
    pct,
    plural,
    short,
    tag_reason,
    usd,
)
from bft.reports.symbol import side

SPARK_SESSIONS = 60
TEN = 10
LONGEST = 180
"""Characters of a finding's message on the page."""


def market(night: Night) -> Json:
    """SPY or its proxy, sectors, breadth, up and down volume."""
    if night.now.empty:
        return {"absent": f"gold has no rows for {night.asof}; run: bft gold --asof {night.asof}"}
    stocks = night.now[~night.now.index.isin(list(FUND_NAMES))]
    change = stocks["adjusted_close_pct"].dropna()
    rose, fell = int((change > 0).sum()), int((change < 0).sum())
    title, chart = _index(night)
    return {
        "title": title,
        "index": chart,
        "sectors": _sectors(night, stocks),
        "breadth": _breadth(rose, fell, len(change)),
        "breadth_text": f"{rose} of {plural(len(change), 'stock')} rose, {fell} fell",
        "volume": _volume(stocks),
        "facts": _breadth_facts(stocks),
    }


def picks(night: Night) -> Json:
    """Ranked picks, then signals that are no pick (exits, merged, conflicts)."""
    if night.picks.empty and night.signals.empty:
        return {
            "absent": f"no signals and no picks for {night.asof}",
            "rows": [],
            "others": [],
            "against": "",
        }
    rows = night.picks.sort_values("rank").to_dict("records") if len(night.picks) else []
    reasons = (
        {} if night.signals.empty else night.signals.set_index("signal_id")["reason"].to_dict()
    )
    ids = {row["signal_id"] for row in rows}
    rest = [] if night.signals.empty else night.signals.to_dict("records")
    execute = sum(row["tag"] == "execute" for row in rows)
    others = [_signal(row) for row in rest if row["signal_id"] not in ids]
    return {
        "title": f"{plural(execute, 'pick')} to execute, {len(rows) - execute} to watch",
        "rows": [_pick(night, row, reasons) for row in rows],
        "others": others,
        "against": _against(night, rows),
        "others_title": f"{plural(len(others), 'further signal')}: exits, merged, in conflict",
    }


def _against(night: Night, rows: Sequence[Mapping[str, Any]]) -> str:
    """Picks of which the models' consensus says the opposite.

    Rules without forecasts do so, and those that look at one horizon or two of them.
    """
    if night.forecasts.empty or "consensus_direction" not in night.forecasts:
        return ""
    said = night.forecasts["consensus_direction"]
    sides = {row["symbol"]: side("entry", row["direction"] or "long") for row in rows}
    named = [
        f"{row['symbol']} ({sides[row['symbol']]}, models {said[row['symbol']]})"
        for row in rows
        if {sides[row["symbol"]], said.get(row["symbol"])} == {"BUY", "SELL"}
    ]
    told = "The models say the opposite of these picks, in whose rules that has no say"
    return f"{told}: {', '.join(named)}." if named else ""


def ranking(night: Night) -> Json:
    """Top and bottom ten by score, with 60 sessions of close."""
    rows = scored(night)
    if rows.empty:
        return {"absent": f"no forecasts for {night.asof}", "top": [], "bottom": []}
    ordered = rows.sort_index().sort_values("score", ascending=False, kind="stable")
    many = min(TEN, len(ordered) // 2)
    best, worst = ordered.index[0], ordered.index[-1]
    return {
        "title": f"{best} ranks first and {worst} last of {plural(len(ordered), 'symbol')}",
        "top": [_ranked(night, str(symbol)) for symbol in ordered.index[:many]],
        "bottom": [_ranked(night, str(symbol)) for symbol in ordered.index[::-1][:many]],
    }


def changes(night: Night) -> Json:
    """Picks that are new or gone, and consensus that turned over, since the previous session."""
    before = _previous(night.past_picks)
    lists = [
        ("New picks", *_difference(night.picks, before)),
        ("Dropped picks", *_difference(before, night.picks)),
    ]
    old = _previous(night.past_forecasts)
    flips = [] if old.empty or night.forecasts.empty else _flips(night, old)
    shown = [{"name": name, "items": items} for name, items in lists]
    shown.append({"name": "Flipped between BUY and SELL", "items": flips})
    total = sum(len(one["items"]) for one in shown)
    absent = "no picks or forecasts of an earlier session to compare with"
    if night.failed and night.picks.empty and night.forecasts.empty:
        absent = "the night failed before it had picks or forecasts to compare"
        before = old = night.picks
    known = not (before.empty and old.empty)
    return {
        "title": f"{plural(total, 'change')} since the last session that has picks or forecasts",
        "lists": shown,
        **({} if known else {"absent": absent}),
    }


NAMED = 5
"""Rows of one reason that a page names."""


def quality(
    night: Night,
    skipped: Mapping[str, Mapping[str, int]],
    named: Mapping[str, Mapping[str, Sequence[str]]],
    gone: Mapping[str, str],
) -> Json:
    """Findings of the gate by severity, and what the night's steps left out."""
    rank = {"fail": 0, "quarantine": 1, "warn": 2, "info": 3, "pass": 4}
    rows = [] if night.quality.empty else night.quality.to_dict("records")
    found = [row for row in rows if rank.get(row["severity"], 0) < 3]
    found.sort(key=lambda row: (rank.get(row["severity"], 0), row["check"], row["symbol"]))
    verdict = verdict_of(night)
    said = f"{plural(len(found), 'finding')} in {plural(len(rows), 'check result')}"
    return {
        "title": f"{verdict[0].upper()}{verdict[1:]}: {said}",
        "verdict": verdict,
        "findings": [
            {
                "check": row["check"],
                "symbol": row["symbol"] or "all",
                "severity": row["severity"],
                "value": _measure(row["value"]),
                "threshold": _measure(row["threshold"]),
                "message": _brief(row["message"] or "", night),
            }
            for row in found
        ],
        "skipped": [
            {
                "step": step,
                "reason": reason,
                "count": number(count, 0),
                "words": skipped_words(reason) if step == "pull" else "",
                "names": named.get(step, {}).get(reason, ())[:NAMED],
            }
            for step, reasons in sorted(skipped.items())
            for reason, count in sorted(reasons.items())
            if count
        ],
        "missing": [{"symbol": symbol, "reason": reason} for symbol, reason in gone.items()],
        "refused": _refused(night),
    }


def verdict_of(night: Night) -> str:
    """failed, quarantined symbols, warnings, clean, or not checked."""
    if night.quality.empty:
        return "data not checked"
    seen = set(night.quality["severity"])
    if "fail" in seen:
        return "data failed its checks"
    if "quarantine" in seen:
        held = night.quality[night.quality["severity"] == "quarantine"]
        reasons = held.groupby("symbol")["message"].agg("; ".join).to_dict()
        return f"data passed, {held_words(reasons)}"
    return "data passed with warnings" if "warn" in seen else "data passed all checks"


def scored(night: Night) -> Any:
    """Forecast rows of asof that have a score."""
    if night.forecasts.empty:
        return night.forecasts
    return night.forecasts[(night.forecasts["status"] == "ok") & night.forecasts["score"].notna()]


def spark(night: Night, symbol: str) -> Any:
    """Closes of the last 60 sessions as a sparkline."""
    rows = night.gold[night.gold["symbol"] == symbol]["adjusted_close"].tail(SPARK_SESSIONS)
    return svg.sparkline(rows.tolist(), f"{symbol}, close of the last {len(rows)} sessions")


def _index(night: Night) -> tuple[str, Any]:
    window = 120
    if "SPY" in night.now.index:
        rows = night.gold[night.gold["symbol"] == "SPY"].tail(window)
        name, days, close = "SPY", rows["date"], rows["adjusted_close"].to_numpy()
        move = value(night.now, "SPY", "adjusted_close_pct")
        unit = "USD"
    else:
        stocks = night.gold[~night.gold["symbol"].isin(list(FUND_NAMES))]
        mean = stocks.groupby("date")["adjusted_close_pct"].mean().tail(window).fillna(0.0)
        name, days, move = (
            "Mean of all stocks (SPY is absent)",
            mean.index.to_series(),
            mean.iloc[-1],
        )
        close, unit = 100 * np.cumprod(1 + mean.to_numpy() / 100), "index, start = 100"
    total = 100 * (close[-1] / close[0] - 1)
    title = f"{name} {pct(move)} on the day, {pct(total, 1)} over {len(close)} sessions"
    labels = [f"{day.day} {day:%b}" for day in days]
    return title, svg.line(close.tolist(), labels, title, unit)


def _sectors(night: Night, stocks: Any) -> Json:
    fund = stocks["sector"].map(fund_of)
    means = stocks["adjusted_close_pct"].groupby(fund).mean().dropna()
    items = [
        (SECTOR_NAMES[name], float(means[name]), pct(means[name]))
        for name in SECTOR_ORDER
        if name in means.index
    ]
    if not items:
        return {"title": "No stock has a known sector", "chart": ""}
    items.sort(key=lambda item: -item[1])
    title = f"{items[0][0]} leads with {items[0][2]}, {items[-1][0]} trails with {items[-1][2]}"
    title += " (each the mean of its stocks; the screener PDF has the sector's fund)"
    return {"title": title, "chart": svg.bars(items, title, "mean change of its stocks, %")}


def _breadth(rose: int, fell: int, count: int) -> Any:
    flat = count - rose - fell
    parts = [("up", rose, f"{rose} up"), ("mute", flat, f"{flat}"), ("down", fell, f"{fell} down")]
    return svg.split(parts, f"{rose} stocks rose, {flat} stood still, {fell} fell")


def _volume(stocks: Any) -> Json:
    dollars = stocks["volume"] * stocks["adjusted_close"]
    up = float(dollars[stocks["adjusted_close_pct"] > 0].sum())
    down = float(dollars[stocks["adjusted_close_pct"] < 0].sum())
    share = up / (up + down) if up + down else None
    parts = [("up", up, f"${short(up)} up"), ("down", down, f"${short(down)} down")]
    title = f"{frac(share, 0, sign=False)} of dollar volume traded in rising stocks"
    return {"title": title, "chart": svg.split(parts, title)}


def _breadth_facts(stocks: Any) -> list[tuple[str, str]]:
    def share(column: str) -> str:
        there = stocks[column].dropna()
        return frac((there > 0).mean(), 0, sign=False) if len(there) else UNKNOWN

    near = int((stocks["52_week_high_pct"] > -1).sum()), int((stocks["52_week_low_pct"] < 1).sum())
    return [
        ("above their 50-day average", share("sma_50_pct")),
        ("above their 200-day average", share("sma_200_pct")),
        ("within 1% of a 52-week high", number(near[0], 0)),
        ("within 1% of a 52-week low", number(near[1], 0)),
        ("median change", pct(stocks["adjusted_close_pct"].median())),
    ]


def _pick(night: Night, row: Mapping[str, Any], reasons: Mapping[str, str]) -> Json:
    symbol = row["symbol"]
    return {
        "rank": number(row["rank"], 0),
        "symbol": symbol,
        "name": value(night.universe, symbol, "name") or "",
        "side": side("entry", row["direction"] or "long"),
        "strategy": row["strategy_id"] or "universe",
        "tag": row["tag"],
        "tag_reason": tag_reason(row["tag_reason"]),
        "reason": reasons.get(row["signal_id"], ""),
        "score": number(row["score"], 1),
        "confidence": number(row["confidence"], 2),
        "price": usd(row["price_usd"]),
        "stop": usd(row["stop_usd"]),
        "target": usd(row["target_usd"]),
        "qty": number(row["qty"], 0),
        "notional": usd(row["notional_usd"], 0),
        "risk": usd(row["risk_usd"], 0),
        "forecasts": [frac(row[f"expected_return_{days}d"]) for days in HORIZONS_DAYS],
        "spark": spark(night, symbol),
    }


def _signal(row: Mapping[str, Any]) -> Json:
    return {
        "symbol": row["symbol"],
        "side": side(row["kind"], row["direction"]),
        "kind": row["kind"],
        "strategy": row["strategy_id"],
        "tag": row["tag"] or "",
        "tag_reason": tag_reason(row["tag_reason"]),
        "reason": row["reason"],
        "confidence": number(row["confidence"], 2),
    }


def _ranked(night: Night, symbol: str) -> Json:
    guesses = [frac(value(night.forecasts, symbol, f"expected_return_{h}d")) for h in HORIZONS_DAYS]
    return {
        "symbol": symbol,
        "name": value(night.universe, symbol, "name") or "",
        "score": number(value(night.forecasts, symbol, "score"), 2, sign=True),
        "consensus": value(night.forecasts, symbol, "consensus_direction") or "",
        "forecasts": guesses,
        "price": usd(value(night.now, symbol, "adjusted_close")),
        "change": pct(value(night.now, symbol, "adjusted_close_pct")),
        "spark": spark(night, symbol),
    }


def _brief(message: str, night: Night) -> str:
    if len(message) <= LONGEST:
        return message
    return f"{message[:LONGEST].rsplit(' ', 1)[0]} ... in full: reports/quality_{night.asof}.md"


def _measure(cell: Any) -> str:
    """Four digits that matter: 0.0123, 7, 1,234."""
    return f"{cell:,.4g}".replace("-", MINUS) if known(cell) else UNKNOWN


def _previous(past: Any) -> Any:
    return past if past.empty else past[past["asof"] == past["asof"].max()]


def _difference(first: Any, second: Any) -> tuple[list[str]]:
    gone = set() if second.empty else set(second["symbol"])
    return (sorted(set() if first.empty else set(first["symbol"]) - gone),)


def _flips(night: Night, old: Any) -> list[str]:
    was = old.set_index("symbol")["consensus_direction"]
    now = night.forecasts["consensus_direction"]
    both = sorted(set(was.index) & set(now.index))
    turned = [s for s in both if {was[s], now[s]} == {"BUY", "SELL"}]
    return [f"{symbol} {was[symbol]} to {now[symbol]}" for symbol in turned]


def _refused(night: Night) -> list[Json]:
    if night.forecasts.empty:
        return []
    counts = night.forecasts["status"].value_counts()
    refused = [(str(reason), int(n)) for reason, n in counts.items() if reason != "ok"]
    return [{"reason": reason, "count": number(n, 0)} for reason, n in sorted(refused)]
