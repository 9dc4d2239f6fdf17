"""The OpenAPI document is whole, and the API keeps to it for what schemathesis draws from it.

`make soak` runs the same with thousands of draws against a process.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from api_world import Api, armed
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from bft.services.executor.api.app import build

EXAMPLES = 3
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
SLOW = {"/v1/model/reload"}


def drawn(document: dict[str, Any]) -> list[Any]:
    """Cases of every operation, valid ones and invalid ones."""
    found: list[Any] = []
    schema = schemathesis.openapi.from_dict(document)
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and not operation.body:
                continue

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            def collect(case: Any) -> None:
                found.append(case)

            collect()
    return found


async def sent(api: Api, case: Any) -> httpx.Response:
    words = case.as_transport_kwargs(base_url="http://executor")
    body = {"json": words["json"]} if "json" in words else {"content": words.get("data")}
    request = api.client.build_request(
        words["method"], words["url"], params=words["params"], headers=words["headers"], **body
    )
    request.headers["authorization"] = f"Bearer {api.token}"
    return await api.client.send(request)


def test_api_keeps_to_its_document(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        document = (await api.client.get("/openapi.json")).json()
        for methods in document["paths"].values():
            for about in methods.values():
                about.pop("security", None)  # every case is sent with a good token
        for case in drawn(document):
            if case.path not in SLOW:
                answer = await sent(api, case)
                case.validate_response(answer, checks=CHECKS)

    armed(tmp_path, then)


def test_every_write_says_what_it_takes_and_refuses(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        document = (await api.client.get("/openapi.json")).json()
        bare = {"/v1/reconcile", "/v1/model/reload", "/session"}
        for path, methods in document["paths"].items():
            for method, about in methods.items():
                codes = set(about["responses"])
                if path.startswith("/v1/health") or path == "/v1/metrics/prom":
                    continue
                assert {"401", "403", "422", "500"} <= codes, (method, path)
                if method in {"post", "put"} and path not in bare:
                    assert "requestBody" in about, path
                    assert {"413", "415"} <= codes, path
        schemas = document["components"]["schemas"]
        assert "stop_loss_pct" in schemas["WholeOrderBody"]["properties"]

    armed(tmp_path, then)


def test_documents_are_not_shown_in_live(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        desk = api.service.desk
        desk.route = replace(desk.route, mode="live")
        transport = httpx.ASGITransport(app=build(api.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://executor") as client:
            for path in ("/docs", "/redoc", "/openapi.json"):
                assert (await client.get(path)).status_code == 404

    armed(tmp_path, then)
