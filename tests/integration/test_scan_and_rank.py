import csv
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, no_tick
from panels import ASOF, forecast, gold_rows, table, wavy

from bft.domain import sessions
from bft.domain.errors import DataError, StaleDataError, UsageError
from bft.ports import Summary
from bft.steps import rank, record, scan

FILES = ("signals", "portfolio_picks")
FALLEN = {"adjusted_close": 94.0, "rsi_14": 28.0, "bollinger_bands_signal": 1}


@pytest.fixture
def night(ports: FakePorts) -> FakePorts:
    """Gold of four symbols (two of them fallen to their band) and forecasts, at ASOF."""
    rows = [
        *wavy("AAA", seed=1, **FALLEN),
        *wavy("BBB", seed=2, sector="UTILITIES", **FALLEN),
        *wavy("CCC", seed=3),
        *wavy("SPY", seed=4, **FALLEN),
    ]
    ports.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    predictions = [forecast("AAA"), forecast("BBB"), forecast("CCC", rank_3d=0.97, lift_bin_3d=1.3)]
    ports.store.publish("forecasts", asof=ASOF, partitions={"p": table("forecasts", predictions)})
    return ports


def run(step: Any, ports: FakePorts, *words: str) -> Summary:
    args = arguments(step.STEP, *words, asof=ASOF)
    args.strategies = args.strategies or "core"
    return step.STEP.run(ports, args, no_tick)


def test_scan_writes_signals_once_and_the_same_bytes_again(night: FakePorts) -> None:
    summary = run(scan, night)
    rows = night.store.read("signals", asof=ASOF).to_pylist()
    assert {row["symbol"] for row in rows} == {"AAA", "BBB", "CCC"}
    assert summary.values["signals"] == {
        "bollinger": 2,
        "oversold_bounce": 2,
        "oversold_reversal": 0,
        "low_bounce": 0,
        "ml_prediction": 1,
        "regression_momentum": 0,
    }
    assert summary.values["tags"] == {"execute": 3, "merged": 2}
    assert run(scan, night).objects == summary.objects
    text = night.store.get(f"reports/{ASOF}/signals.csv").decode().splitlines()
    assert text[0].startswith("action,symbol,shares,price,strategy,reason,timestamp,stop_loss_pct")
    assert any(line.startswith('BUY,CCC,,100.0,ml_prediction,"ranked 0.97') for line in text)


def test_stop_entries_are_stored_with_their_price_and_same_bytes_again(night: FakePorts) -> None:
    words = ("--strategies", "bollinger", "--param", "bollinger.entry_order=stop")
    summary = run(scan, night, *words)
    rows = night.store.read("signals", asof=ASOF).to_pylist()
    # high 101 and close 94: the break of the high would be 7 % above what was decided
    told = {(row["symbol"], row["stop_price_usd"], row["tag_reason"]) for row in rows}
    assert told == {("AAA", 101.01, "drift"), ("BBB", 101.01, "drift")}
    assert run(scan, night, *words).objects == summary.objects


def test_rank_picks_what_scan_found_with_sizes(night: FakePorts) -> None:
    run(scan, night)
    summary = run(rank, night)
    picks = {row["symbol"]: row for row in night.store.read("picks", asof=ASOF).to_pylist()}
    assert sorted(summary.values["picks"]) == ["AAA", "BBB", "CCC"]
    # 0.5 % of 100,000 USD over the nearer stop: 5 % of 94.00 (oversold_bounce), ATR 2.00
    assert picks["AAA"]["qty"] == int(500 / 4.70)
    assert picks["CCC"]["qty"] == int(500 / 8.0)
    assert picks["CCC"]["stop_usd"] == pytest.approx(92.0)
    assert picks["CCC"]["sector_etf"] == "XLE"


def test_files_hold_planned_sizes_and_no_long_floats(night: FakePorts) -> None:
    """signals.csv has no size of its own (0: size for me), portfolio_picks.csv the planned one."""
    run(scan, night)
    run(rank, night)
    texts = {name: night.store.get(f"reports/{ASOF}/{name}.csv").decode() for name in FILES}
    assert [name for name in FILES if re.search(r"\d\.\d{7}", texts[name])] == []
    head, *rows = csv.reader(texts["portfolio_picks"].splitlines())
    assert {row[head.index("symbol")]: row[head.index("qty")] for row in rows}["AAA"] == "106"
    assert " ".join(head) == (
        "symbol rank tag tag_reason score direction strategy_id signal_id price_usd rsi_14 adx_14 "
        "beta sector sector_etf confidence strength edge atr_14_usd atr_frac stop_usd target_usd "
        "qty notional_usd risk_usd adv_20_usd sharpe_252 agreeing on_watchlist is_etf ret_5d_frac "
        "ret_20d_frac expected_return_3d expected_return_10d expected_return_30d asof simulated"
    )


def test_symbol_without_a_row_at_asof_is_counted_and_not_cloned(night: FakePorts) -> None:
    rows = [*wavy("AAA", seed=1, **FALLEN), *wavy("BBB", seed=2, **FALLEN)[:-1]]
    night.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    summary = run(scan, night)
    assert (summary.values["symbols"], summary.skipped["no_row"]) == (1, 1)


def test_pick_is_sized_by_the_stop_of_its_own_strategy(ports: FakePorts) -> None:
    """Low bounce (stop 10 %) outranks the bounce it absorbs (stop 5 %): half as many shares."""
    at_low = {**FALLEN, "52_week_low": 94.0}
    ports.store.publish(
        "gold", asof=ASOF, partitions={"all": table("gold", wavy("AAA", seed=1, **at_low))}
    )
    ports.store.publish(
        "forecasts", asof=ASOF, partitions={"p": table("forecasts", [forecast("AAA")])}
    )
    run(scan, ports)
    run(rank, ports)
    (pick,) = ports.store.read("picks", asof=ASOF).to_pylist()
    assert (pick["strategy_id"], pick["agreeing"]) == ("low_bounce", 2)
    assert pick["qty"] == int(500 / 9.40)
    assert pick["risk_usd"] == pytest.approx(pick["qty"] * (94.0 - pick["stop_usd"]))


def test_dry_run_writes_nothing(night: FakePorts) -> None:
    before = night.store.keys("")
    args = arguments(scan.STEP, "--dry-run", asof=ASOF, strategies="core")
    assert record.execute(night, "scan", scan.STEP, args, no_tick).rows == 5
    assert night.store.keys("") == before


@pytest.mark.parametrize("option", ["--watchlist", "--backtest-rankings"])
def test_rank_runs_again_when_a_file_it_reads_has_changed(
    night: FakePorts, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "listed.csv"
    args = arguments(rank.STEP, "--from", "universe", option, str(file), asof=ASOF)
    args.strategies = "core"
    for symbol in ("AAA", "BBB", "BBB"):
        file.write_text(f"symbol,score\n{symbol},1\n")
        done = record.execute(night, "rank", rank.STEP, args, no_tick)
        assert night.store.read("picks", asof=ASOF)["symbol"].to_pylist() == [symbol]
    assert done.values["cached"] is True


def test_quarantined_symbol_gives_no_signal(night: FakePorts) -> None:
    row = {"asof": ASOF, "check": "Q06", "symbol": "AAA", "severity": "quarantine"}
    night.store.publish("quality", asof=ASOF, partitions={"q": table("quality", [row])})
    summary = run(scan, night)
    assert "AAA" not in night.store.read("signals", asof=ASOF)["symbol"].to_pylist()
    assert summary.skipped["quarantined"] == 2


def test_gold_of_another_day_is_stale(ports: FakePorts) -> None:
    rows = table("gold", gold_rows("AAA", days=3))
    ports.store.publish("gold", asof=ASOF - timedelta(days=1), partitions={"all": rows})
    with pytest.raises(StaleDataError, match=r"gold 2025-03-14 is absent \(newest: 2025-03-13\)"):
        run(scan, ports)


def test_no_row_at_asof_is_bad_data(ports: FakePorts) -> None:
    rows = gold_rows("AAA", days=3)[:-1]
    ports.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    with pytest.raises(DataError, match="no symbol has a gold row at 2025-03-14"):
        run(scan, ports)


def test_rank_without_signals_says_what_to_run(night: FakePorts) -> None:
    with pytest.raises(DataError, match="run: bft scan --asof 2025-03-14"):
        run(rank, night)


def test_rank_of_the_universe_applies_its_stages_in_order(night: FakePorts, tmp_path: Any) -> None:
    summary = run(rank, night, "--from", "universe", "--price-above", "95")
    rows = night.store.read("picks", asof=ASOF).to_pylist()
    assert [row["symbol"] for row in rows] == ["CCC"]
    assert summary.skipped == {"price": 2}
    assert rows[0]["qty"] == int(500 / 2.0 if 500 / 2.0 * 100 <= 10_000 else 100)
    watch = tmp_path / "watch.csv"
    watch.write_text("Symbol,Name\nBBB,b\nZZZ,z\n")
    run(rank, night, "--from", "universe", "--watchlist", str(watch))
    assert night.store.read("picks", asof=ASOF)["symbol"].to_pylist() == ["BBB"]
    with pytest.raises(DataError, match=r"none\.csv"):
        run(rank, night, "--from", "universe", "--backtest-rankings", str(tmp_path / "none.csv"))


@pytest.mark.parametrize("text", ["BBB\naaa\nBBB\n", "\ufeff# mine\nTicker\nBBB\nAAA\nbbb\n"])
def test_watchlist_of_any_shape_orders_the_universe_once(
    night: FakePorts, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    run(rank, night, "--from", "universe", "--watchlist", str(file))
    rows = night.store.read("picks", asof=ASOF).to_pylist()
    assert {row["symbol"]: row["rank"] for row in rows} == {"BBB": 1, "AAA": 2}


def test_universe_names_what_may_not_be_bought_and_goes_on(night: FakePorts) -> None:
    """A quarantined or unaffordable symbol keeps its place, the next one is picked."""
    row = {"asof": ASOF, "check": "Q06", "symbol": "AAA", "severity": "quarantine"}
    night.store.publish("quality", asof=ASOF, partitions={"q": table("quality", [row])})
    summary = run(rank, night, "--from", "universe", "--top-n", "1")
    rows = night.store.read("picks", asof=ASOF).to_pylist()
    found = [(row["symbol"], row["tag"], row["tag_reason"]) for row in rows]
    assert found == [
        ("AAA", "watch", "quarantined"),
        ("BBB", "execute", None),
        ("CCC", "watch", "top_n"),
    ]
    assert summary.values["picks"] == ["BBB"]


def test_leveraged_funds_only_when_asked_for(ports: FakePorts) -> None:
    known = {"status": "ok", "backfilled": False, "revision": 0}
    known |= {"arrived_at": sessions.evening(ASOF)}
    listed = [{"symbol": "AAA", "name": "Bull 3X Shares", "is_etf": True, **known}]
    gold = table("gold", wavy("AAA", seed=1, **FALLEN))
    ports.store.publish("gold", asof=ASOF, partitions={"all": gold})
    ports.store.publish("universe", asof=ASOF, partitions={"u": table("universe", listed)})
    run(scan, ports)
    assert run(rank, ports).values["watch"] == {"leveraged_fund": 1}
    assert run(rank, ports, "--include-leveraged").values["picks"] == ["AAA"]


def test_risk_free_rate_lowers_the_sharpe_ratio(night: FakePorts) -> None:
    def ratio(*words: str) -> float:
        run(rank, night, "--from", "universe", "--sort-sharpe", *words)
        rows = night.store.read("picks", asof=ASOF).to_pylist()
        return next(row["sharpe_252"] for row in rows if row["symbol"] == "CCC")

    with pytest.raises(SystemExit):
        ratio("--risk-free", "five")
    assert ratio("--risk-free", "0.05") < ratio()


def test_rank_judges_by_the_parameters_of_its_scan(night: FakePorts) -> None:
    """A short that may be sold, or places of one's own, were judged by the defaults."""
    words = ("--param", "bollinger.max_positions=1", "--strategies", "bollinger")
    run(scan, night, *words)
    with pytest.raises(DataError, match=r"bollinger: other parameters .* --param"):
        run(rank, night, "--strategies", "bollinger")
    summary = run(rank, night, *words)
    signals = night.store.read("signals", asof=ASOF).to_pylist()
    told = {row["symbol"]: row["tag"] for row in signals}
    assert sorted(told.values()) == ["execute", "watch"]
    assert [name for name, tag in told.items() if tag == "execute"] == summary.values["picks"]
    assert summary.values["watch"] == {"max_positions": 1}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--price-above", "10"), "--price-above is of --from universe"),
        (("--sort-sharpe",), "--sort-sharpe is of --from universe"),
        (("--from", "universe", "--filter-above", "1"), "--filter-above needs --filter-field"),
        (("--from", "universe", "--rank-top-k", "1"), "--rank-top-k needs --backtest-rankings"),
    ],
)
def test_option_that_would_do_nothing_is_refused(
    night: FakePorts, words: tuple[str, ...], says: str
) -> None:
    run(scan, night)
    with pytest.raises(UsageError, match=says):
        run(rank, night, *words)


def test_signal_whose_symbol_left_gold_is_named(night: FakePorts) -> None:
    """Gold built anew without a symbol that was scanned: a KeyError."""
    run(scan, night)
    rows = [*wavy("AAA", seed=1, **FALLEN), *wavy("CCC", seed=3)]
    night.store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    with pytest.raises(DataError, match=r"BBB, .* run: bft scan --asof 2025-03-14"):
        run(rank, night)


def test_rankings_of_odd_symbols_and_without_symbols(night: FakePorts, tmp_path: Path) -> None:
    """NA is a ticker, no missing value; a file of something else is told."""
    night.store.publish(
        "gold", asof=ASOF, partitions={"all": table("gold", wavy("NA", seed=1, **FALLEN))}
    )
    file = tmp_path / "rankings.csv"
    file.write_text("symbol,score\nNA,1\n")
    words = ("--from", "universe", "--backtest-rankings", str(file))
    run(rank, night, *words)
    assert night.store.read("picks", asof=ASOF)["symbol"].to_pylist() == ["NA"]
    file.write_text("ticker,score\nNA,1\n")
    with pytest.raises(DataError, match="no column 'symbol'"):
        run(rank, night, *words)
