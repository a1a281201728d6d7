"""Requests that carry definitions of jobs: their bodies, strict JSON or a document in JSON or YAML, and their
conditions (RFC 9110, section 13): ETag, If-Match and If-None-Match.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response

from scheduler.api.declared_routes import JSON_TYPE, MERGE_PATCH_TYPE
from scheduler.api.description.headers import describe_body
from scheduler.api.problems import ApiError, InvalidInput, InvalidRequest, UnusableValue
from scheduler.catalog.written_jobs import InvalidJson, parse_definition_json
from scheduler.features.stored_jobs.service import ANY_VERSION, NEW_JOB, Precondition
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


_ETAGS = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)*')
_ETAG = re.compile(r'(?:W/)?"[^"]*"')
_HINT = 'use the ETag of a GET, such as "v3-1a2b3c4d", or *'
_REQUIRED = (
    "The request has no precondition. Send If-Match with the ETag of GET /api/jobs/NAME, so that no change of another "
    "client is lost"
)

_ETAG_FORM: dict[str, Any] = {"pattern": r'^(\*|"[!#-~]*")$'}
"""The form of If-Match for the schema; a list of ETags is accepted too."""

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        description="ETag of the definition that is changed, or `*`",
        json_schema_extra=_ETAG_FORM,
    ),
]
RequiredMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        description="ETag of the definition that is changed, or `*`",
        examples=["*"],
        json_schema_extra=_ETAG_FORM,
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=1000, description="ETag that the client has: 304 if it is current"),
]
IfAbsent = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=10,
        description="`*`: the job must not exist yet",
        examples=["*"],
        json_schema_extra={"enum": ["*"]},
    ),
]

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client's copy is current"}}


async def require_match(if_match: RequiredMatch = None) -> Precondition:
    """Return the precondition of a change. Raises ApiError: 428."""
    if not if_match:
        raise ApiError(HTTPStatus.PRECONDITION_REQUIRED, f"{_REQUIRED}.")
    return _parse_match(if_match)


async def require_match_or_absence(if_match: IfMatch = None, if_none_match: IfAbsent = None) -> Precondition:
    """Return the precondition of a PUT, which creates a job or replaces it. Raises ApiError: 428."""
    if if_match and if_none_match is not None:
        raise UnusableValue(
            InvalidInput(location="header.If-Match", message="If-None-Match is given too", hint="send one of them")
        )
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise InvalidRequest(
                InvalidInput(location="header.If-None-Match", message="only * is possible here", hint="send *")
            )
        return NEW_JOB
    if not if_match:
        raise ApiError(HTTPStatus.PRECONDITION_REQUIRED, f"{_REQUIRED}; If-None-Match: * creates a new job.")
    return _parse_match(if_match)


MatchDep = Annotated[Precondition, Depends(require_match)]
MatchOrAbsenceDep = Annotated[Precondition, Depends(require_match_or_absence)]


def not_modified(etag: str, if_none_match: str | None) -> Response | None:
    """Return 304 if the client has this version; None if it needs the content."""
    if if_none_match is None:
        return None
    if if_none_match.strip() != "*" and etag not in (tag.removeprefix("W/") for tag in _ETAG.findall(if_none_match)):
        return None
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})


def _parse_match(text: str) -> Precondition:
    if text.strip() == "*":
        return ANY_VERSION
    if not _ETAGS.fullmatch(text):
        raise InvalidRequest(InvalidInput(location="header.If-Match", message="is not an ETag in quotes", hint=_HINT))
    # A weak validator never matches here.
    return Precondition(exists=True, etags=frozenset(_ETAG.findall(text)))


YAML_TYPE: Final = "application/yaml"
MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""Bytes of about 500 jobs."""


class DefinitionBody:
    """The body of a request."""

    def __init__(self, content: bytes, is_json: bool) -> None:
        self.content = content
        self.is_json = is_json


async def read_document(request: Request) -> DefinitionBody:
    """Return the body. Whatever is wrong with it is a finding, not a problem of the request."""
    media_type = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    return DefinitionBody(await request.body(), media_type == JSON_TYPE)


DefinitionBodyDep = Annotated[DefinitionBody, Depends(read_document)]
