"""What the OpenAPI document says of every route: bodies, errors.

Bodies are read by `json_body`, so that a repeated key or NaN is refused; FastAPI only writes the
document.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bft.services.executor.api.problems import ErrorBody

_BODIES: dict[str, type[BaseModel]] = {}
_ABOUT = {
    400: "denied, or refused as invalid, as what is no JSON",
    401: "token refused",
    403: "role or mode",
    404: "unknown id",
    409: "conflict",
    413: "body above 256 KiB",
    415: "content type is not application/json",
    422: "shape",
    423: "kill switch or halt",
    429: "too many",
    500: "a bug; the log names it by request_id",
    503: "not able",
}


def body_of(*models: type[BaseModel], required: bool = True, rows: bool = False) -> dict[str, Any]:
    """The request body of a route as FastAPI's `openapi_extra`; `rows`: a bare list does too."""
    _BODIES.update({model.__name__: model for model in models})
    refs: list[dict[str, Any]] = [
        {"$ref": f"#/components/schemas/{model.__name__}"} for model in models
    ]
    if rows:
        bound = {"minItems": 1, "maxItems": 500}
        refs = [refs[0], {"type": "array", "items": refs[1], **bound}]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}


def errors(
    *codes: int, write: bool = False, also: Mapping[int, type[BaseModel]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route, those common to all included; `also`: further good ones."""
    common = (401, 403, 422, 500, 503)
    more = (400, 413, 415, 429) if write else ()
    good: dict[int | str, dict[str, Any]] = {
        code: {"model": model} for code, model in (also or {}).items()
    }
    return good | {
        code: {"model": ErrorBody, "description": _ABOUT[code]}
        for code in sorted({*common, *more, *codes})
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, definitions = models_json_schema(
            [(model, "validation") for model in _BODIES.values()],
            ref_template="#/components/schemas/{model}",
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(definitions.get("$defs", {}))
        app.openapi_schema = made
    return app.openapi_schema
