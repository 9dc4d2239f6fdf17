"""One effect per key. Source: executor specification, section 1.3."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from api_world import Api, armed, order, signal
from executors import OPEN
from scenes import Scene
from virtual_time import run

from bft.domain.errors import RefusedError
from bft.domain.orders import Leg
from bft.ports import Claim, Page
from bft.services.executor.api.idempotency import REMEMBERED, Answer, Asking, Keys
from bft.services.executor.api.problems import Problem
from bft.services.executor.opening import KeyClaim
from bft.services.executor.writer import GROUP, inline

KEY = {"Idempotency-Key": "k-1"}


def test_same_key_and_body_is_replayed(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        first = await api.order(headers=KEY)
        again = await api.order(headers=KEY)
        assert (first.status_code, again.status_code) == (201, 200)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json()
        assert len(api.world.intents(Leg.ENTRY)) == 1

    armed(tmp_path, then)


def test_same_key_with_another_body_conflicts(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order(headers=KEY)
        other = await api.order(headers=KEY, quantity=11)
        assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")

    armed(tmp_path, then)


def test_numbers_written_otherwise_are_the_same_body(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order(headers=KEY, stop_price=95)
        again = await api.order(headers=KEY, stop_price=95.0)
        assert again.status_code == 200

    armed(tmp_path, then)


def test_many_at_once_place_one_order(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await asyncio.gather(*(api.order(headers=KEY) for _ in range(20)))
        assert sorted(m.status_code for m in made) == [200] * 19 + [201]
        assert len({m.json()["id"] for m in made}) == 1
        assert len(api.world.intents(Leg.ENTRY)) == 1

    armed(tmp_path, then)


def test_signal_id_is_the_key_where_no_header_is(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        body = signal(signal_id="s-1")
        first = await api.ask("POST", "/v1/signal", body)
        again = await api.ask("POST", "/v1/signal", body)
        assert first.headers["idempotency-key"] == "s-1"
        assert again.headers["idempotency-replayed"] == "true"

    armed(tmp_path, then)


def test_equal_order_without_key_within_ten_seconds_is_a_duplicate(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await api.order()).status_code == 201
        twin = await api.order()
        assert (twin.status_code, twin.json()["error"]) == (409, "duplicate")
        await api.world.sleep(10.5)
        api.world.price("AAPL", "100.00")
        later = await api.order()
        assert later.json().get("error") != "duplicate", later.text

    armed(tmp_path, then)


def test_denial_is_kept_unless_it_may_pass(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        bad = await api.order(headers=KEY, confidence=0.1)
        again = await api.order(headers=KEY, confidence=0.1)
        assert (bad.status_code, again.status_code) == (400, 400)
        assert again.headers["idempotency-replayed"] == "true"
        far = {"Idempotency-Key": "k-2"}
        first = await api.order(headers=far, price=150, stop_price=140, target_price=170)
        assert first.json()["error"] == "price_collar"
        api.world.price("AAPL", "149.98")
        passed = await api.order(headers=far, price=150, stop_price=140, target_price=170)
        assert "idempotency-replayed" not in passed.headers

    armed(tmp_path, then)


def test_answer_survives_a_restart(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        first = await api.order(headers=KEY)
        await api.service.keys.drain()
        await api.world.stop()
        await api.up()
        await api.service.keys.read()
        await api.world.until_armed()
        again = await api.order(headers=KEY)
        assert (again.status_code, again.json()) == (200, first.json())

    armed(tmp_path, then)


def test_claim_without_answer_is_answered_from_its_order(tmp_path: Path) -> None:
    """Killed between the commit and the answer: the order is told, and not placed again."""

    async def then(api: Api) -> None:
        first = await api.order(headers=KEY)
        api.world.executor.desk.writer.end(RefusedError("killed"))
        await api.world.crash()
        await api.up()
        await api.world.until_armed()
        again = await api.order(headers=KEY)
        assert again.status_code == 200, again.text
        assert again.json()["id"] == first.json()["id"]
        assert len(api.world.intents(Leg.ENTRY)) == 1

    armed(tmp_path, then)


def test_second_call_waits_for_the_first_but_not_for_ever() -> None:
    class Book:
        def claim(self, _key: str) -> None:
            return None

    stored: list[Page] = []

    def submit(page: Page) -> asyncio.Future[None]:
        stored.append(page)
        return done()

    async def main() -> None:
        keys, release = Keys(Book(), submit, inline), asyncio.Event()  # type: ignore[arg-type]
        asking = Asking(key="k", subject="ada", request_hash="h", given=True)

        async def slow(_claim: KeyClaim | None) -> Answer:
            await release.wait()
            return Answer(status=201, body={"id": "x"})

        first = asyncio.create_task(keys.answer(asking, slow, recall))
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        try:
            await keys.answer(asking, slow, recall)
        except Problem as problem:
            told = (problem.status, problem.reason.value, problem.headers)
        assert told == (409, "in_progress", {"Retry-After": "1"})
        assert asyncio.get_running_loop().time() - began == 5.0
        release.set()
        assert (await first).status == 201
        await keys.drain()
        assert [told.body for page in stored for told in page.answers] == [{"id": "x"}]

    run(main())


class Shelf:
    """Claims of a book; counts who looks one up."""

    def __init__(self, *keys: str) -> None:
        self.keys, self.asked = list(keys), list[str]()

    def claimed(self, *, most: int) -> list[str] | None:
        return self.keys if len(self.keys) <= most else None

    def claim(self, key: str) -> Claim | None:
        self.asked.append(key)
        return claim(key) if key in self.keys else None


def claim(key: str) -> Claim:
    return Claim(key=key, subject="ada", request_hash="h", at=OPEN, status=201, body={"id": "x"})


@pytest.mark.parametrize(("count", "asked"), [(1, ["old", "new"]), (REMEMBERED + 1, None)])
def test_only_keys_that_may_be_claimed_are_looked_up(count: int, asked: list[str] | None) -> None:
    shelf = Shelf("old", *(f"k{n}" for n in range(1, count)))

    async def main() -> None:
        keys = Keys(shelf, lambda _: done(), inline)  # type: ignore[arg-type]
        await keys.read()
        told = []
        for key in ("new", "old", "new", "unused"):

            async def act(_claim: KeyClaim | None, key: str = key) -> Answer:
                shelf.keys.append(key)
                return Answer(status=202, body={"id": key})

            asking = Asking(key=key, subject="ada", request_hash="h", given=True)
            told.append((await keys.answer(asking, act, recall)).body["id"])
            await asyncio.sleep(0)
        assert told == ["new", "x", "x", "unused"]
        assert shelf.asked == (asked or ["new", "old", "new", "unused"])

    run(main())


async def recall(_name: str) -> Answer:
    raise AssertionError


def done() -> asyncio.Future[None]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def test_header_that_is_no_key_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("POST", "/v1/orders", order(), headers={"Idempotency-Key": "x" * 256})
        assert made.status_code == 422

    armed(tmp_path, then)


def test_part_that_was_answered_by_nobody_is_not_closed_twice(tmp_path: Path) -> None:
    """Killed before the answer was kept: the same key finds the exit, and starts no other."""

    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 10)
        part = {"headers": KEY, "side": "SELL", "quantity": 4, "price": None}
        first = await api.order(**part)
        api.world.executor.desk.writer.end(RefusedError("killed"))
        await api.world.crash()
        await api.up()
        await api.world.until_armed()
        api.world.price("AAPL", "100.00")
        again = await api.order(**part)
        assert (again.status_code, again.json()["state"]) == (202, "CLOSING"), again.text
        assert again.json()["signal_id"] == first.json()["signal_id"]
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 6)
        await api.world.sleep(15)
        assert api.world.qty() == 6

    armed(tmp_path, then)


def test_backfill_sent_again_while_the_disk_is_full_is_booked_once(tmp_path: Path) -> None:
    """Twice under one key, both waiting for the disk: the book would refuse the second claim."""
    late = {"entered_at": (OPEN - timedelta(hours=3)).isoformat(), "headers": KEY}

    async def then(api: Api) -> None:
        gate = api.world.gate  # type: ignore[attr-defined]
        gate.disk = "disk is full"
        for _ in range(3):
            made = await api.order(**late)
            assert made.status_code in {202, 409, 503}, made.text
        gate.disk = None
        await api.world.sleep(2)
        assert not api.world.executor.ended.done()
        assert (await api.order(**late)).status_code in {200, 201, 202}
        assert len(api.world.book.rows("trades")) == 1


def test_exit_and_its_key_reach_the_disk_together(tmp_path: Path) -> None:
    """A backlog that ends between the two: the exit without its key would be taken twice."""

    async def then(api: Api) -> None:
        scene, part = api.world, {"headers": KEY, "side": "SELL", "quantity": 4, "price": None}
        assert isinstance(scene, Scene)
        await api.order()
        await scene.wait(lambda: scene.protected() == scene.qty() == 10)
        desk = scene.executor.desk
        await desk.writer.flush()
        scene.gate.disk = "database or disk is full"
        for number in range(GROUP - 1):
            desk.event("SYSTEM", "INFO", "busy", str(number))
        asked = asyncio.create_task(api.order(**part))
        await scene.sleep(0.2)
        scene.gate.free_commits = 1
        await scene.sleep(1)
        await scene.crash()
        asked.cancel()
        await api.up()
        await scene.until_armed()
        scene.price("AAPL", "100.00")
        again = await api.order(**part)
        assert (again.status_code, again.json()["state"]) == (202, "CLOSING"), again.text
        await scene.wait(lambda: scene.protected() == scene.qty() == 6)
        await scene.sleep(15)
        assert scene.qty() == 6

    armed(tmp_path, then, kind=Scene)
