"""Requests that are no HTTP: refused with the body that every other refusal has.

They end in the parser, before there is an application to answer.
Source: executor specification, section 1.1 (error body).
"""

import json
import secrets
import sys

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bft.domain.orders import Reason
from bft.services.executor.api.problems import Problem, error_body

WHY_CHARS = 80


class HttpProtocol(HttpToolsProtocol):
    """HTTP as uvicorn reads it, but for the answer to what it cannot read."""

    def send_400_response(self, msg: str) -> None:
        """Say what the parser stumbled over, and hang up: where the next request begins is lost."""
        why = str(sys.exception() or msg)[:WHY_CHARS]
        text = (
            f"the request cannot be read: {why}; a control character in the path or a header, "
            "such as a line break at the end of a token, is not allowed in HTTP"
        )
        name = secrets.token_hex(8)
        body = json.dumps(
            error_body(Problem(400, Reason.VALIDATION, text), request_id=name),
            separators=(",", ":"),
        ).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\nx-request-id: {name}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
