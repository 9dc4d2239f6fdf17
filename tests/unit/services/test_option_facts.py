"""Facts of options: what is missing or too old is None and says why."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bft.domain.broker import OptionFigures, Quote
from bft.domain.errors import UnavailableError
from bft.domain.orders import Contract
from bft.risk.context import OptionFacts
from bft.services.executor.chains import Chain, ChainRow
from bft.services.executor.option_facts import VIX, OptionDesk, expires_at

D = Decimal
NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)  # Monday, 10:00 New York
NIGHT = date(2026, 1, 2)
CALL = Contract(
    con_id=7,
    symbol="AAPL",
    sec_type="OPT",
    multiplier=D(100),
    expiry=date(2026, 2, 20),
    strike_usd=D(100),
    right="C",
    local_symbol="AAPL  260220C00100000",
)
INDEX = replace(VIX, con_id=9)
TOLD = OptionFigures(
    contract=CALL,
    delta=D("0.5"),
    implied_volatility=D("0.25"),
    model_at=NOW,
    volume=200,
    volume_at=NOW - timedelta(minutes=20),
    open_interest=900,
    open_interest_at=NOW - timedelta(minutes=29),
)
ROW = ChainRow(
    expiry=date(2026, 2, 20),
    right="C",
    strike_usd=D(100),
    delta=D("0.45"),
    implied_volatility=D("0.30"),
    volume=150,
    open_interest=800,
)
HISTORY = tuple((NIGHT - timedelta(days=n), D("0.20")) for n in range(39, 0, -1))
CHAIN = Chain(symbol="AAPL", asof=NIGHT, rows=(ROW,), volatilities=(*HISTORY, (NIGHT, D("0.40"))))


def index(**told: Any) -> Quote:
    return Quote(contract=INDEX, **{"at": NOW - timedelta(seconds=30), **told})


def facts(
    *,
    broker: str = "ib",
    told: OptionFigures | None = TOLD,
    chain: Chain = CHAIN,
    vix: Quote | None = None,
) -> OptionFacts:
    level = vix or index(last_usd=D(17))
    desk: Any = SimpleNamespace(
        now=NOW,
        contracts={VIX: INDEX},
        broker=SimpleNamespace(name=broker, option_figures=lambda _: told, watch=lambda _: None),
        quote=lambda contract: level if contract == INDEX else None,
    )

    async def load(_: frozenset[str]) -> dict[str, Chain]:
        return {"AAPL": chain}

    made = OptionDesk(desk, load)
    made.want("AAPL")
    asyncio.run(made.refresh())
    found = made.facts(CALL)
    assert found is not None
    return found


def test_everything_told_is_passed_on_and_ranked() -> None:
    """By hand: 0.25 between 0.20 and 0.40 is a quarter."""
    found = facts()
    assert (found.delta, found.volume, found.open_interest) == (D("0.5"), 200, 900)
    assert (found.iv_rank, found.iv_observations) == (D("0.25"), 40)
    assert (found.vix, found.vix_age_s, found.lacks) == (17, 30.0, ())
    assert found.expires_at == datetime(2026, 2, 20, 21, 0, tzinfo=UTC)


def test_paper_takes_the_row_of_the_night() -> None:
    found = facts(broker="paper", told=None)
    assert (found.delta, found.volume, found.open_interest) == (D("0.45"), 150, 800)
    assert (found.iv_rank, found.lacks) == (D("0.5"), ())


EARLIER = NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("given", "fields", "why"),
    [
        ({"told": None}, ["delta", "volume", "open_interest"], "ib has told nothing of AAPL"),
        ({"told": replace(TOLD, live=False)}, ["delta", "volume"], "frozen or delayed"),
        ({"told": replace(TOLD, delta=None)}, ["delta"], "the model has none"),
        (
            {"told": replace(TOLD, model_at=NOW - timedelta(seconds=121))},
            ["delta"],
            "the model's is 121 s old",
        ),
        ({"told": replace(TOLD, model_at=None)}, ["delta"], "none told"),
        ({"told": replace(TOLD, volume=None)}, ["volume"], "none told today"),
        ({"told": replace(TOLD, volume_at=EARLIER)}, ["volume"], "none told today"),
        ({"told": replace(TOLD, open_interest_at=EARLIER)}, ["open_interest"], "none told today"),
        ({"broker": "alpaca", "told": None}, ["delta"], "alpaca has told nothing"),
        (
            {"broker": "paper", "chain": Chain(symbol="AAPL")},
            ["delta"],
            "no chain of AAPL is stored; run: bft pull --asof 2026-01-02",
        ),
        (
            {"broker": "paper", "chain": replace(CHAIN, asof=date(2025, 12, 31))},
            ["delta", "open_interest"],
            "is of 2025-12-31, not of 2026-01-02",
        ),
        ({"broker": "paper", "chain": replace(CHAIN, rows=())}, ["delta"], "is not in the chain"),
        (
            {"broker": "paper", "chain": replace(CHAIN, rows=(replace(ROW, delta=None),))},
            ["delta"],
            "the chain of 2026-01-02 has none",
        ),
    ],
)
def test_what_is_not_known_is_none_and_told(
    given: dict[str, Any], fields: list[str], why: str
) -> None:
    found = facts(**given)
    lacks = dict(found.lacks)
    for name in fields:
        assert getattr(found, name) is None
        assert why in lacks[name]


@pytest.mark.parametrize(
    ("chain", "why"),
    [
        (Chain(symbol="AAPL"), "no implied volatility of AAPL is stored"),
        (replace(CHAIN, unread=3), "3 stored days are still to be read"),
        (replace(CHAIN, volatilities=HISTORY[:-10]), "the newest stored volatility is of"),
    ],
)
def test_a_history_that_is_absent_half_read_or_old_ranks_nothing(chain: Chain, why: str) -> None:
    found = facts(chain=chain)
    assert (found.iv_rank, found.iv_observations) == (None, None)
    assert why in dict(found.lacks)["iv_observations"]


def test_without_a_volatility_now_the_rank_alone_is_missing() -> None:
    found = facts(told=replace(TOLD, implied_volatility=None))
    assert (found.iv_rank, found.iv_observations) == (None, 40)
    assert "iv_rank" in dict(found.lacks)


def test_vix_of_a_close_is_as_old_as_that_close() -> None:
    """By hand: from Friday 21:00 to Monday 15:00 UTC are 66 hours."""
    for told in (index(close_usd=D(16)), index(last_usd=D(16), frozen=True)):
        found = facts(vix=told)
        assert (found.vix, found.vix_age_s) == (16, 66 * 3600.0)


def test_vix_of_a_close_told_days_ago_is_of_that_time() -> None:
    """Told on Thursday morning and never since: Wednesday's close, 21:00, is 114 hours old."""
    told = index(close_usd=D(16), at=datetime(2026, 1, 1, 15, 0, tzinfo=UTC))  # no session
    assert (facts(vix=told).vix, facts(vix=told).vix_age_s) == (16, 114 * 3600.0)


def test_vix_without_a_level_is_missing() -> None:
    found = facts(vix=index(last_usd=D(0)))
    assert (found.vix, found.vix_age_s) == (None, None)
    assert dict(found.lacks)["vix"] == "ib tells no VIX"


def test_an_option_ends_with_its_last_session() -> None:
    """Good Friday 2026 is no session: the day before is the last."""
    easter = replace(CALL, expiry=date(2026, 4, 3))
    assert expires_at(easter) == datetime(2026, 4, 2, 20, 0, tzinfo=UTC)


def test_chains_that_cannot_be_read_say_so_and_the_old_ones_stay() -> None:
    desk: Any = SimpleNamespace(
        now=NOW,
        contracts={},
        broker=SimpleNamespace(name="paper", option_figures=lambda _: None),
        quote=lambda _: None,
    )
    answers: list[Any] = [UnavailableError("the root is away"), {"AAPL": CHAIN}]
    answers.append(UnavailableError("again"))

    async def load(_: frozenset[str]) -> dict[str, Chain]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Chain] = answer
        return found

    made = OptionDesk(desk, load)
    made.want("AAPL")
    seen = []
    for _ in range(3):
        with suppress(UnavailableError):
            asyncio.run(made.refresh())
        found = made.facts(CALL)
        assert found is not None
        seen.append((found.delta, dict(found.lacks).get("delta", "")))
    assert seen[0] == (None, "the night's option chains cannot be read: the root is away")
    assert seen[1:] == [(D("0.45"), "")] * 2


def test_chain_of_a_session_to_come_is_not_looked_at() -> None:
    """A clock may stand in the past while the root holds what came after."""
    ahead = NIGHT + timedelta(days=3)
    found = facts(broker="paper", told=None, chain=replace(CHAIN, asof=ahead))
    assert (found.delta, found.volume, found.open_interest) == (None, None, None)
    assert f"is of {ahead}, not of {NIGHT}" in dict(found.lacks)["delta"]
    later = replace(CHAIN, volatilities=(*CHAIN.volatilities, (ahead, D("0.90"))))
    assert (facts(chain=later).iv_rank, facts(chain=later).iv_observations) == (D("0.25"), 40)
