"""What the API still answers while its book cannot be read."""

from pathlib import Path
from typing import Any

from api_world import Api, armed

from bft.domain.errors import UnavailableError


class Away:
    """A book whose database does not answer."""

    def rows(self, _table: str, **_query: Any) -> list[dict[str, Any]]:
        raise UnavailableError("the database does not answer")


def test_orders_are_told_without_their_decisions(tmp_path: Path) -> None:
    """Red: 503, so that `bft close` of several symbols asked for nothing."""

    async def then(api: Api) -> None:
        await api.order()
        api.service.decisions.clear()
        api.service.book = Away()  # type: ignore[assignment]
        answer = await api.ask("GET", "/v1/orders")
        assert answer.status_code == 200
        assert [order["decision"] for order in answer.json()["orders"]] == [None]

    armed(tmp_path, then)
