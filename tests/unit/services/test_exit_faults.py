"""A fault in the exits of one entry: told, and no other's; signals that would make one."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from api_world import Api, armed
from api_world import signal as body
from executors import OPEN, signal, usd
from scenes import Scene, bought, papered

from bft.domain.exit_bounds import MOST_COOLDOWN_DAYS, MOST_COOLDOWN_S
from bft.domain.orders import IntentState, Leg
from bft.domain.trading import ExitPolicy
from bft.services.executor.closing import Selection
from bft.services.executor.cooldowns import rests_until
from bft.services.executor.protection import is_live

START = OPEN.replace(tzinfo=None)


def test_signal_with_a_cooldown_beyond_the_calendar_is_denied(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        for name, value in (("cooldown_days", 10_000), ("cooldown_s", 10**15)):
            sent = body(stop_price=None, exits={"stop_frac": 0.07, name: value})
            told = (await api.ask("POST", "/v1/signal", sent)).json()
            assert (told["error"], told["rule"]) == ("validation", 8)
            assert told["message"].startswith(f"exits: {name} {value} is not 0 to ")

    armed(tmp_path, story)


def test_field_of_a_policy_that_is_no_number_is_refused(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        for name in ("min_hold_days", "activation_frac", "cooldown_days"):
            sent = body(exits={"stop_frac": 0.07, name: None})
            assert (await api.ask("POST", "/v1/signal", sent)).status_code == 422

    armed(tmp_path, story)


def test_cooldown_of_an_older_process_ends_within_the_calendar() -> None:
    most = rests_until(ExitPolicy(cooldown_days=MOST_COOLDOWN_DAYS), OPEN)
    assert rests_until(ExitPolicy(cooldown_days=10_000), OPEN) == most
    assert rests_until(ExitPolicy(cooldown_days=-100_000), OPEN) == OPEN
    long = rests_until(ExitPolicy(cooldown_days=0, cooldown_s=10**15), OPEN)
    assert (long - OPEN).total_seconds() == MOST_COOLDOWN_S
    last = OPEN.replace(year=2036, month=12, day=30)
    assert rests_until(ExitPolicy(cooldown_days=5), last).date() == date(2036, 12, 31)


def test_fault_of_one_cover_keeps_no_other_from_leaving(tmp_path: Path) -> None:
    """Nothing can be reckoned with an instant without a zone; the other is closed all the same."""

    async def story(scene: Scene) -> None:
        scene.price("MSFT", "100.00")
        first, other = await bought(scene), await bought(scene, symbol="MSFT")
        guard = scene.executor.guard
        sound = guard.covers[first.intent_id]
        assert sound.state is not None
        wrong = replace(sound, state=replace(sound.state, flatten_at=START))
        guard.covers[first.intent_id] = wrong
        scene.executor.closing.close(Selection(symbols=("MSFT",)))
        await scene.wait(lambda: scene.qty("MSFT") == 0, within_s=5)
        assert scene.intents(Leg.ENTRY)[1].intent_id == other.intent_id
        stops = [leg for leg in scene.intents(Leg.STOP) if leg.parent_id == first.intent_id]
        assert [is_live(leg) for leg in stops] == [True]
        assert scene.qty("AAPL") == stops[0].remaining_qty
        assert "ExitFault" in scene.alerts()
        guard.covers[first.intent_id] = sound

    papered(tmp_path, story)


def test_fill_that_cannot_be_counted_keeps_its_resting_stop(tmp_path: Path) -> None:
    """Its units are no excess to be closed; the stop that left with the entry protects them."""

    async def story(scene: Scene) -> None:
        guard = scene.executor.guard
        await scene.submit(signal(limit_price_usd=usd("99.50"), exits=ExitPolicy(stop_frac=0.07)))
        entry = scene.entry()
        planned = guard.covers[entry.intent_id]
        guard.put(replace(planned, policy=replace(planned.policy, stop_frac=1.5)))
        scene.price("AAPL", "99.40")
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=5)
        await scene.sleep(10)
        assert (scene.qty(), scene.protected()) == (entry.qty, entry.qty)
        assert "ExitFault" in scene.alerts()
        assert "Overfill" not in scene.alerts()
        scene.price("AAPL", "90.00")
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        await scene.sleep(5)
        assert [i for i in scene.intents() if not i.state.terminal] == []
        assert not scene.executor.ended.done()

    papered(tmp_path, story, calm=False)
