"""Problem details (RFC 9457) without FastAPI and pydantic, for requests that are rejected before routing."""

from __future__ import annotations

import json
from http import HTTPStatus

from jobs.trace_ids import current_request_id

_NEWER_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Python before 3.13 has the phrases of older RFCs."""


def reason_phrase(status: int) -> str:
    """Return the phrase of a status code. Raises ValueError for an unknown one."""
    return _NEWER_PHRASES.get(status) or HTTPStatus(status).phrase


PROBLEM_MEDIA_TYPE = "application/problem+json"


def problem_body(status: HTTPStatus, detail: str, path: str = "") -> bytes:
    """Return the JSON. `path`: without a token; empty if the request target is unknown."""
    problem = {"type": "about:blank", "title": reason_phrase(status), "status": int(status), "detail": detail}
    problem |= {"instance": path} if path else {}
    problem |= {"request_id": request_id} if (request_id := current_request_id()) else {}
    return json.dumps(problem, separators=(",", ":")).encode()


def raw_response(status: HTTPStatus, detail: str) -> bytes:
    """Return a whole HTTP/1.1 response that ends its connection."""
    body = problem_body(status, detail)
    head = (
        f"HTTP/1.1 {int(status)} {reason_phrase(status)}\r\n"
        f"content-type: {PROBLEM_MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "cache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
