"""What is said again, under another key, by another's name, or against itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, order, signal

from bft.domain.encoding import decode
from bft.domain.orders import Leg, OrderRequest
from bft.ledger import entries
from bft.services.executor.api.orders import row_key

EXIT = {"symbol": "AAPL", "side": "SELL", "quantity": 10, "kind": "exit", "signal_id": "x1"}


async def exited(api: Api, key: str, **changes: Any) -> Any:
    headers = {"Idempotency-Key": key}
    return await api.ask("POST", "/v1/signal", EXIT | changes, headers=headers)


def test_one_exit_per_signal_under_whatever_key(tmp_path: Path) -> None:
    """40 held, 10 leave; a new process knows it as well, and another signal passes."""

    async def then(api: Api) -> None:
        await api.order(quantity=40)
        await api.world.sleep(2)
        assert (await exited(api, "a")).status_code == 202
        await api.world.sleep(3)
        again = await exited(api, "b")
        assert (again.status_code, again.json()["error"]) == (409, "duplicate")
        assert (await exited(api, "a")).headers["Idempotency-Replayed"] == "true"
        await api.service.keys.drain()
        await api.world.stop()
        await api.up()
        await api.service.keys.read()
        await api.world.until_armed()
        assert (await exited(api, "c")).status_code == 409
        api.world.price("AAPL", "100.00")
        assert (await exited(api, "d", signal_id="x2")).status_code == 202
        await api.world.sleep(3)
        assert api.world.qty() == 20

    armed(tmp_path, then)


def test_exit_that_found_nothing_keeps_no_later_one_back(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await exited(api, "a")).json()["state"] == "NOTHING_HELD"
        await api.order()
        await api.world.sleep(2)
        assert (await exited(api, "b")).json()["state"] == "CLOSING"
        await api.world.sleep(3)
        assert api.world.qty() == 0

    armed(tmp_path, then)


def test_row_of_an_older_version_keeps_no_exit_back(tmp_path: Path) -> None:
    """There each exit was noted by its signal's name, also one that found nothing."""

    async def then(api: Api) -> None:
        desk = api.service.desk
        await exited(api, "a")
        (row,) = await api.service.rows("signals", where={"signal_id": "x1"})
        asked = decode(OrderRequest, row["body"])
        desk.note(entries.signal(desk.now, request=asked, request_hash="x1"))
        await api.order(quantity=40)
        await api.world.sleep(2)
        assert (await exited(api, "b")).status_code == 202
        assert (await exited(api, "c")).status_code == 409
        await api.world.sleep(3)
        assert api.world.qty() == 30

    armed(tmp_path, then)


def test_exit_that_an_older_version_made_is_not_made_again(tmp_path: Path) -> None:
    """Its row says no more than one that found nothing; the closing order since is the proof."""

    async def then(api: Api) -> None:
        desk = api.service.desk
        await api.order(quantity=40)
        await api.world.sleep(2)
        at = desk.now
        assert (await exited(api, "a", signal_id="old")).status_code == 202
        await api.world.sleep(3)
        (row,) = await api.service.rows("signals", where={"signal_id": "old"})
        asked = replace(decode(OrderRequest, row["body"]), signal_id="x1")
        desk.note(entries.signal(at, request=asked, request_hash="x1"))
        await api.service.keys.drain()
        await api.world.sleep(1)
        assert (await exited(api, "b")).status_code == 409
        assert api.world.qty() == 30

    armed(tmp_path, then)


def test_sale_refused_for_its_price_is_no_twin(tmp_path: Path) -> None:
    sale = {"symbol": "AAPL", "side": "SELL", "quantity": 5, "price": 100.5}

    async def then(api: Api) -> None:
        await api.order()
        await api.world.sleep(2)
        assert (await api.ask("POST", "/v1/orders", sale)).status_code == 400
        api.world.price("AAPL", "100.60")
        assert (await api.ask("POST", "/v1/orders", sale)).status_code == 202
        assert (await api.ask("POST", "/v1/orders", sale)).status_code == 409
        assert (await api.ask("POST", "/v1/orders", sale)).status_code == 409
        await api.world.sleep(3)
        assert api.world.qty() == 5

    armed(tmp_path, then)


def test_long_keys_of_batches_stay_apart(tmp_path: Path) -> None:
    assert row_key("night", 499) == "night:499"
    long = [first + "K" * 253 for first in "AB"]
    assert row_key(long[0], 0) != row_key(long[1], 0)
    assert len(row_key("K" * 255, 499)) <= 255

    async def then(api: Api) -> None:
        api.world.price("MSFT", "100.00")
        for key, symbol in zip(long, ("AAPL", "MSFT"), strict=True):
            rows, headers = [signal(symbol=symbol)], {"Idempotency-Key": key}
            made = await api.ask("POST", "/v1/signals", rows, headers=headers)
            assert [row["outcome"] for row in made.json()["rows"]] == ["accepted"]

    armed(tmp_path, then)


def test_an_orders_own_id_goes_before_anothers_name(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        api.world.price("MSFT", "100.00")
        first = (await api.order(price=99)).json()["id"]
        await api.order(symbol="MSFT", price=99, client_order_id=first)
        gone = (await api.ask("DELETE", f"/v1/orders/{first}")).json()
        assert (gone["symbol"], gone["id"]) == ("AAPL", first)
        await api.world.sleep(2)
        states = {i.contract.symbol: i.state for i in api.world.intents(Leg.ENTRY)}
        assert states == {"AAPL": "CANCELLED", "MSFT": "ACKED"}

    armed(tmp_path, then)


@pytest.mark.parametrize("paper", [True, False])
def test_paper_is_held_against_the_mode_of_exits_and_notes(tmp_path: Path, paper: bool) -> None:
    """`paper: false` on a paper server; neither closes, nor is noted."""
    sale = {"symbol": "AAPL", "side": "SELL", "quantity": 10, "paper": paper}
    note = {"entered_at": "2025-09-12 13:45:00", "paper": paper}

    async def then(api: Api) -> None:
        await api.order()
        await api.world.sleep(2)
        made = [await api.ask("POST", "/v1/orders", sale), await api.order(**note)]
        assert [told.status_code for told in made] == ([202, 201] if paper else [403, 403])
        await api.world.sleep(3)
        assert api.world.qty() == (0 if paper else 10)

    armed(tmp_path, then)


@pytest.mark.parametrize("word", [1, 0, "true", None])
def test_backfill_that_is_neither_true_nor_false_is_refused(tmp_path: Path, word: Any) -> None:
    async def then(api: Api) -> None:
        made = await api.order(features={"is_backfill": word})
        assert made.status_code == 422, made.text
        assert api.world.intents() == []

    armed(tmp_path, then)


@pytest.mark.parametrize("word", ["1_00.0_2", "\u0661\u0660\u0660", "1e", "0x10", "", "+", "."])
def test_price_in_no_digits_of_json_is_refused(tmp_path: Path, word: str) -> None:
    async def then(api: Api) -> None:
        assert (await api.order(price=word)).status_code == 422

    armed(tmp_path, then)


def test_side_that_contradicts_kind_and_direction_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for kind, direction, side in (
            ("entry", "short", "BUY"),
            ("entry", "long", "SELL"),
            ("exit", "long", "BUY"),
            ("exit", "short", "SELL"),
        ):
            sent = signal(kind=kind, direction=direction, side=side)
            made = await api.ask("POST", "/v1/signal", sent)
            assert made.status_code == 422, made.text
            assert f"{kind} {direction} with side {side}" in made.json()["message"]
        assert api.world.intents() == []
        sent = signal(kind="entry", direction="long")
        assert (await api.ask("POST", "/v1/signal", sent)).status_code == 201

    armed(tmp_path, then)


def test_decimal_text_is_read_as_ever(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("POST", "/v1/orders", order(price=" 100.02 ", stop_price="9.5e1"))
        assert made.status_code == 201, made.text

    armed(tmp_path, then)
