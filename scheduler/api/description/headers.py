"""What routes use to describe themselves: the response headers, each described once, and bodies that have no model.

A route names its headers: `responses={202: {"headers": response_headers("Operation-Location", "Retry-After")}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scheduler.api.scopes import Scope

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Allow": {
        "description": "The methods of the path",
        "schema": {"type": "string"},
        "example": "GET, HEAD",
    },
    "ETag": {
        "description": "The version of what is returned. Send it as `If-Match` with a change",
        "schema": {"type": "string"},
        "example": '"5f2c1d"',
    },
    "Idempotent-Replayed": {
        "description": "This is the response to an earlier request with the same Idempotency-Key",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Location": {
        "description": "URL of what was created",
        "schema": {"type": "string"},
        "example": "/api/jobs/checkout-api",
    },
    "Operation-Location": {
        "description": "URL of the run",
        "schema": {"type": "string"},
        "example": "/api/runs/checkout-api@20261128T090000.000Z",
    },
    "RateLimit": {
        "description": "Requests that are left (`r`), and seconds until the quota is restored (`t`)",
        "schema": {"type": "string"},
        "example": '"read";r=58;t=41',
    },
    "RateLimit-Policy": {
        "description": "The quota (`q`) and its window in seconds (`w`)",
        "schema": {"type": "string"},
        "example": '"read";q=600;w=60',
    },
    "Retry-After": {
        "description": "Seconds after which to retry or to poll",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "5",
    },
    "X-Request-ID": {
        "description": "Id of the request, also in problems, log lines and the audit trail",
        "schema": {"type": "string"},
        "example": "5f2c1d9b04aa",
    },
    "WWW-Authenticate": {
        "description": "How to authenticate",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}

_RATE_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")


def response_headers(*names: str) -> dict[str, dict[str, str]]:
    """Return the headers of a response as references. Raises ValueError for one that is not described."""
    if unknown := set(names) - set(HEADERS):
        raise ValueError(f"headers without a description: {', '.join(sorted(unknown))}")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def describe_headers(operation: dict[str, Any], scope: Scope) -> None:
    """Add the headers of ids, limits and repeats to each response that is not a shared one."""
    names = ["X-Request-ID"]
    if scope not in (Scope.PUBLIC, Scope.PING):
        names += _RATE_LIMIT_HEADERS
    if scope is Scope.OPERATE:
        names.append("Idempotent-Replayed")
    for response in operation["responses"].values():
        if "$ref" not in response:
            response["headers"] = response.get("headers", {}) | response_headers(*names)


def describe_body(examples: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return the OpenAPI of a required body. `examples`: by media type; a text for a type that is not JSON."""
    content = {
        media_type: {"schema": {"type": "string" if isinstance(example, str) else "object"}, "example": example}
        for media_type, example in examples.items()
    }
    return {"requestBody": {"required": True, "description": description, "content": content}}
