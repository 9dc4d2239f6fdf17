"""Each kind of fault does what its name says, where it is told to, and nowhere else."""

import csv
import io
import json
from datetime import date
from typing import Any

import pytest
from sims import ask, vendor

from bft.domain import sessions
from bft.domain.errors import ConfigError
from bft.sim.market.faults import KINDS, parse
from bft.sim.market.vendor import Vendor

DAY, BEFORE = date(2022, 12, 30), date(2022, 12, 29)
DAILY = "TIME_SERIES_DAILY_ADJUSTED"
COLUMNS = ("open", "high", "low", "close", "volume", "split coefficient")


def broken(kind: str, **fault: Any) -> Vendor:
    return vendor({"kind": kind, "rate": 1, **fault}, stocks=5, start=date(2021, 1, 4))


@pytest.fixture(scope="module")
def sound() -> Vendor:
    return vendor(stocks=5, start=date(2021, 1, 4))


def bars(one: Vendor, symbol: str = "GOPI", asof: object = None) -> dict[str, tuple[str, ...]]:
    """date -> open, high, low, close, volume, split as text, in the order sent."""
    rows = ask(one, DAILY, symbol, asof)["Time Series (Daily)"]
    names = {k[3:]: k for k in next(iter(rows.values()))}
    return {day: tuple(row[names[c]] for c in COLUMNS) for day, row in rows.items()}


def reply(one: Vendor, function: str = DAILY, **params: str) -> Any:
    return one.query({"function": function, "symbol": "GOPI", "apikey": "hidden", **params}, None)


# --- calls --------------------------------------------------------------------------------------


def test_notices_come_without_a_data_key() -> None:
    minute = broken("minute_limit")
    first, second = (json.loads(reply(minute).body) for _ in range(2))
    assert list(first) == ["Information"]
    assert "spreading out" in first["Information"]
    assert list(second) == ["Note"]
    assert "frequency" in second["Note"]
    day = json.loads(reply(broken("day_limit")).body)
    assert "requests per day" in day["Information"]
    assert "hidden" in day["Information"]  # the vendor echoes the key
    assert "premium endpoint" in json.loads(reply(broken("premium")).body)["Information"]


def test_http_faults() -> None:
    assert reply(broken("http_500")).status == 500
    busy = reply(broken("http_429"))
    assert (busy.status, busy.headers) == (429, {"Retry-After": "1"})
    page = reply(broken("html"))
    assert (page.status, page.kind) == (200, "text/html")
    assert page.body.startswith("<!DOCTYPE html>")


def test_half_json_is_cut_and_slow_bodies_are_whole(sound: Vendor) -> None:
    whole = reply(sound).body
    half = reply(broken("half_json")).body
    assert whole.startswith(half)
    assert len(half) == len(whole) // 2
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        json.loads(half)
    assert (reply(broken("slow_body")).body, reply(broken("slow_body")).pace) == (
        whole, "slow_body",
    )  # fmt: skip
    assert reply(broken("hang")).pace == "hang"


def test_a_retried_call_draws_again_and_any_order_draws_the_same() -> None:
    fault = {"kind": "http_500", "rate": 0.5}
    one, other = (vendor(fault, stocks=5, start=date(2021, 1, 4)) for _ in range(2))
    symbols = [stock.symbol for stock in one.world().stocks]
    calls = [{"function": "OVERVIEW", "symbol": s} for s in symbols for _ in range(8)]
    forward = [one.query(call, None).status for call in calls]
    grouped = {s: forward[8 * n : 8 * n + 8] for n, s in enumerate(symbols)}
    assert {200, 500} == set(forward)
    assert any(len(set(x)) == 2 for x in grouped.values())
    assert len({tuple(x) for x in grouped.values()}) > 1
    mixed: dict[str, list[int]] = {}
    for call in calls[::8] * 8:
        mixed.setdefault(call["symbol"], []).append(other.query(call, None).status)
    assert mixed == grouped
    assert one.faults.served == {"http_500": forward.count(500)}


def test_faults_keep_to_their_functions_symbols_and_days() -> None:
    one = broken("http_500", functions=["OVERVIEW"], symbols=["GOPI"], days=["2022-12-29"])
    said = {
        (f, s, d): one.query({"function": f, "symbol": s}, d).status
        for f in ("OVERVIEW", "EARNINGS")
        for s in ("GOPI", "BIVE")
        for d in ("2022-12-29", "2022-12-30")
    }
    assert [key for key, status in said.items() if status == 500] == [
        ("OVERVIEW", "GOPI", "2022-12-29")
    ]


# --- answers ------------------------------------------------------------------------------------


def test_sample_data_names_a_symbol_nobody_asked_for() -> None:
    one = broken("sample_data")
    assert ask(one, DAILY, "GOPI")["Meta Data"]["2. Symbol"] != "GOPI"
    assert ask(one, "OVERVIEW", "GOPI")["Symbol"] != "GOPI"
    chain = ask(one, "HISTORICAL_OPTIONS", "GOPI")["data"]
    assert "GOPI" not in {row["symbol"] for row in chain}
    bulk = ask(one, "REALTIME_BULK_QUOTES", "GOPI,BIVE")
    assert "sample" in bulk["message"]
    assert not {"GOPI", "BIVE"} & {row["symbol"] for row in bulk["data"]}
    assert len(bulk["data"]) == 2
    news = ask(one, "NEWS_SENTIMENT", tickers="GOPI")["feed"]
    assert news[0]["ticker_sentiment"][0]["ticker"] != "GOPI"


def test_missing_symbol_and_empty_body() -> None:
    assert "Error Message" in ask(broken("missing_symbol", symbols=["GOPI"]), DAILY, "GOPI")
    assert ask(broken("empty_body"), DAILY, "GOPI") == {}
    assert ask(broken("empty_body"), "LISTING_STATUS") == ""


def test_stale_answers_end_one_session_early(sound: Vendor) -> None:
    stale = bars(broken("stale_day", days=[str(DAY)]))
    assert next(iter(stale)) == str(BEFORE)
    whole = bars(sound)
    assert all(whole[day] == stale[day] for day in list(stale)[:-1])
    for kind in ("stale_day", "wrong_chain_date"):
        rows = ask(broken(kind), "HISTORICAL_OPTIONS", "GOPI", date=str(DAY))["data"]
        assert {row["date"] for row in rows} == {str(BEFORE)}


# --- rows ---------------------------------------------------------------------------------------


def test_missing_day_is_a_hole(sound: Vendor) -> None:
    holed = bars(broken("missing_day", days=["2022-12-14"]))
    assert "2022-12-14" in bars(sound)
    assert "2022-12-14" not in holed
    assert {"2022-12-13", "2022-12-15"} <= set(holed)


def test_late_bar_arrives_two_sessions_later() -> None:
    one = broken("late_bar", days=["2022-12-14"])
    seen = {n: "2022-12-14" in bars(one, asof=f"2022-12-{n}") for n in (14, 15, 16)}
    assert seen == {14: False, 15: False, 16: True}


def test_duplicate_day_sends_the_newest_bar_twice() -> None:
    one = broken("duplicate_day")
    text = reply(one).body
    assert text.count(f'"{DAY}": {{') == 2
    rows = list(csv.DictReader(io.StringIO(reply(one, datatype="csv").body)))
    assert rows[0] == rows[1]
    assert rows[0]["timestamp"] == str(DAY)


def test_unsorted_rows_are_the_same_rows(sound: Vendor) -> None:
    mixed = bars(broken("unsorted"))
    assert list(mixed) != sorted(mixed, reverse=True)
    every = ask(sound, DAILY, "GOPI", outputsize="full")["Time Series (Daily)"]
    assert len(mixed) == 100
    assert all(mixed[day][3] == every[day]["4. close"] for day in mixed)


# --- values -------------------------------------------------------------------------------------


def changed(kind: str, sound: Vendor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bar of 2022-12-14 as it is and as the fault makes it; no other bar differs."""
    true, false = bars(sound), bars(broken(kind, days=["2022-12-14"]))
    assert [day for day in true if true[day] != false[day]] == ["2022-12-14"]
    return true["2022-12-14"], false["2022-12-14"]


def test_nan_value_is_one_price_that_is_no_number(sound: Vendor) -> None:
    true, false = changed("nan_value", sound)
    differ = [n for n in range(6) if true[n] != false[n]]
    assert len(differ) == 1
    assert differ[0] < 4
    assert false[differ[0]] in {"NaN", "None", "-", "."}


def test_zero_volume_negative_price_and_broken_order(sound: Vendor) -> None:
    true, false = changed("zero_volume", sound)
    assert false == (*true[:4], "0", true[5])
    true, false = changed("negative_price", sound)
    assert false == (*true[:3], f"-{true[3]}", *true[4:])
    true, false = changed("ohlc_broken", sound)
    assert float(false[1]) < float(false[2])
    assert (false[0], *false[2:]) == (true[0], *true[2:])


def test_frozen_bar_repeats_the_session_before(sound: Vendor) -> None:
    _, false = changed("frozen_bar", sound)
    assert false[:5] == bars(sound)["2022-12-13"][:5]
    days = ["2022-12-13", "2022-12-14"]
    run = bars(broken("frozen_bar", days=days))
    assert run[days[0]][:5] == run[days[1]][:5] == bars(sound)["2022-12-12"][:5]


def test_revised_close_is_put_right_five_sessions_later(sound: Vendor) -> None:
    one = broken("revised_close", days=["2022-12-14"])
    closes = {n: bars(one, asof=f"2022-12-{n}")["2022-12-14"][3] for n in (14, 20, 21)}
    true = bars(sound)["2022-12-14"]
    assert closes[14] == closes[20] != true[3]
    assert closes[21] == true[3]
    assert float(true[2]) <= float(closes[14]) <= float(true[1])


# --- splits -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def a_split(sound: Vendor) -> tuple[str, date, str]:
    """Symbol, ex-date and ratio of some split."""
    for stock in sound.world().stocks:
        for row in ask(sound, "SPLITS", stock.symbol).get("data", []):
            return stock.symbol, date.fromisoformat(row["effective_date"]), row["split_factor"]
    raise AssertionError("no split in the plan; choose another start")


def test_missing_split_is_nowhere_told(a_split: tuple[str, date, str]) -> None:
    symbol, day, ratio = a_split
    one = broken("missing_split")
    assert bars(one, symbol, day)[str(day)][5] == "1.0000" != ratio
    assert ask(one, "SPLITS", symbol)["data"] == []
    only = broken("missing_split", functions=[DAILY])
    assert str(day) in [row["effective_date"] for row in ask(only, "SPLITS", symbol)["data"]]


def test_late_split_is_told_three_sessions_later(a_split: tuple[str, date, str]) -> None:
    symbol, day, ratio = a_split
    one = broken("late_split")
    told = [bars(one, symbol, sessions.shift(day, n))[str(day)][5] for n in range(4)]
    assert told == ["1.0000", "1.0000", "1.0000", ratio]
    assert one.faults.served == {"late_split": 3}  # what changed nothing is not counted


def test_phantom_split_is_told_while_the_price_stays(sound: Vendor) -> None:
    true, false = changed("phantom_split", sound)
    assert (true[5], false[5]) == ("1.0000", "2.0000")
    assert false[:5] == true[:5]
    one = broken("phantom_split", days=["2022-12-14"])
    days = [row["effective_date"] for row in ask(one, "SPLITS", "GOPI")["data"]]
    assert "2022-12-14" in days


# --- the list -----------------------------------------------------------------------------------


def test_rates_are_rates(sound: Vendor) -> None:
    one = vendor({"kind": "zero_volume", "rate": 0.1}, stocks=5, start=date(2021, 1, 4))
    rows = ask(one, DAILY, "GOPI", outputsize="full")["Time Series (Daily)"]
    share = sum(row["6. volume"] == "0" for row in rows.values()) / len(rows)
    assert share == pytest.approx(0.1, abs=0.04)
    compact = bars(one)
    assert all(compact[day][4] == rows[day]["6. volume"] for day in compact)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "no JSON"),
        ("{}", "JSON list"),
        ('[{"kind": "http_500"}]', "keys kind, rate"),
        ('[{"kind": "http_500", "rate": 1, "symbol": ["A"]}]', "keys kind, rate"),
        ('[{"kind": "earthquake", "rate": 1}]', "unknown kind 'earthquake'"),
        ('[{"kind": "http_500", "rate": 2}]', "outside 0..1"),
        ('[{"kind": "http_500", "rate": 1, "days": ["May"]}]', "May"),
        ('[{"kind": "http_500", "rate": 1, "symbols": "GOPI"}]', "symbols"),
    ],
)
def test_bad_fault_lists_are_refused(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse(text, seed=7, where="faults.json")


def test_every_kind_of_the_specification_is_known() -> None:
    listed = (
        "minute_limit day_limit premium http_500 http_429 hang slow_body html half_json "
        "sample_data missing_symbol empty_body stale_day missing_day duplicate_day unsorted "
        "nan_value zero_volume negative_price ohlc_broken frozen_bar revised_close late_split "
        "missing_split phantom_split late_bar wrong_chain_date"
    )
    assert sorted(KINDS) == sorted(listed.split())
