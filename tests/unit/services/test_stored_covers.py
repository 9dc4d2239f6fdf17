"""Exits as the ledger stores them: read back whole, or refused by name."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bft.domain.errors import DataError
from bft.domain.orders import Contract
from bft.domain.trading import Direction, ExitPolicy
from bft.services.executor.covers import Cover, from_bracket, to_bracket

AT = datetime(2026, 1, 6, 15, tzinfo=UTC)
COVER = Cover(
    entry="ENTRY",
    account="DU1",
    contract=Contract(con_id=1, symbol="A"),
    direction=Direction.LONG,
    policy=ExitPolicy(),
    strategy_id="s",
    opened_at=AT,
    stop_usd=Decimal("93.00"),
)


def test_stored_exits_read_back_equal() -> None:
    assert from_bracket(to_bracket(COVER, at=AT, closed=False)) == COVER


@pytest.mark.parametrize(
    "damage", [{"stop_usd": "many"}, {"direction": "up"}, {"opened_at": "soon"}, {"contract": 5}]
)
def test_unreadable_exits_are_refused_by_name(damage: dict[str, object]) -> None:
    stored = to_bracket(COVER, at=AT, closed=False)
    broken = replace(stored, exit_state={**stored.exit_state, **damage})
    with pytest.raises(DataError, match="exits of ENTRY are unreadable"):
        from_bracket(broken)
