"""Routes by their path: FastAPI tries them one after the other, of included routers twice."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send


class FixedPaths(BaseRoute):
    """Routes without parameters in their path, found at once."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes: dict[tuple[str, str], APIRoute] = {}
        for route in routes:
            if isinstance(route, APIRoute) and not route.param_convertors:
                for method in route.methods or ():
                    self._routes.setdefault((method, route.path), route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The route of this very method and path; anything else is for those that follow."""
        route = self._routes.get((scope.get("method", ""), scope["path"]))
        return (Match.NONE, {}) if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the route that was found."""
        await scope["route"].handle(scope, receive, send)


def serve_routes(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Have an application serve the routes of routers as its own."""
    routes = [route for router in routers for route in router.routes]
    app.router.routes[:0] = [FixedPaths(routes), *routes]
