"""Rank what the scan found, or the universe itself, into picks."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain.errors import DataError, UsageError
from bft.domain.numbers import AT_LEAST_0, COUNT, COUNT_OR_0, FINITE, MONEY
from bft.ports import Ports, Step, Summary, Tick
from bft.steps import failures, record
from bft.steps.arguments import NEWEST, add_asof
from bft.steps.book import NOMINAL_USD, Terms
from bft.steps.lacking import need
from bft.steps.lists import csv_rows, file_digest, symbols_of
from bft.steps.record import published, table_digests
from bft.steps.scan import READS, Inputs, load, rank
from bft.steps.sizes import sized, sizes
from bft.steps.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft rank`."""
    add_asof(parser, default=NEWEST)
    add = parser.add_argument
    add("--from", dest="origin", choices=["signals", "universe"], default="signals")
    add("--top-n", type=COUNT_OR_0, default=5, help="picks tagged execute")
    add("--equity", type=MONEY, help="USD, for the sizes shown (that of asof's scan, else 100000)")
    add("--strategies", help="as in scan: which are on")
    add("--param", action="append", default=[], help="NAME.KEY=VALUE, as in scan")
    add("--watchlist", help="symbol file: only these (filter), or these first (sort)")
    add("--watchlist-mode", choices=["filter", "sort"], default="filter")
    add("--include-leveraged", action="store_true", help="leveraged and inverse funds as well")
    add("--risk-free", type=FINITE, default=0.0, help="yearly rate of the Sharpe ratio, 0.05: 5 %%")
    universe = parser.add_argument_group("--from universe, in this order")
    add = universe.add_argument
    add("--price-above", type=AT_LEAST_0, help="USD, inclusive; sorts high to low")
    add("--price-below", type=AT_LEAST_0, help="USD, inclusive; sorts high to low")
    add("--filter-field", help="a column of the picks")
    add("--filter-above", type=FINITE)
    add("--filter-below", type=FINITE)
    add("--top-k-sharpe", type=COUNT, help="keep the K highest Sharpe ratios of 252 sessions")
    add("--sort-sharpe", action="store_true", help="order by Sharpe ratio")
    add("--backtest-rankings", help="rankings.csv of a backtest")
    add("--rank-by", default="score")
    add("--rank-top-k", type=COUNT)


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Ranked picks with sizes, as table and CSV.

    Raises:
        UsageError: an option that would do nothing beside the others.
        DataError: signals of other parameters, or of a symbol that gold has no row of.
    """
    import pyarrow as pa

    from bft.strategies import enabled
    from bft.strategies.tables import pick_rows, picks_csv, universe_rows

    _check_options(args)
    strategies = enabled(args.strategies, args.param)
    inputs = load(ports, args.asof, strategies, risk_free=args.risk_free)
    if args.include_leveraged:
        inputs = replace(inputs, facts=inputs.facts.assign(leveraged=False))
    failed = failures.failed_steps(ports.store, args.asof, before="rank")
    equity_usd = _equity(ports, args)
    removed: dict[str, int] = {}
    simulated = inputs.view.simulated
    if args.origin == "signals":
        signals = _stored_signals(ports, args)
        _check_signals(signals, strategies, inputs, args.asof)
        terms = Terms(
            equity_usd=equity_usd,
            top_n=args.top_n,
            standing=Standing(),
            shown_only=failures.shown_only(strategies, failed),
        )
        rows = rank(inputs, signals, strategies, terms)
        quantities = sizes(inputs.facts, signals, equity_usd=equity_usd)
        picks = pick_rows(rows, inputs.facts, quantities, asof=args.asof, simulated=simulated)
        picks, removed = _watched(picks, args)
    else:
        facts, removed = _staged(inputs, args)
        one = {str(name): sized(at, 0.0, equity_usd=equity_usd) for name, at in facts.iterrows()}
        picks = universe_rows(
            facts,
            one,
            asof=args.asof,
            top_n=args.top_n,
            blocked=_blocked(inputs, failed=bool(failed)),
            simulated=simulated,
        )
    table = pa.Table.from_pandas(picks, preserve_index=False)
    part = f"asof={args.asof}"
    name = f"reports/{args.asof}/portfolio_picks.csv"
    with ports.store.exclusive():
        manifest = ports.store.publish("picks", asof=args.asof, partitions={part: table})
        csv = ports.store.put(name, picks_csv(picks))
    objects = {**published(ports.store, manifest, [part]), name: csv}
    values = {
        "picks": picks.loc[picks["tag"] == "execute", "symbol"].tolist(),
        "watch": picks["tag_reason"].dropna().value_counts().sort_index().to_dict(),
        "simulated": simulated,
        "equity_usd": equity_usd,
        "csv": name,
    }
    return Summary(values=values, rows=len(picks), skipped=removed, objects=objects)


def _equity(ports: Ports, args: argparse.Namespace) -> float:
    """As given, else what the scan of asof reckoned with: one night, one size."""
    told = record.scan_of(ports.store, args.asof).get("equity_usd")
    return args.equity or (NOMINAL_USD if told is None else float(told))


def _check_options(args: argparse.Namespace) -> None:
    values = {name: getattr(args, name) for name in _UNIVERSE_ONLY}
    given = [name for name, value in values.items() if value is not None and value is not False]
    if given and args.origin != "universe":
        raise UsageError(f"{_word(given[0])} is of --from universe; add that, or leave it away")
    for name, needed in _NEEDED.items():
        if name in given and not getattr(args, needed):
            raise UsageError(f"{_word(name)} needs {_word(needed)}")


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_signals(
    signals: Sequence[Any], strategies: Sequence[Any], inputs: Inputs, asof: date
) -> None:
    """Refuse signals that cannot be judged as their scan did."""
    from bft.strategies.signals import params_digest

    again = f"run: bft scan --asof {asof}"
    now = {strategy.id: params_digest(strategy) for strategy in strategies}
    for one in signals:
        if one.kind != "entry":
            continue
        if now.get(one.strategy_id, one.params_digest) != one.params_digest:
            raise DataError(
                f"signals {asof} of {one.strategy_id}: other parameters than given here; "
                f"give rank the --param of the scan, or {again} with these"
            )
        if one.symbol not in inputs.facts.index:
            raise DataError(f"signals {asof} name {one.symbol}, which gold has no row of; {again}")


def _blocked(inputs: Inputs, *, failed: bool) -> dict[str, str]:
    """Why a symbol of the universe may not be bought."""
    leveraged = map(str, inputs.facts.index[inputs.facts["leveraged"]])
    everyone = map(str, inputs.facts.index) if failed else ()
    return {
        **dict.fromkeys(everyone, failures.REASON),
        **dict.fromkeys(leveraged, "leveraged_fund"),
        **inputs.view.blocked,
    }


def _stored_signals(ports: Ports, args: argparse.Namespace) -> list[Any]:
    from bft.strategies.tables import signals_of

    need(ports, "signals", args.asof)
    part = f"asof={args.asof},slot=close"
    return signals_of(ports.store.read("signals", asof=args.asof, partitions=[part]))


def _watched(picks: "pd.DataFrame", args: argparse.Namespace) -> "tuple[Any, dict[str, int]]":
    if not args.watchlist:
        return picks, {}
    listed = symbols_of(args.watchlist)
    on = picks["symbol"].isin(listed)
    if args.watchlist_mode == "sort":
        return picks.iloc[(~on).to_numpy().argsort(kind="stable")], {}
    order = picks["symbol"].map({name: n for n, name in reversed([*enumerate(listed)])})
    return picks.loc[order.dropna().sort_values().index], {"watchlist": int((~on).sum())}


def _staged(inputs: Inputs, args: argparse.Namespace) -> "tuple[pd.DataFrame, dict[str, int]]":
    """Apply the stages in order; counts what each removed."""
    facts, removed = inputs.facts, dict[str, int]()
    for name, stage in _STAGES.items():
        kept = stage(facts, args)
        if len(kept) != len(facts):
            removed[name] = len(facts) - len(kept)
        facts = kept
    return facts, removed


def _watchlist(facts: "pd.DataFrame", args: argparse.Namespace) -> "pd.DataFrame":
    from bft.strategies.facts import selected

    if not args.watchlist:
        return facts
    listed = symbols_of(args.watchlist)
    if args.watchlist_mode == "filter":
        return selected(facts, listed)
    return selected(facts, [*listed, *(name for name in facts.index if name not in listed)])


def _price(facts: "pd.DataFrame", args: argparse.Namespace) -> "pd.DataFrame":
    if args.price_above is None and args.price_below is None:
        return facts
    price = facts["adjusted_close"]
    low = 0.0 if args.price_above is None else args.price_above
    high = float("inf") if args.price_below is None else args.price_below
    return facts[(price >= low) & (price <= high)].sort_values("adjusted_close", ascending=False)


def _field(facts: "pd.DataFrame", args: argparse.Namespace) -> "pd.DataFrame":
    if not args.filter_field:
        return facts
    if args.filter_field not in facts:
        raise DataError(f"--filter-field {args.filter_field}: columns are {sorted(facts.columns)}")
    values, keep = facts[args.filter_field], facts[args.filter_field].notna()
    if args.filter_above is not None:
        keep &= values >= args.filter_above
    if args.filter_below is not None:
        keep &= values <= args.filter_below
    return facts[keep]


def _sharpe(facts: "pd.DataFrame", args: argparse.Namespace) -> "pd.DataFrame":
    if not args.top_k_sharpe and not args.sort_sharpe:
        return facts
    ordered = facts.dropna(subset="sharpe_252").sort_values("sharpe_252", ascending=False)
    return ordered.head(args.top_k_sharpe) if args.top_k_sharpe else ordered


def _backtest(facts: "pd.DataFrame", args: argparse.Namespace) -> "pd.DataFrame":
    import pandas as pd

    from bft.strategies.facts import selected

    if not args.backtest_rankings:
        return facts
    rows = csv_rows(args.backtest_rankings)
    for name in ("symbol", args.rank_by):
        if name not in rows:
            raise DataError(f"{args.backtest_rankings} has no column {name!r}: {list(rows)}")
    rows = rows.assign(by=pd.to_numeric(rows[args.rank_by], errors="coerce"))
    rows = rows.sort_values("by", ascending=False, kind="stable").drop_duplicates("symbol")
    return selected(facts, rows["symbol"].head(args.rank_top_k or len(rows)).tolist())


_UNIVERSE_ONLY = (
    *("price_above", "price_below", "filter_field", "filter_above", "filter_below"),
    *("top_k_sharpe", "sort_sharpe", "backtest_rankings", "rank_top_k"),
)
_NEEDED = {
    "filter_above": "filter_field",
    "filter_below": "filter_field",
    "rank_top_k": "backtest_rankings",
}
_STAGES: "dict[str, Callable[[Any, argparse.Namespace], Any]]" = {
    "watchlist": _watchlist,
    "price": _price,
    "field": _field,
    "sharpe": _sharpe,
    "backtest": _backtest,
}


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    """Digests of the tables, and of the files that the options name."""
    files = {"watchlist": args.watchlist, "backtest_rankings": args.backtest_rankings}
    listed = {name: file_digest(path) for name, path in files.items()}
    failed = failures.failures_digest(ports.store, args.asof, before="rank")
    return {
        **table_digests(ports.store, (*READS, "signals"), args),
        **listed,
        "failed": failed,
        "equity": str(_equity(ports, args)),
    }


STEP = Step(
    effect="replace",
    summary="Rank the signals of asof (or the universe) into sized picks.",
    arguments=arguments,
    run=run,
    reads_newest=lambda _a: True,
    inputs=inputs,
    reads=(*READS, "signals"),
    writes=("picks",),
    outputs={"picks": "symbols tagged execute"},
    settings=("strategies",),
    code=(
        *("features", "strategies", "risk", "steps.scan", "steps.rank", "steps.lists"),
        *("steps.failures", "steps.sizes", "steps.book", "steps.gold_tables"),
    ),
)
