"""The table of fixed paths: it finds what FastAPI would, and leaves the rest to it."""

from pathlib import Path

import pytest
from api_world import Api, armed
from fastapi.routing import APIRoute
from starlette.routing import Match

from bft.services.executor.api.app import bare
from bft.services.executor.api.routing import FixedPaths

ROUTES = [route for route in bare().routes if isinstance(route, APIRoute)]
FIXED = [(m, r) for r in ROUTES if not r.param_convertors for m in r.methods or ()]


@pytest.mark.parametrize(("method", "route"), FIXED, ids=lambda part: getattr(part, "path", part))
def test_table_finds_the_route_that_a_search_finds(method: str, route: APIRoute) -> None:
    scope = {"type": "http", "method": method, "path": route.path}
    searched = next(r for r in ROUTES if r.matches(scope)[0] is Match.FULL)
    match, found = FixedPaths(ROUTES).matches(scope)
    assert (match, found["route"]) == (Match.FULL, searched)


def test_what_the_table_lacks_is_answered_as_before(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        codes = {}
        for method, path in (
            ("GET", "/v1/kill"),
            ("GET", "/v1/kill/"),
            ("PUT", "/v1/kill"),
            ("GET", "/v1/orders/nobody"),
            ("GET", "/v1/nothing"),
        ):
            codes[method, path] = (await api.ask(method, path)).status_code
        assert list(codes.values()) == [200, 200, 405, 404, 404]

    armed(tmp_path, then)
