"""Options through the executor, the real client and the gateway simulator."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from executors import reference, usd
from option_scenes import (
    CALL,
    PUT,
    OptionScene,
    exits,
    held,
    occ,
    option_signal,
    optioned,
    premium,
    volatilities,
)

from bft.domain import sessions
from bft.domain.orders import IntentState, Leg, OrderType
from bft.domain.trading import ExitPolicy
from bft.services.executor.chains import Chain
from bft.services.executor.reference import DayBar


def test_an_option_goes_out_at_the_mid_with_guards_on_its_premium(tmp_path: Path) -> None:
    """By hand: mid 3.15; -60 % is 1.26, up to 1.30 on the step of 0.05; +80 % is 5.67, down 5.65.

    The stop's limit lies below by 10 % or 2 steps: 1.30 - 0.13 = 1.17, down to 1.15.
    """

    async def story(scene: OptionScene) -> None:
        opened = await scene.submit(option_signal())
        assert opened.decision.allowed, opened.decision.detail
        entry, target, stop = scene.intents()
        assert (entry.order_type, entry.limit_price_usd, entry.qty) == (
            OrderType.LIMIT,
            usd("3.15"),
            10,
        )
        assert (target.order_type, target.limit_price_usd) == (OrderType.LIMIT, usd("5.65"))
        assert (stop.order_type, stop.stop_price_usd, stop.limit_price_usd) == (
            OrderType.STOP_LIMIT,
            usd("1.30"),
            usd("1.15"),
        )
        await scene.sleep(1)
        (resting,) = scene.at_broker(stop)
        assert resting.terms.trigger_method == 4
        assert len(scene.at_broker(target)) == 1
        await scene.sleep(130)  # the entry's lifetime is 120 s
        assert scene.entry().state is IntentState.CANCELLED

    optioned(tmp_path, story)


def test_facts_are_those_of_the_feed(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        opened = await scene.submit(option_signal())
        (row,) = [r for r in scene.book.rows("decisions") if r["decision_id"] == opened.decision_id]
        told = row["context"]["option"]
        assert 0.5 < float(told["delta"]) < 0.6
        assert (told["iv_observations"], told["vix"], told["lacks"]) == (60, "17", [])
        assert told["open_interest"] == 10 * told["volume"] >= 1000
        assert told["expires_at"].startswith("2026-02-20T21:00")

    optioned(tmp_path, story)


def stale() -> Chain:
    chain = volatilities()
    old = tuple((day - timedelta(days=30), v) for day, v in chain.volatilities)
    return replace(chain, volatilities=old)


@pytest.mark.parametrize(
    ("given", "reason", "detail"),
    [
        ({"vix": None}, "size", "vix (ib tells no VIX)"),
        ({"vix": 45}, "size", "VIX at 45 leaves none"),
        ({"chain": Chain(symbol="AAPL")}, "options", "iv_rank (no implied volatility of AAPL"),
        ({"chain": replace(volatilities(), unread=7)}, "options", "iv_rank (7 stored days"),
        ({"chain": stale()}, "options", "iv_rank (the newest stored volatility is of 2025-12-03"),
        ({"chain": volatilities(low="0.05", high="0.06")}, "options", "iv_rank"),
        ({"symbol": occ("C", 90)}, "options", "option_delta"),
        ({"symbol": occ("P", 95)}, "options", "option_delta"),
        ({"symbol": occ("C", 100, date(2026, 1, 9))}, "options", "option_delta"),
        ({"symbol": occ("C", "100.37")}, "symbol", "no contract fits"),
    ],
)
def test_what_is_missing_or_out_of_bounds_is_named(
    tmp_path: Path, given: dict[str, Any], reason: str, detail: str
) -> None:
    symbol = given.pop("symbol", CALL)

    async def story(scene: OptionScene) -> None:
        if "260109" in symbol:
            scene.under("106.00")
        opened = await scene.submit(option_signal(symbol))
        assert (opened.decision.reason, detail in opened.decision.detail) == (reason, True), (
            opened.decision.detail
        )
        assert scene.intents() == []

    optioned(tmp_path, story, **given)


def test_one_option_position_for_each_underlying(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        await held(scene)
        opened = await scene.submit(option_signal(PUT))
        rules = {r.rule: (str(r.verdict), r.note, r.value) for r in opened.decision.rules}
        assert rules["option_rules"][:2] == ("block", "one_per_symbol")
        assert rules["ticker_limit"][2] == 1  # counted by the underlying, as the ledger does

    optioned(tmp_path, story)


def test_few_observations_pass_as_the_rank_does_not_exist_yet(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        assert (await scene.submit(option_signal())).decision.allowed

    optioned(tmp_path, story, chain=volatilities(29, low="0.05", high="0.06"))


def test_thin_options_are_denied_by_their_volume(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        scene.sim.tick(CALL, bid="3.10", ask="3.20", last_size=5)
        opened = await scene.submit(option_signal())
        assert opened.decision.reason == "liquidity"
        assert "option volume too low" in opened.decision.detail

    optioned(tmp_path, story)


@pytest.mark.parametrize("word", ["frozen", "delayed"])
def test_a_feed_that_is_not_live_opens_nothing(tmp_path: Path, word: str) -> None:
    async def story(scene: OptionScene) -> None:
        await scene.submit(option_signal(signal_id="look", confidence=usd("0.1")))
        scene.fault(word, s=30)
        await scene.sleep(1)
        refused = await scene.submit(option_signal())
        rules = {r.rule: r.note for r in refused.decision.rules}
        assert refused.decision.reason == "stale_data"
        assert "frozen or delayed" in rules["option_rules"]

    optioned(tmp_path, story)


@pytest.mark.parametrize(
    ("symbol", "bid", "reason"),
    [
        (CALL, "92.90", "stop"),
        (CALL, "112.10", "target"),
        (PUT, "107.10", "stop"),
        (PUT, "87.80", "target"),
    ],
)
def test_levels_on_the_underlying_close_the_option(
    tmp_path: Path, symbol: str, bid: str, reason: str
) -> None:
    """7 and 12 % of the underlying's 100.01, mirrored for puts; the premium stays at 3.00."""

    async def story(scene: OptionScene) -> None:
        cover = await held(scene, symbol)
        await scene.sleep(20)
        assert exits(scene) == []
        scene.under(bid)
        await scene.wait(lambda: bool(scene.intents(Leg.EXIT)), within_s=2)
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=25)
        assert exits(scene) == [(reason, cover.open_qty)]
        await scene.wait(lambda: not list(scene.sim.exchange.books.live()), within_s=5)

    optioned(tmp_path, story)


def test_levels_that_the_order_names_lie_on_the_underlying(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        named = {"stop_price_usd": usd("98.50"), "target_price_usd": usd("104")}
        cover = await held(scene, exits=ExitPolicy(stop_frac=None), **named)
        assert cover.under is not None
        assert (cover.under.state.stop_usd, cover.under.state.target_usd) == (usd("98.5"), 104)
        assert (cover.stop_usd, cover.target_usd) == (None, None)
        scene.under("98.60")
        await scene.sleep(15)
        assert exits(scene) == []
        scene.under("98.40")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=25)
        assert [reason for reason, _ in exits(scene)] == ["stop"]

    optioned(tmp_path, story)


def test_a_named_level_on_the_wrong_side_of_the_underlying_is_denied(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        for symbol, stop in ((CALL, "101"), (PUT, "99")):
            refused = await scene.submit(option_signal(symbol, stop_price_usd=usd(stop)))
            assert refused.decision.reason == "validation"
            assert "losing side of the underlying" in refused.decision.detail

    optioned(tmp_path, story)


def test_an_underlying_that_is_silent_is_told(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        await held(scene)
        scene.sim.fault("stale", symbol="AAPL", s=200)  # asked for anew it says nothing either
        await scene.sleep(120)
        assert "QuoteStale" in scene.alerts()
        text = " ".join(e.message for e in scene.executor.desk.state.events)
        assert "no quote of AAPL, by which" in text

    optioned(tmp_path, story)


def test_a_level_reached_holds_although_the_price_comes_back(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        await held(scene)
        premium(scene, "3.10", wide="0.60")
        scene.under("92.90")
        await scene.wait(lambda: bool(scene.intents(Leg.EXIT)), within_s=2)
        scene.under("100.00")
        premium(scene, "3.10", wide="0.60")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=30)
        assert exits(scene)[-1][0] == "stop"

    optioned(tmp_path, story)


@pytest.mark.parametrize("word", ["crossed", "zero", "delayed"])
def test_bad_quotes_of_the_underlying_judge_nothing(tmp_path: Path, word: str) -> None:
    async def story(scene: OptionScene) -> None:
        await held(scene)
        scene.fault(word, symbol="AAPL", s=20)
        scene.under("92.90")
        await scene.sleep(15)
        assert exits(scene) == []
        scene.under("100.00")
        await scene.sleep(10)

    optioned(tmp_path, story)


def test_levels_hold_over_a_restart(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        cover = await held(scene)
        await scene.crash()
        await scene.start()
        await scene.rearmed()
        assert scene.executor.guard.covers[cover.entry].under == cover.under
        await scene.sleep(5)
        scene.under("92.90")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=25)

    optioned(tmp_path, story)


def test_the_guard_on_the_premium_stops_without_the_underlying(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        cover = await held(scene)
        (stop,) = scene.intents(Leg.STOP)
        premium(scene, "1.20")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=5)
        assert scene.executor.desk.state.intents[stop.intent_id].filled_qty == cover.entry_qty
        assert exits(scene) == []

    optioned(tmp_path, story)


def test_a_guard_that_was_gapped_over_is_sold_at_the_touch(tmp_path: Path) -> None:
    """The stop's limit of 1.15 is left behind by a bid of 0.80; after 10 s it is sold there."""

    async def story(scene: OptionScene) -> None:
        await held(scene)
        premium(scene, "0.80", wide="0.40")
        await scene.sleep(9)
        assert exits(scene) == []
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=5)
        (sold,) = scene.intents(Leg.EXIT)
        assert (sold.order_type, sold.limit_price_usd) == (OrderType.LIMIT, usd("0.80"))

    optioned(tmp_path, story)


EVE = date(2026, 2, 19)  # the expiry is Friday the 20th


def eve_of_expiry() -> dict[str, Any]:
    before = sessions.shift(EVE, -1)
    told = [(before - timedelta(days=n), usd("0.3")) for n in range(40, -1, -1)]
    told[0] = (told[0][0], usd("2.0"))
    chain = Chain(symbol="AAPL", asof=before, volatilities=tuple(told))
    night = replace(reference("AAPL"), gold_asof=before, forecast_asof=before)
    return {"chain": chain, "night": night}


def test_options_leave_at_the_end_of_the_session_before_their_expiry(tmp_path: Path) -> None:
    async def story(scene: OptionScene) -> None:
        at = scene.clock.now()
        made = option_signal(asof=sessions.shift(EVE, -1), created_at=at, decided_at=at)
        opened = await scene.submit(made)
        assert opened.decision.allowed, opened.decision.detail
        limit = scene.entry().limit_price_usd or Decimal(0)
        premium(scene, limit - usd("0.05"))
        await scene.wait(lambda: bool(scene.executor.desk.state.positions), within_s=5)
        ends = sessions.close_at(EVE) - timedelta(minutes=10)
        await scene.sleep((ends - scene.clock.now()).total_seconds() - 5)
        assert exits(scene) == []
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=35)
        assert [reason for reason, _ in exits(scene)] == ["flatten"]

    at = sessions.close_at(EVE) - timedelta(minutes=11, seconds=30)
    optioned(tmp_path, story, at=at, **eve_of_expiry())


def day_bar(day: date, low: object, high: object, close: object) -> DayBar:
    return DayBar(
        session=day,
        open_usd=usd(close),
        high_usd=usd(high),
        low_usd=usd(low),
        close_usd=usd(close),
    )


def test_days_of_the_underlying_move_the_trail_and_count_the_hold(tmp_path: Path) -> None:
    """By hand: closed at 110, trail 5 % below: 104.50; two sessions are the longest hold."""

    async def story(scene: OptionScene) -> None:
        policy = ExitPolicy(
            stop_frac=0.07, target_frac=None, trail_frac=0.05, max_hold_days=2, cooldown_days=0
        )
        cover = await held(scene, exits=policy)
        bars: tuple[DayBar, ...] = ()
        for hours, level, days in ((8, "104.50", 1), (24, "104.50", 2)):
            await scene.crash()
            await scene.sleep(timedelta(hours=hours).total_seconds())
            day = sessions.last_closed(scene.clock.now())
            bars = (*bars, day_bar(day, 99, 111 if days == 1 else 110, 110))
            scene.night = replace(scene.night, bars={"AAPL": bars})
            await scene.start()
            await scene.rearmed()
            await scene.sleep(3)
            after = scene.executor.guard.covers[cover.entry]
            assert after.under is not None
            assert after.state is not None
            assert (after.under.state.trail_usd, after.under.state.held_days) == (usd(level), days)
            assert after.state.scheduled == (None if days == 1 else "time")
        assert exits(scene) == []

    optioned(tmp_path, story, calm=False)


@pytest.mark.parametrize("later_s", [0.2, 0.5, 0.8])
def test_level_that_the_underlying_touched_for_a_moment_closes(
    tmp_path: Path, later_s: float
) -> None:
    """As a stop in the underlying's own market would: not only what each second finds there."""

    async def story(scene: OptionScene) -> None:
        await held(scene)
        await scene.sleep(later_s)
        scene.under("92.00")
        await scene.sleep(0.15)
        scene.under("100.00")
        premium(scene, "3.00")
        await scene.wait(lambda: scene.executor.guard.covers == {}, within_s=30)
        assert [reason for reason, _ in exits(scene)] == ["stop"]

    optioned(tmp_path, story)
