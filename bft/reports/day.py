"""The day report: one self-contained HTML file and its Markdown twin, from the same texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.runs import Json
from bft.reports import outlook, sections
from bft.reports.night import Night, failure_lines, value
from bft.reports.render import render
from bft.reports.shown import FUND_NAMES, GLOSSARY, UNKNOWN, frac, number, pct, plural, usd
from bft.reports.site import missing
from bft.reports.trading import trading


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the report says beside the tables.

    `held_back` are lines on models that the gate did not let in; `sentences` are checked summaries
    by symbol, `dropped` how many failed the check; `book` is the exported ledger and `account` what
    the executor said at the day's end, each None where there is none; `lineage` are (name, digest
    or version) pairs; `skipped` counts by step and reason, `named` has the first such rows.
    """

    source: str
    version: str
    sentences: Mapping[str, list[str]] = field(default_factory=dict)
    summarizer: str = "template"
    dropped: int = 0
    fallbacks: int = 0
    account: Json | None = None
    book: Json | None = None
    lineage: Sequence[tuple[str, str]] = ()
    skipped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    named: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    cards: Sequence[tuple[str, str]] = ()
    held_back: Sequence[str] = ()


IN_SAMPLE = (
    "In-sample forecasts: the models had learned from this day or later ones; what they say of it "
    "is no forecast, and looks better than any would."
)
PAPER_ONLY = (
    "Paper only: no skill shown yet. The gate that let these models in asks that they work, not "
    "that they forecast well; the set may not trade live."
)


def day(night: Night, around: Around) -> tuple[bytes, bytes]:
    """HTML and Markdown of one day; the same night gives the same bytes."""
    page = content(night, around)
    return render("day.html.j2", page), render("day.md.j2", page)


def content(night: Night, around: Around) -> Json:
    """Every text and chart of the report."""
    market, picks = sections.market(night), sections.picks(night)
    return {
        "asof": str(night.asof),
        "day_name": f"{night.asof:%A %-d %B %Y}",
        "source": around.source,
        "simulated": night.simulated,
        "data": _data(night),
        "verdict": sections.verdict_of(night),
        "set_digest": _set(night),
        "headline": _headline(night, market, picks),
        "failures": failure_lines(night.failed, night.asof, night.root),
        "warnings": [*_warnings(night), *around.held_back],
        "tiles": _tiles(night, picks),
        "market": market,
        "picks": picks,
        "ranking": sections.ranking(night),
        "changes": sections.changes(night),
        "dispersion": outlook.dispersion(night),
        "accuracy": outlook.past_accuracy(night),
        "history": outlook.signal_history(night),
        "trading": trading(night.asof, around.book, around.account),
        "positions": _positions(night, around.account),
        "summaries": _summaries(around),
        "quality": sections.quality(night, around.skipped, around.named, missing(night)),
        "lineage": _lineage(night, around),
        "cards": [{"name": name, "href": href} for name, href in around.cards],
        "absent": night.absent,
        "glossary": GLOSSARY,
        "horizons": HORIZONS_DAYS,
    }


def worth_words(night: Night) -> list[str]:
    """Symbols that get a summary on the page: picks and signals, then top and bottom ten."""
    order = sections.ranking(night)
    named = [row["symbol"] for row in sections.picks(night)["rows"]]
    named += [] if night.signals.empty else sorted(night.signals["symbol"])
    named += [row["symbol"] for row in (*order["top"], *order["bottom"])]
    return [symbol for symbol in dict.fromkeys(named) if symbol in night.now.index]


def _data(night: Night) -> str:
    if night.simulated:
        return "simulated data"
    return "real data" if len(night.now) else "no data of this day"


def _set(night: Night) -> str:
    if night.forecasts.empty:
        return "none"
    return (
        ", ".join(sorted({str(d)[:12] for d in night.forecasts["set_digest"].dropna()})) or "none"
    )


def _headline(night: Night, market: Json, picks: Json) -> str:
    if night.failed:
        return f"Night failed at {night.failed[0].verb}; nothing to execute"
    if "absent" in market:
        return f"No market data for {night.asof}"
    first = market["title"].split(",")[0]
    if "absent" in picks:
        return f"{first}; no signals"
    execute = [row["symbol"] for row in picks["rows"] if row["tag"] == "execute"]
    named = ", ".join(execute[:3]) + (" and more" if len(execute) > 3 else "")
    return f"{first}; {plural(len(execute), 'pick')} to execute" + (f": {named}" if named else "")


def _warnings(night: Night) -> list[str]:
    said = []
    rows, quality = night.forecasts, night.quality
    if not rows.empty and rows["degraded"].fillna(value=False).any():
        names = sorted({str(names) for names in rows["missing_models"].dropna() if names})
        said.append(f"Degraded forecasts: without {', '.join(names) or 'some models'}.")
    if not rows.empty and rows["paper_only"].fillna(value=False).any():
        said.append(PAPER_ONLY)
    if not rows.empty and not rows["oos"].fillna(value=True).astype(bool).all():
        said.append(IN_SAMPLE)
    survivors = not quality.empty and (quality["check"] == "Q24") & (quality["severity"] == "warn")
    if survivors is not False and survivors.any():
        said.append("Survivors only: no membership dates, so the past looks better than it was.")
    return said


def _tiles(night: Night, picks: Json) -> list[Json]:
    stocks = night.now if night.now.empty else night.now[~night.now.index.isin(list(FUND_NAMES))]
    change = stocks["adjusted_close_pct"].dropna().tolist() if len(stocks) else []
    rose = frac(sum(c > 0 for c in change) / len(change), 0, sign=False) if change else UNKNOWN
    rows = sections.scored(night)
    up = frac((rows["expected_return_10d"] > 0).mean(), 0, sign=False) if len(rows) else UNKNOWN
    tiles = [
        _index_tile(night, change),
        ("Stocks that rose", rose, f"of {number(len(change), 0)} with a close before"),
        ("To execute", *_to_execute(night, picks)),
        ("Positive 10-day forecasts", up, f"of {number(len(rows), 0)} scored"),
        ("Symbols with data", number(len(night.now), 0), _with_data(night, len(stocks))),
    ]
    return [{"name": name, "value": shown, "note": note} for name, shown, note in tiles]


def _with_data(night: Night, stocks: int) -> str:
    funds = len(night.now) - stocks
    return f"{plural(stocks, 'stock')}, {plural(funds, 'fund')}; {len(missing(night)):,} missing"


def _index_tile(night: Night, change: Sequence[float]) -> tuple[str, str, str]:
    if "SPY" in night.now.index:
        move, close = (value(night.now, "SPY", f"adjusted_close{c}") for c in ("_pct", ""))
        return "S&P 500 fund (SPY)", pct(move), usd(close)
    mean = pct(sum(change) / len(change)) if change else UNKNOWN
    return "Mean of all stocks", mean, "SPY is absent"


def _to_execute(night: Night, picks: Json) -> tuple[str, str]:
    count = sum(row["tag"] == "execute" for row in picks["rows"])
    exits = sum(row["kind"] == "exit" for row in picks["others"])
    chosen = night.picks[night.picks["tag"] == "execute"] if len(night.picks) else None
    risk = 0.0 if chosen is None else float(chosen["risk_usd"].sum())
    return number(count, 0), f"risk {usd(risk, 0)}, {plural(exits, 'exit')}"


def _positions(night: Night, account: Json | None) -> Json:
    if account is None:
        return {"absent": "no executor told of its positions (bft close --reconcile)", "rows": []}
    held = sorted(account["positions"], key=lambda row: (row["symbol"], row["con_id"]))
    return {
        "title": plural(len(held), "open position"),
        "rows": [_position(night, row) for row in held],
        "simulated": bool(account["simulated"]),
    }


def _position(night: Night, row: Mapping[str, Any]) -> Json:
    symbol, quantity = str(row["symbol"]), float(row["quantity"])
    close = value(night.now, symbol, "adjusted_close") if row["sec_type"] == "STK" else None
    cost, marked = float(row["average_cost"]), _float(row["unrealised_usd"])
    exits = row["exits"]
    return {
        "symbol": symbol,
        "strategy": ", ".join(sorted({e["strategy_id"] for e in exits})) or UNKNOWN,
        "quantity": number(quantity, 0, sign=True),
        "cost": usd(cost),
        "close": usd(close),
        "gain": number(marked if close is None else quantity * (close - cost), 2, sign=True),
        "stop": ", ".join(usd(_float(e["stop"])) for e in exits) or UNKNOWN,
        "target": ", ".join(usd(_float(e["target"])) for e in exits) or UNKNOWN,
    }


def _float(cell: Any) -> float | None:
    return None if cell is None else float(cell)


def _summaries(around: Around) -> Json:
    rows = [{"symbol": s, "sentences": said} for s, said in around.sentences.items() if said]
    note = (
        f"Written by {around.summarizer}. Every figure was checked against the tables: "
        f"{plural(around.dropped, 'sentence')} dropped."
    )
    if around.fallbacks:
        note += f" {plural(around.fallbacks, 'symbol')} fell back to the template."
    return {
        "title": f"{plural(len(rows), 'symbol')} in words",
        "rows": rows,
        "note": note,
        **({} if rows else {"absent": "no symbol to describe"}),
    }


def _lineage(night: Night, around: Around) -> Json:
    gold = [] if night.forecasts.empty else sorted(set(night.forecasts["gold_digest"].dropna()))
    age = None if night.forecasts.empty else night.forecasts["model_age_days_max"].max()
    rows = [("bft", around.version), *around.lineage]
    rows += [("model set", _set(night)), *(("gold of the forecasts", digest) for digest in gold)]
    oldest = "" if age is None else f"; the oldest model is {number(age, 0)} days old"
    return {
        "title": f"bft {around.version}, {plural(len(around.lineage), 'table')} read{oldest}",
        "rows": rows,
    }
