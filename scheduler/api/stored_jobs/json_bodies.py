"""Reads bodies that are definitions: strict JSON, without a model. Used by the routes of stored jobs and sets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from scheduler.api.declared_routes import JSON_TYPE, MERGE_PATCH_TYPE
from scheduler.api.description.headers import describe_body
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.catalog.written_jobs import InvalidJson, parse_definition_json
from scheduler.turns import compute

MAX_DEFINITION_BODY = 256 * 1024
"""Bytes of a request with one definition."""
_PARSED_INLINE = 16 * 1024
"""Bytes of a body that are parsed within a millisecond. A longer one is parsed in a thread, so that runs start in time.
"""

_EXAMPLE = {
    "name": "reports-api",
    "schedule": "*/10 * * * * *",
    "check": {"kind": "http", "url": "https://reports.example.com/health"},
    "tags": {"team": "payments"},
}


DEFINITION_BODY = describe_body({JSON_TYPE: _EXAMPLE}, "A definition in the full or in the flat form, see docs/jobs.md")
PATCH_BODY = describe_body(
    {MERGE_PATCH_TYPE: {"schedule": "every 30s", "description": None}}, "A merge patch (RFC 7396) of the definition"
)


SET_BODY = describe_body(
    {JSON_TYPE: {"defaults": {"tags": {"team": "reports"}}, "jobs": {"reports-daily": {"check": _EXAMPLE["check"]}}}},
    "The desired jobs of this owner, as a job file has them",
)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, an object. Raises InvalidRequest with the reason."""
    body = await request.body()
    try:
        value = await compute(parse_definition_json, body, in_thread=len(body) > _PARSED_INLINE)
    except InvalidJson as error:
        raise InvalidRequest(InvalidInput(location="body", message=str(error))) from None
    if not isinstance(value, dict):
        raise InvalidRequest(InvalidInput(location="body", message="is not an object"))
    return value


JsonObject = Annotated[dict[str, Any], Depends(read_object)]
