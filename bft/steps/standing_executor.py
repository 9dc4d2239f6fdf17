"""What is on, as the executor's book has it: over its API, so that it may be anywhere.

Source: executor specification, section 1.1; strategies specification, sections 5 and 6.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bft.domain.errors import DataError
from bft.domain.trading import Direction, Instrument
from bft.ports import ExecutorApi, Ports
from bft.steps.asking import answer, reach
from bft.steps.standing import Pending, Standing

if TYPE_CHECKING:
    from bft.strategies.signals import Held

MANUAL = "manual"
LIVE = ("PENDING", "SUBMITTED", "PARTIALLY_FILLED")
MOST = 1000
UNITS = {"OPT": 100}
"""Multiplier by kind; a future's counts in no sector of stocks (executor specification, 2)."""


def told(ports: Ports, url: str, *, mode: str) -> Standing:
    """Positions, entries that still work, cooldowns and equity; asked once, now.

    Raises:
        UnavailableError: no answer; the caller must not take that for a flat book.
        RefusedError: another mode, or the token is refused.
        DataError: an answer that is not understood.
    """
    api, _ = reach(ports, url, mode=mode)
    book = answer(api.ask("GET", "/v1/positions", params={"cooldowns": "true"}))
    equity = answer(api.ask("GET", "/v1/pnl/daily")).get("equity_usd")
    try:
        return Standing(
            held=tuple(held for row in book["positions"] for held in _held(row)),
            pending=tuple(_pending(api)),
            cooling=frozenset((row["symbol"], row["strategy_id"]) for row in book["cooldowns"]),
            equity_usd=None if equity is None else float(equity),
        )
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__} {error}"
        raise DataError(
            f"executor {api.url}: its positions are not understood ({why}); is it of this version?"
        ) from error


def _pending(api: ExecutorApi) -> Iterator[Pending]:
    for status in LIVE:
        asked = {"status": status, "limit": MOST}
        for order in answer(api.ask("GET", "/v1/orders", params=asked))["orders"]:
            units = order["quantity"] - order["filled_quantity"]
            price = order["price"]
            yield Pending(
                signal_id=str(order["signal_id"]),
                symbol=order["underlying"] or order["symbol"],
                strategy_id=order["strategy_id"],
                units=float(units * UNITS.get(order["sec_type"], 1)),
                price_usd=None if price is None else float(price),
            )


def _held(row: Mapping[str, Any]) -> Iterator["Held"]:
    """One for each entry whose units are open; units that no bracket holds are `manual`."""
    bare = abs(int(float(row["quantity"])))
    for exit_ in row["exits"]:
        bare -= exit_["quantity"]
        days = int(exit_["held_days"])
        yield _of(row, strategy=exit_["strategy_id"], qty=exit_["quantity"], held_days=days)
    if bare > 0:
        yield _of(row, strategy=MANUAL, qty=bare, held_days=0)


def _of(row: Mapping[str, Any], *, strategy: str, qty: int, held_days: int) -> "Held":
    from bft.strategies.signals import Held

    price = row["mark"] if row["mark"] is not None else row["average_cost"]
    instrument = _instrument(row)
    # a put that is held bets on a fall: the direction of a signal is that of the underlying
    up = (float(row["quantity"]) > 0) != (instrument is Instrument.PUT)
    return Held(
        symbol=row["underlying"],
        direction=Direction.LONG if up else Direction.SHORT,
        strategy_id=strategy,
        held_days=held_days,
        instrument=instrument,
        value_usd=qty * float(price) * float(row["multiplier"]),
    )


def _instrument(row: Mapping[str, Any]) -> Instrument:
    if row["sec_type"] == "OPT":
        return {"C": Instrument.CALL, "P": Instrument.PUT}[row["right"]]
    return Instrument.FUTURE if row["sec_type"] == "FUT" else Instrument.STOCK
