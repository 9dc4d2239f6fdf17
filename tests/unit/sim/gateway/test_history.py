"""History as the client decodes it, and the limits on asking for it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gateways import AAPL, MORNING, Stage, play
from ib_async import BarDataList, Option, Stock

from bft.domain.errors import ConfigError
from bft.sim.gateway.history_desk import Pacing
from bft.sim.gateway.prices.daily import DailyPrices
from bft.sim.gateway.prices.intraday import DayBar, extremes, price, volume
from bft.sim.gateway.prices.sources import make_prices
from bft.sim.gateway.prices.walk import Walk

SIZES = (
    "1 secs|5 secs|10 secs|15 secs|30 secs|1 min|2 mins|3 mins|5 mins|10 mins|15 mins|20 mins|"
    "30 mins|1 hour|2 hours|3 hours|4 hours|8 hours|1 day|1 week|1 month"
).split("|")


async def history(stage: Stage, ib: Any, size: str, duration: str, **rest: Any) -> BarDataList:
    asked = {"whatToShow": "TRADES", "useRTH": True, "endDateTime": "", **rest}
    found = await ib.reqHistoricalDataAsync(
        asked.pop("contract", AAPL), barSizeSetting=size, durationStr=duration, **asked
    )
    assert isinstance(found, BarDataList)
    return found


def test_every_size_gives_bars_in_order_that_hold_their_prices() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        for size in SIZES:
            duration = "600 S" if "sec" in size else "5 D" if "day" not in size else "10 D"
            duration = "6 M" if size in {"1 week", "1 month"} else duration
            bars = await history(stage, ib, size, duration)
            assert len(bars) >= 5, size
            dates = [bar.date for bar in bars]
            assert dates == sorted(set(dates)), size
            for bar in bars:
                assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
                assert bar.volume >= 0

    play(body, prices="walk", history_paced=False)


def test_minutes_join_to_hours_and_days() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        end = {"endDateTime": "20261119 16:00:00 America/New_York"}
        (day,) = await history(stage, ib, "1 day", "1 D", **end)
        minutes = await history(stage, ib, "1 min", "1 D", **end)
        assert day.date == date(2026, 11, 19)
        assert len(minutes) == 390
        assert minutes[0].date == datetime(2026, 11, 19, 14, 30, tzinfo=UTC)
        assert (minutes[0].open, minutes[-1].close) == (day.open, day.close)
        assert max(bar.high for bar in minutes) == day.high
        assert min(bar.low for bar in minutes) == day.low
        assert abs(sum(bar.volume for bar in minutes) / day.volume - 1) < 0.01

    play(body, prices="walk")


def test_running_day_ends_now_and_dates_may_be_epochs() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        bars = await history(stage, ib, "5 mins", "1 D", formatDate=2)
        assert len(bars) == 6  # 09:30 to 10:00
        assert bars[-1].date == MORNING - timedelta(minutes=5)
        half = await history(stage, ib, "1 hour", "1 D", endDateTime="20261127-23:00:00")
        assert len(half) == 1  # the end lies ahead: now counts

    play(body, prices="walk")


def test_bid_and_ask_lie_around_trades() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        shown = [
            (await history(stage, ib, "1 day", "1 D", whatToShow=what))[0].close
            for what in ("BID", "TRADES", "ASK")
        ]
        assert shown == sorted(shown)
        assert len(set(shown)) == 3

    play(body, prices="walk")


def test_kept_up_to_date_bars_follow_the_market() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        bars = await history(stage, ib, "1 min", "300 S", keepUpToDate=True)
        count, last = len(bars), bars[-1].date
        await asyncio.sleep(61)
        assert len(bars) == count + 1
        assert bars[-1].date == last + timedelta(minutes=1)
        (fresh,) = await history(stage, ib, "1 min", "60 S")
        assert bars[-1].open == fresh.open
        ib.cancelHistoricalData(bars)
        await asyncio.sleep(61)
        assert len(bars) == count + 1
        await asyncio.sleep(0)
        ib.client.cancelHistoricalData(4711)
        await asyncio.sleep(0.1)
        assert ib.codes[-1][:2] == (4711, 366)

    play(body, MORNING + timedelta(seconds=30), prices="walk")


def test_head_time_stamp_is_where_the_walk_begins() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        found = await ib.reqHeadTimeStampAsync(AAPL, "TRADES", True, 1)
        assert found == datetime(2016, 1, 4, 14, 30)  # noqa: DTZ001  the client reads it naive
        aware = await ib.reqHeadTimeStampAsync(AAPL, "TRADES", True, 2)
        assert aware == datetime(2016, 1, 4, 14, 30, tzinfo=UTC)

    play(body, prices="walk")


def test_option_history_follows_its_underlying() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        quote = stage.sim.market.quote(stage.sim.contract("AAPL"), stage.sim.now())
        assert quote is not None
        chain = await ib.reqContractDetailsAsync(Option("AAPL", "20261218", 0, "C", "SMART"))
        near = min(chain, key=lambda c: abs(c.contract.strike - float(quote.last)))  # type: ignore[union-attr]
        bars = await history(stage, ib, "1 day", "5 D", contract=near.contract)
        assert len(bars) == 5
        assert all(0 < bar.low <= bar.high for bar in bars)

    play(body, prices="walk")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"barSizeSetting": "7 mins"}, 321),
        ({"durationStr": "1 X"}, 321),
        ({"whatToShow": "NONSENSE"}, 321),
        ({"keepUpToDate": True, "endDateTime": "20261119-16:00:00"}, 321),
        ({"endDateTime": "yesterday"}, 321),
        ({"barSizeSetting": "1 secs", "durationStr": "5 Y"}, 321),
        ({"contract": Stock("NOPE", "SMART", "USD")}, 200),
        ({"endDateTime": "20101119-16:00:00"}, 162),
    ],
)
def test_impossible_requests_are_refused(change: dict[str, Any], code: int) -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        asked: dict[str, Any] = {
            "contract": AAPL,
            "endDateTime": "",
            "durationStr": "1 D",
            "barSizeSetting": "1 hour",
            "whatToShow": "TRADES",
            "useRTH": True,
            **change,
        }
        assert list(await ib.reqHistoricalDataAsync(**asked)) == []
        assert ib.codes[-1][1] == code

    play(body, prices="walk")


def test_pacing_limits_of_history() -> None:
    pacing = Pacing()
    assert pacing.allows(0, "a", 1, 1)
    assert not pacing.allows(14, "a", 1, 1)  # the same within 15 s
    assert pacing.allows(15, "a", 1, 1)
    assert [pacing.allows(100, f"b{n}", 2, 1) for n in range(6)] == [True] * 5 + [False]
    assert pacing.allows(102.1, "c", 2, 1)
    heavy = [pacing.allows(200 + 3 * n, f"d{n}", n, 2) for n in range(30)]
    assert sum(heavy) == 26  # 8 so far, 26 x 2 more make 60 in ten minutes
    assert pacing.allows(900, "e", 1, 1)


def test_refused_pace_is_162_for_the_client() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        assert await history(stage, ib, "1 day", "1 D")
        assert list(await history(stage, ib, "1 day", "1 D")) == []
        assert ib.codes[-1][1] == 162

    play(body, prices="walk")


def test_path_through_a_session_meets_its_daily_bar() -> None:
    bar = DayBar(open=100, high=104, low=97, close=101, volume=1_000_000, previous=99)
    assert (price(bar, 0, "x"), price(bar, 1, "x")) == (100, 101)
    assert extremes(bar, 0, 1, "x") == (97, 104)
    assert volume(bar, 0, 1) == bar.volume
    parts = [volume(bar, n / 10, (n + 1) / 10) for n in range(10)]
    assert abs(sum(parts) - bar.volume) < 1
    assert parts[0] > parts[5]  # the open is busier than noon


def test_files_and_the_vendor_simulator_are_sources_too(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text(
        "Date,Open,High,Low,Close,Volume\n2026-11-19,10,12,9,11,1000\n2026-11-20,11,13,10,12,2000\n"
    )
    prices = make_prices(f"files:{tmp_path}", seed=7)
    assert prices.names == [("AAPL", "AAPL")]

    async def body(stage: Stage) -> None:
        ib = await stage.client()
        bars = await history(stage, ib, "1 day", "5 D")
        assert (bars[0].open, bars[0].close) == (10, 11)
        (ticker,) = await ib.reqTickersAsync(AAPL)
        assert ticker.close == 11
        assert 10 <= ticker.last <= 13

    play(body, prices=f"files:{tmp_path}")
    for spec in ("nonsense", "files:/nowhere", "control:x"):
        with pytest.raises(ConfigError):
            make_prices(spec, seed=7)


def test_vendor_prices_are_those_of_its_daily_series() -> None:
    from sims import ask, vendor

    prices = make_prices("market-sim", seed=7)
    assert isinstance(prices, DailyPrices)
    days = prices.days
    served = ask(
        vendor(stocks=60, start=date(2016, 1, 4)),
        "TIME_SERIES_DAILY_ADJUSTED",
        "GOPI",
        outputsize="full",
    )["Time Series (Daily)"]
    for text in ("2022-12-29", "2020-03-16"):
        bar = days.day("GOPI", date.fromisoformat(text))
        assert bar is not None
        assert float(served[text]["1. open"]) == bar.open
        assert float(served[text]["4. close"]) == bar.close


def test_walk_is_a_plausible_market() -> None:
    walk = Walk(7)
    closes = [bar.close for n in range(250) if (bar := walk.day("AAPL", _session(n))) is not None]
    moves = [b / a - 1 for a, b in pairwise(closes)]
    assert 0.005 < (sum(m * m for m in moves) / len(moves)) ** 0.5 < 0.03
    assert min(closes) > 1


def _session(n: int) -> date:
    from bft.domain import sessions

    return sessions.shift(date(2026, 1, 5), n - 250)
