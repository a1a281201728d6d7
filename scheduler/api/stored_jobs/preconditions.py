"""Conditional requests (RFC 9110, section 13): ETag, If-Match and If-None-Match. Used by the routes of jobs."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from scheduler.api.problems import ApiError, InvalidInput, InvalidRequest, UnusableValue
from scheduler.operations.stored_jobs.preconditions import ANY_VERSION, NEW_JOB, Precondition

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
