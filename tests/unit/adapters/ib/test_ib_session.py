"""States of the session with the gateway (executor specification, section 7.1)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from ib_gateways import LIMIT, Desk, now_s, play

from bft.domain.broker import ErrorKind, ErrorReport, SessionNote, SessionReport, SessionState
from bft.domain.errors import UnavailableError
from bft.domain.orders import Side

S = SessionState
UP = [S.HANDSHAKE, S.SYNCING, S.RECONCILING, S.ARMED]


def test_session_rises_and_comes_back_by_itself(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert desk.states == UP
        desk.reports.clear()
        began_s = now_s()
        desk.cut()
        await desk.rearm()
        assert desk.states == [S.DOWN, *UP]
        assert now_s() - began_s < 10
        assert (desk.broker.epoch, desk.epochs) == (2, 2)
        assert [r.epoch for r in desk.of(SessionReport)] == [1, 1, 2, 2, 2]

    play(story, tmp_path)


def test_reconnects_back_off_with_jitter_and_never_give_up(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        tries: list[float] = []

        async def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tries.append(now_s())
            writer.close()

        await desk.venue.sim.stop()
        server = await asyncio.start_server(slam, "127.0.0.1", desk.venue.port)
        await asyncio.sleep(200)
        waits = [b - a for a, b in pairwise(tries)]
        for wait_s, base_s in zip(waits, [2, 4, 8, 15, 30, 30, 30], strict=False):
            assert 0.8 * base_s <= wait_s <= 1.2 * base_s
        assert len({round(w, 3) for w in waits[4:]}) > 1  # jitter
        server.close()
        await server.wait_closed()
        await desk.venue.serve(desk.venue.port)
        desk.reports.clear()
        await desk.rearm()
        assert desk.broker.state is S.ARMED

    play(story, tmp_path)


def test_connection_refused_is_told_once_and_tried_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        await desk.venue.sim.stop()
        await asyncio.sleep(40)
        assert set(desk.states) == {S.DOWN}
        told = [r.reason for r in desk.of(SessionReport)]
        assert len(told) == len(set(told)) == 2  # closed, then refused
        with pytest.raises(UnavailableError, match="DOWN"):
            desk.broker.cancel(1)
        await desk.venue.serve(desk.venue.port)
        await desk.rearm()

    play(story, tmp_path)


def test_client_id_in_use_is_tried_every_5_s_and_told_after_60(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        other = desk.venue.broker()
        seat = Desk(desk.venue, desk.clock)
        seat.broker = other
        await other.start(seat.hooks())
        said = await seat.noted(SessionNote.CLIENT_ID_IN_USE, 120)
        assert said.code == 326
        assert 60 <= now_s() < 75
        tries = [r for r in seat.of(ErrorReport) if r.code == 326]
        assert len(tries) == 13  # at 0, 5, .. 60 s
        assert other.client_id == 10
        await desk.broker.stop()
        await seat.rearm()
        assert other.state is S.ARMED
        await other.stop()

    play(story, tmp_path)


def test_reader_takes_the_next_id_of_its_range(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        first, second = desk.venue.broker(), desk.venue.broker()
        for reader in (first, second):
            seat = Desk(desk.venue, desk.clock)
            await reader.start(seat.hooks())
            seat.broker = reader
            await seat.expect(SessionReport, lambda r: r.state is S.RECONCILING)
        assert (first.client_id, second.client_id) == (29, 20)
        for reader in (first, second):
            await reader.stop()

    play(story, tmp_path, start=False, settings={"client_id": 29})


def test_account_that_is_not_managed_ends_the_session(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(AssertionError):
            await desk.start()
        said = await desk.noted(SessionNote.WRONG_ACCOUNT)
        assert said.state is S.DOWN
        assert "DU0000001, DU00000011" in said.reason
        assert S.SYNCING not in desk.states
        assert desk.epochs == 0

    accounts = ("DU0000001", "DU00000011")
    settings = {"account": "DU000000"}
    play(story, tmp_path, start=False, settings=settings, accounts=accounts)


def test_accounts_reordered_keep_the_configured_one_and_lost_ends(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        desk.fault("accounts", list=["DU0000002", "DU0000001"])
        await asyncio.sleep(1)
        assert desk.states == []
        assert (await desk.broker.snapshot()).account == "DU0000001"
        desk.fault("accounts", list=["DU0000002"])
        await desk.noted(SessionNote.WRONG_ACCOUNT)

    play(story, tmp_path)


def test_half_open_socket_is_noticed_within_30_s(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await asyncio.sleep(11)  # just after a probe, the worst moment
        desk.reports.clear()
        began_s = now_s()
        desk.fault("half_open")
        await desk.session(S.HALF_OPEN)
        assert now_s() - began_s <= 30
        await desk.rearm()
        assert desk.states[:3] == [S.HALF_OPEN, S.DOWN, S.HANDSHAKE]
        assert desk.states[-3:] == UP[1:]  # meanwhile the gateway held the client id: 326

    play(story, tmp_path)


@pytest.mark.parametrize("code", [1100, 2110])
def test_lost_connectivity_lets_only_cancels_out(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        fresh = (await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}]))[0]
        desk.fault("code", code=code)
        lost = await desk.session(S.LOST)
        assert lost.code == code
        with pytest.raises(UnavailableError, match="LOST"):
            desk.broker.place([fresh])
        with pytest.raises(UnavailableError):
            desk.broker.amend(order)
        with pytest.raises(UnavailableError):
            await desk.broker.snapshot()
        desk.broker.resync("asked")  # waits for connectivity
        desk.broker.arm()
        assert desk.broker.state is S.LOST
        desk.broker.cancel(order.order_id)
        await desk.status(order, "Cancelled")
        desk.reports.clear()
        desk.fault("code", code=1102)
        await desk.rearm()
        assert desk.states == [S.SYNCING, S.RECONCILING, S.ARMED]
        assert desk.broker.epoch == 1

    play(story, tmp_path)


@pytest.mark.parametrize("code", [2103, 2105, 2157])
def test_broken_farm_forbids_openings_until_it_is_back(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        desk.fault("code", code=code)
        await desk.session(S.RECONCILING)
        desk.broker.arm()
        assert desk.broker.state is S.RECONCILING
        desk.fault("code", code={2103: 2104, 2105: 2106, 2157: 2158}[code])
        await desk.session(S.ARMED)
        assert desk.states == [S.RECONCILING, S.ARMED]

    play(story, tmp_path)


@pytest.mark.parametrize("how", ["fields", "length"])
def test_malformed_message_reconnects(tmp_path: Path, how: str) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.reports.clear()
        desk.fault("corrupt", when={"msg": "openOrder"}, how=how)
        with pytest.raises(UnavailableError):
            await desk.broker.open_orders()
        down = await desk.session(S.DOWN)
        assert "malformed" in down.reason
        await desk.rearm()
        assert [o.order_ref for o in await desk.broker.open_orders()] == [order.order_ref]

    play(story, tmp_path)


def test_handshake_that_never_ends_is_given_up_after_20_s(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        desk.fault("auth_hang", s=600, when={"msg": "startApi"})
        desk.cut()
        await desk.session(S.HANDSHAKE)
        began_s = now_s()
        desk.reports.clear()
        await desk.session(S.DOWN)
        assert 19 < now_s() - began_s < 21
        await desk.rearm()

    play(story, tmp_path)


def test_missing_end_marker_keeps_the_session_syncing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        desk.fault("no_end", msg="positionEnd")
        desk.broker.resync("test")
        await asyncio.sleep(9)
        assert desk.broker.state is S.SYNCING
        await desk.rearm()
        assert desk.broker.state is S.ARMED
        assert S.DOWN in desk.states  # the slot stayed unanswered twice: a new connection

    play(story, tmp_path)


def test_rolled_back_ids_are_told_and_the_floor_is_used(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        first = await desk.resting()
        desk.floor, desk.acknowledged = first.order_id + 50, first.order_id
        desk.reports.clear()
        desk.fault("id_rollback", n=first.order_id)
        desk.cut()
        said = await desk.noted(SessionNote.ID_ROLLBACK)
        assert (said.state, said.epoch) == (S.SYNCING, 2)
        await desk.rearm()
        assert desk.broker.reserve_ids(2) == [desk.floor, desk.floor + 1]
        assert [o.order_ref for o in await desk.broker.open_orders()] == [first.order_ref]

    play(story, tmp_path)


def test_ids_that_were_only_reserved_are_no_rollback(tmp_path: Path) -> None:
    """The gateway counts what it saw; ids of orders that lapsed are a gap, still never used."""

    async def story(desk: Desk) -> None:
        first = await desk.resting()
        desk.floor, desk.acknowledged = first.order_id + 50, first.order_id
        desk.reports.clear()
        desk.cut()
        await desk.rearm()
        assert [told.note for told in desk.of(SessionReport) if told.note] == []
        assert desk.broker.reserve_ids(1) == [first.order_id + 50]

    play(story, tmp_path)


RESTART = datetime(2026, 1, 6, 4, 45, tzinfo=UTC)  # 23:45 New York


def test_restart_window_drains_and_ends_in_another_sync(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.at(RESTART - timedelta(minutes=5, seconds=1))
        assert desk.broker.state is S.ARMED
        await desk.at(RESTART - timedelta(minutes=4, seconds=59))
        assert desk.broker.state is S.DRAINING
        assert desk.broker.state.may_close
        desk.reports.clear()
        desk.fault("restart", s=60)
        await desk.rearm(120)
        assert desk.broker.state is S.DRAINING
        await desk.at(RESTART + timedelta(minutes=15, seconds=5))
        assert desk.broker.state is S.RECONCILING
        desk.broker.arm()
        assert desk.broker.state is S.ARMED

    play(story, tmp_path, at=RESTART - timedelta(minutes=7), reset_at=None)


LOGIN = datetime(2026, 1, 6, 16, 0, tzinfo=UTC)  # Tuesday 11:00 New York
LOGIN_SETTINGS = {"login_at": (1, time(11, 0)), "restart_at": None}


def test_weekly_login_is_announced_a_day_before(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.at(LOGIN - timedelta(hours=24, seconds=1))
        assert not [r for r in desk.of(SessionReport) if r.note]
        await desk.at(LOGIN - timedelta(hours=23, minutes=40))
        (said,) = [r for r in desk.of(SessionReport) if r.note]
        assert (said.note, said.state) == (SessionNote.LOGIN_TOMORROW, S.ARMED)

    at = LOGIN - timedelta(hours=24, minutes=5)
    play(story, tmp_path, settings=LOGIN_SETTINGS, at=at, reset_at=None)


def test_approval_is_asked_for_until_the_session_is_back(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.venue.sim.stop()
        await desk.at(LOGIN + timedelta(minutes=50))
        asked = [r for r in desk.of(SessionReport) if r.note is SessionNote.APPROVAL_NEEDED]
        assert len(asked) == 4  # at 0, 15, 30, 45 min
        await desk.venue.serve(desk.venue.port)
        desk.reports.clear()
        await desk.rearm()
        await asyncio.sleep(1200)
        assert not [r for r in desk.of(SessionReport) if r.note]

    at = LOGIN - timedelta(minutes=1)
    play(story, tmp_path, settings=LOGIN_SETTINGS, at=at, reset_at=None)


def test_stop_lets_the_last_bytes_out(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = (await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}]))[0]
        desk.broker.place([order])
        await desk.broker.stop()
        assert desk.broker.state is S.DOWN
        assert [o.terms.order_ref for o in desk.venue.sim.exchange.books.live()] == [
            order.order_ref
        ]

    play(story, tmp_path)


def test_connection_codes_end_the_connection(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        desk.venue.say(4, 2, -1, 1300, "socket port has been reset", "")
        down = await desk.session(S.DOWN)
        assert down.code == 1300
        assert desk.of(ErrorReport)[0].kind is ErrorKind.CONNECTION
        await desk.rearm()

    play(story, tmp_path)


def test_connection_that_cannot_be_counted_is_given_up_and_tried_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        asked: list[int] = []

        def next_epoch() -> int:
            asked.append(1)
            if len(asked) < 3:
                raise UnavailableError("state is not writable")
            return len(asked)

        await desk.broker.start(replace(desk.hooks(), next_epoch=next_epoch))
        down = await desk.session(S.DOWN)
        assert "state is not writable" in down.reason
        await desk.rearm()
        assert desk.broker.epoch == 3

    play(story, tmp_path, start=False)
