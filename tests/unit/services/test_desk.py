"""What the desk notes: memory and book hold the same, or the process ends."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from books import AT, intent
from desk_cases import case
from executors import World, armed, reference, usd
from virtual_time import run

from bft.domain.alerts import OVER_AFTER
from bft.domain.errors import DataError, RefusedError
from bft.domain.journal import Entry
from bft.domain.orders import Contract
from bft.ledger import entries
from bft.ledger.records import Halt
from bft.services.executor.reference import Split


def told(world: World, name: str) -> Entry:
    return entries.event(world.clock.now(), kind="SYSTEM", severity="INFO", name=name, message="")


def misfit(world: World) -> Entry:
    """An entry that no state takes: nobody set that halt."""
    return entries.resume(world.clock.now(), halt_id="none", by="ada")


def in_one_note(world: World) -> None:
    world.executor.desk.note(told(world, "half"), misfit(world))


def in_one_piece(world: World) -> None:
    with world.executor.desk.together():
        world.executor.desk.note(told(world, "half"))
        world.executor.desk.note(misfit(world))


def by_a_bug_after_it(world: World) -> None:
    with world.executor.desk.together():
        world.executor.desk.note(told(world, "half"))
        raise KeyError("a bug")


def play(folder: Path, story: Callable[[World], Awaitable[None]]) -> None:
    run(armed(folder, story))


def stored(world: World) -> set[str]:
    return {row["name"] for row in world.book.rows("events")}


@pytest.mark.parametrize("half", [in_one_note, in_one_piece, by_a_bug_after_it])
def test_what_fails_half_way_is_never_written_and_ends_the_process(
    tmp_path: Path, half: Callable[[World], None]
) -> None:
    async def story(world: World) -> None:
        with pytest.raises((DataError, KeyError)):
            half(world)
        with pytest.raises(RefusedError, match="nothing is written any more"):
            await world.executor.desk.note(told(world, "later"))
        assert "a part of what belongs together" in await world.executor.ended
        assert world.executor.desk.may_open() is not None
        assert stored(world).isdisjoint({"half", "later"})
        await world.crash()
        await world.start()  # from what is on disk
        assert {e.name for e in world.executor.desk.state.events}.isdisjoint({"half", "later"})

    play(tmp_path, story)


def test_what_does_not_fit_at_all_is_refused_and_the_process_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = world.executor.desk
        with pytest.raises(DataError, match="no halt none"):
            desk.note(misfit(world))
        with pytest.raises(DataError, match="no halt none"), desk.together():
            desk.note(misfit(world))
        await desk.note(told(world, "later"))
        assert "later" in stored(world)
        assert not world.executor.ended.done()

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("key", "fenced"), [("AAPL", True), ("AAPL260116C00200000", True), ("MSFT", False)]
)
def test_fence_holds_for_a_contract_by_its_own_name_and_its_root(key: str, *, fenced: bool) -> None:
    """An admin halts an option, or all on its share, while an order for it is committed."""
    call = Contract(
        con_id=8,
        symbol="AAPL",
        sec_type="OPT",
        expiry=date(2026, 1, 16),
        strike_usd=usd(200),
        right="C",
    )
    halt = Halt(
        halt_id="h",
        scope="symbol",
        key=key,
        rule="manual",
        reason="news",
        set_by="ada",
        set_at=AT,
    )
    desk = case(entries.halt(halt)).desk
    assert bool(desk.halted(intent(contract=call))) is fenced


@pytest.mark.parametrize(
    ("key", "fenced"),
    [("equities+paper-small", True), ("paper-small", False), ("options+equities", True)],
)
def test_fence_holds_for_a_profile_of_a_combination(key: str, *, fenced: bool) -> None:
    """What a server with several profiles halted holds under the one it runs now (F19)."""
    halt = Halt(
        halt_id="h",
        scope="profile",
        key=key,
        rule="manual",
        reason="news",
        set_by="ada",
        set_at=AT,
    )
    desk = case(entries.halt(halt)).desk
    assert bool(desk.halted(intent())) is fenced
    assert desk.halts_all(halt) is fenced


def test_clock_set_back_silences_no_page() -> None:
    """F6: an hour back by NTP; what goes on is told again 300 s later by the timer."""
    ran_s = [0.0]
    held = case(timer=lambda: ran_s[0])
    held.desk.alert("ProtectionMissing", "A", "5 of 5 units have no live stop")
    held.wait(hours=-1)
    sent = []
    for _ in range(12):
        ran_s[0] += 60
        held.wait(minutes=1)
        held.desk.alert("ProtectionMissing", "A", "5 of 5 units have no live stop")
        sent.append(sum(len(page.outbox) for page in held.writer.pages))
    assert sent == [1] * 4 + [2] * 5 + [3] * 3


def test_warnings_hold_no_page_back() -> None:
    held = case()
    for number in range(60):
        held.desk.alert("QuoteStale", f"S{number}", "no quote")
        held.wait(seconds=30)
    held.desk.alert("ProtectionMissing", "A", "5 of 5 units have no live stop")
    mails = [mail for page in held.writer.pages for mail in page.outbox]
    assert [mail["name"] for mail in mails].count("QuoteStale") == 50
    assert mails[-1]["name"] == "ProtectionMissing"


def test_alert_that_is_one_too_many_to_be_sent_is_kept_for_who_looks() -> None:
    """Ten quotes are stale for two hours: 50 mails an hour, and no gap in which it seems over."""
    held, gap = case(), timedelta(0)
    for _ in range(2 * 60):
        for number in range(10):
            held.desk.alert("QuoteStale", f"S{number}", "no quote")
        gap = max(gap, held.clock.at - held.told("alert")[-1].at)
        held.wait(minutes=1)
    assert gap < OVER_AFTER
    assert len(held.told("alert")) < 2 * 12 * 10  # of what is not sent one is kept, not each
    assert sum(len(page.outbox) for page in held.writer.pages) == 100


@pytest.mark.parametrize("split", [False, True])
def test_close_of_a_renamed_share_is_that_of_its_new_name(*, split: bool) -> None:
    """Held as AAPL, which is APPL in the night's tables; after a split it is of other units."""
    night = replace(reference("APPL", close=80), renames={"AAPL": "APPL"})
    desk = case(reference=night).desk
    if split:
        told = Split(symbol="APPL", ex_date=desk.trading_day, ratio=usd(4))
        desk.reference = replace(night, splits=(told,))
    close_usd = desk.close_usd(Contract(con_id=3, symbol="AAPL"))
    assert close_usd == (None if split else 80)
