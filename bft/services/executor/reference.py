"""What the night says about symbols: last bars, volumes, sectors, forecasts, corporate actions.

Read with pyarrow alone: the executor never imports pandas. Source: executor specification, section
4 (rules 7, 11, 13, 14, 16) and data specification.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from bft.domain import sessions
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.gold import SIMULATED, SUSPECTED_SPLIT
from bft.domain.instruments import name_now
from bft.domain.symbols import newest_entries
from bft.ports import Store

if TYPE_CHECKING:
    import pyarrow as pa

VOLUME_SESSIONS = 20
SUSPICION_SESSIONS = 20  # no entries so long after a suspected split; strategies specification, 8
_GOLD = (
    "date symbol open high low adjusted_close volume atr_14 sector split_factor row_flags".split()
)
_FORECAST = "asof symbol status model_age_days_max paper_only set_digest".split()
_FORECAST += [f"rank_{days}d" for days in HORIZONS_DAYS]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """The last session's bar, USD as traded; shares."""

    session: date
    open_usd: Decimal
    high_usd: Decimal
    low_usd: Decimal
    close_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRow:
    """A symbol at the close of gold's asof; None is unknown. `adv_20` in shares of today."""

    symbol: str
    bar: DayBar | None
    adv_20: Decimal | None
    atr_14_usd: Decimal | None
    sector: str | None
    suspected_split: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """Cross-sectional ranks 0..1 by horizon in sessions, and where they come from."""

    ranks: Mapping[int, float]
    status: str
    model_age_days: int
    paper_only: bool
    set_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A split whose ex-date is known: new units for each old one."""

    symbol: str
    ex_date: date
    ratio: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """A cash dividend whose ex-date is known, USD per share."""

    symbol: str
    ex_date: date
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One night's facts; `gold_asof` None: there is no night yet, so every entry is refused.

    `bars` are the last 20 sessions of held symbols, oldest first.
    """

    gold_asof: date | None = None
    forecast_asof: date | None = None
    simulated: bool = False
    symbols: Mapping[str, SymbolRow] = field(default_factory=dict)
    universe: frozenset[str] = frozenset()
    forecasts: Mapping[str, ForecastRow] = field(default_factory=dict)
    bars: Mapping[str, tuple[DayBar, ...]] = field(default_factory=dict)
    splits: tuple[Split, ...] = ()
    dividends: tuple[Dividend, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    digests: tuple[str, ...] = ()

    def row(self, symbol: str) -> SymbolRow | None:
        """What the night says of a symbol, also under the name it had before."""
        return self.symbols.get(self.name_now(symbol))

    def name_now(self, symbol: str) -> str:
        """The name a symbol bears in the night's tables."""
        return name_now(symbol, renames=self.renames, listed=self.universe)

    def bars_of(self, symbol: str) -> tuple[DayBar, ...]:
        """The last sessions of a held symbol."""
        return self.bars.get(self.name_now(symbol), ())

    def splits_of(self, symbol: str) -> list[Split]:
        """Splits of a symbol, under the name it has or had before."""
        names = {symbol, self.name_now(symbol)}
        return [split for split in self.splits if split.symbol in names]

    def dividends_of(self, symbol: str) -> list[Dividend]:
        """Dividends of a symbol, under the name it has or had before, oldest first."""
        names = {symbol, self.name_now(symbol)}
        return [told for told in self.dividends if told.symbol in names]

    def action_open(self, symbol: str, day: date) -> bool:
        """A split of `symbol` took or takes effect after the prices known here."""
        since = self.gold_asof or date.min
        return any(since < split.ex_date <= day for split in self.splits_of(symbol))


def action_key(kind: str, ex_date: date) -> str:
    """What a cover calls an action that is in its levels.

    Without a name: a cover is one instrument, whose name may change until the action is told again.
    """
    return f"{kind}:{ex_date}"


def acted(keys: Iterable[str], kind: str, ex_date: date) -> bool:
    """Whether an action is among a cover's keys; those of before named the symbol, too."""
    return any(key.startswith(f"{kind}:") and key.endswith(f":{ex_date}") for key in keys)


def manifest_digests(store: Store) -> tuple[str, ...]:
    """What the reference depends on; another value means: read it again."""
    names = ("gold", "forecasts", "universe", "actions")
    found = (store.manifest(name) for name in names)
    return tuple(manifest.digest if manifest else "" for manifest in found)


def read_reference(store: Store, *, held: Collection[str] = ()) -> Reference:
    """Newest gold, forecasts, universe and actions of the root; bars of `held` symbols.

    Raises:
        DataError: an object is absent or altered.
        UnavailableError: the root does not answer.
    """
    digests, gold = manifest_digests(store), store.manifest("gold")
    if gold is None:
        return Reference(digests=digests)
    asof = gold.asof
    since = sessions.shift(sessions.on_or_before(asof), -VOLUME_SESSIONS)
    rows = store.read("gold", columns=_GOLD, since=since)
    forecasts = store.manifest("forecasts")
    entries = ["symbol", "from", "to", "renamed_from", "revision"]
    members = newest_entries(store.read("universe").select(entries).to_pylist())
    listed, renames = _universe(members, asof), _renames(members)
    now = partial(name_now, renames=renames, listed=listed)
    held, actions = {now(name) for name in held}, store.read("actions")
    return Reference(
        gold_asof=asof,
        forecast_asof=forecasts.asof if forecasts else None,
        simulated=_simulated(rows),
        symbols=_symbols(rows, asof),
        bars=_bars(rows, held),
        universe=listed,
        forecasts=_forecasts(store, forecasts.asof if forecasts else None),
        splits=_splits(_actions(actions, "split", since=since, now=now)),
        dividends=_dividends(_actions(actions, "dividend", since=since, now=now), held),
        renames=renames,
        digests=digests,
    )


def _simulated(rows: "pa.Table") -> bool:
    return any((flags or 0) & SIMULATED for flags in rows["row_flags"].to_pylist())


def _symbols(rows: "pa.Table", asof: date) -> dict[str, SymbolRow]:
    by_symbol: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_symbol[row["symbol"]].append(row)
    return {symbol: _symbol(symbol, found, asof) for symbol, found in by_symbol.items()}


def _bars(rows: "pa.Table", held: Collection[str]) -> dict[str, tuple[DayBar, ...]]:
    found: dict[str, list[DayBar]] = {symbol: [] for symbol in held}
    for row in sorted(rows.to_pylist(), key=lambda row: row["date"]) if held else ():
        bar = _bar(row) if row["symbol"] in found else None
        if bar is not None:
            found[row["symbol"]].append(bar)
    return {symbol: tuple(bars) for symbol, bars in found.items()}


def _symbol(symbol: str, rows: list[dict[str, Any]], asof: date) -> SymbolRow:
    rows.sort(key=lambda row: row["date"])
    last = rows[-1]
    fresh = last["date"] == asof
    return SymbolRow(
        symbol=symbol,
        bar=_bar(last) if fresh else None,
        adv_20=_mean_volume(rows[-VOLUME_SESSIONS:]),
        atr_14_usd=_money(last["atr_14"]) if fresh else None,
        sector=last["sector"],
        suspected_split=any((row["row_flags"] or 0) & SUSPECTED_SPLIT for row in rows),
    )


def _bar(row: Mapping[str, Any]) -> DayBar | None:
    prices = [_money(row[name]) for name in ("open", "high", "low", "adjusted_close")]
    if any(price is None or price <= 0 for price in prices):
        return None
    first, high, low, close = (price for price in prices if price is not None)
    return DayBar(
        session=row["date"],
        open_usd=first,
        high_usd=max(first, high, low, close),
        low_usd=min(first, high, low, close),
        close_usd=close,
    )


def _mean_volume(rows: Iterable[Mapping[str, Any]]) -> Decimal | None:
    """Shares of today a session; a volume before a split counts in today's shares."""
    rows = list(rows)
    known = [row for row in rows if row["volume"] is not None]
    if len(rows) < VOLUME_SESSIONS or not known:
        return None
    now = rows[-1]["split_factor"] or 1.0
    scaled = [row["volume"] * now / (row["split_factor"] or 1.0) for row in known]
    return Decimal(round(sum(scaled) / len(scaled)))


def _money(value: float | None) -> Decimal | None:
    """A price in steps of 1e-6 USD; NaN and infinities are unknown."""
    if value is None or value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN
        return None
    return Decimal(format(value, ".6f")).normalize()


def _universe(rows: Iterable[Mapping[str, Any]], asof: date) -> frozenset[str]:
    return frozenset(
        row["symbol"]
        for row in rows
        if (row["from"] is None or row["from"] <= asof) and (row["to"] is None or asof < row["to"])
    )


def _renames(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {row["renamed_from"]: row["symbol"] for row in rows if row["renamed_from"]}


def _forecasts(store: Store, asof: date | None) -> dict[str, ForecastRow]:
    if asof is None:
        return {}
    rows = store.read("forecasts", asof=asof, columns=_FORECAST, since=asof)
    return {row["symbol"]: _forecast(row) for row in rows.to_pylist() if row["asof"] == asof}


def _forecast(row: Mapping[str, Any]) -> ForecastRow:
    ranks = {days: row[f"rank_{days}d"] for days in HORIZONS_DAYS}
    return ForecastRow(
        ranks={days: rank for days, rank in ranks.items() if rank is not None and rank == rank},  # noqa: PLR0124  NaN
        status=row["status"],
        model_age_days=row["model_age_days_max"],
        paper_only=bool(row["paper_only"]),
        set_digest=row["set_digest"] or "",
    )


def _actions(
    rows: "pa.Table", kind: str, *, since: date, now: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Newest word on each action of a kind from `since` on, by symbol of `now` and day.

    The table keeps the name that an action was told under: what is told under the new one goes
    before it.
    """
    newest: dict[tuple[str, date], dict[str, Any]] = {}
    ordered = rows.sort_by([("known_at", "ascending"), ("revision", "ascending")])
    # instants are left out: turning them into Python objects would import pandas
    told = ordered.select(["symbol", "ex_date", "kind", "value", "status"]).to_pylist()
    for row in sorted(told, key=lambda row: now(row["symbol"]) == row["symbol"]):
        if row["kind"] == kind and row["ex_date"] >= since:
            symbol = now(row["symbol"])
            newest[symbol, row["ex_date"]] = {**row, "symbol": symbol}
    return [row for _, row in sorted(newest.items()) if row["status"] != "refused"]


def _splits(rows: Sequence[Mapping[str, Any]]) -> tuple[Split, ...]:
    return tuple(
        Split(symbol=row["symbol"], ex_date=row["ex_date"], ratio=Decimal(str(row["value"])))
        for row in rows
    )


def _dividends(rows: Sequence[Mapping[str, Any]], held: Collection[str]) -> tuple[Dividend, ...]:
    """Those of held symbols: no other has levels."""
    return tuple(
        Dividend(symbol=row["symbol"], ex_date=row["ex_date"], amount_usd=amount)
        for row in rows
        if row["symbol"] in held and (amount := _money(row["value"])) is not None
    )
