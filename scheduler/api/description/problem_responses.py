"""The problems that an operation can respond with. Called by scheduler.api.description.document.

Most statuses follow from what an operation is: its scope, method, parameters and body. A route adds those that only it
knows: `@router.operate(PATH, problems=(HTTPStatus.CONFLICT,))`.

400 and 422 differ: a request with 400 breaks this document; one with 422 follows it, but breaks a rule that JSON Schema
cannot express, such as the order of two instants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from scheduler.api.description.headers import response_headers
from scheduler.api.problems import MEDIA_TYPE, InvalidInput, ProblemDetails
from scheduler.api.routing import PROBLEMS
from scheduler.api.scopes import Scope
from scheduler.connections.problem_responses import reason_phrase


class ProblemResponse(NamedTuple):
    """`detail`, `errors`: of the example."""

    description: str
    detail: str
    errors: Sequence[InvalidInput] = ()
    headers: tuple[str, ...] = ()


PROBLEM_RESPONSES: Final[dict[int, ProblemResponse]] = {
    400: ProblemResponse(
        "The request does not follow this document. `errors` lists each invalid part",
        "query.limit: must be at least 1, found 0",
        [InvalidInput(location="query.limit", message="must be at least 1, found 0")],
    ),
    401: ProblemResponse(
        "The request has no valid credential", "A credential is required.", headers=("WWW-Authenticate",)
    ),
    403: ProblemResponse(
        "The credential does not allow this operation, or a page of another site sent the request",
        "This operation requires the role operator.",
    ),
    404: ProblemResponse(
        "The object does not exist, or does not exist for this credential",
        "There is no job named 'chekout-api'. Did you mean checkout-api? GET /api/jobs lists the jobs.",
    ),
    409: ProblemResponse(
        "The state of the object does not allow the operation",
        "Run checkout-api@20261128T090000.000Z is already finished: succeeded.",
    ),
    412: ProblemResponse("`If-Match` is not the current ETag", "The object was changed meanwhile: read it again."),
    413: ProblemResponse("The body is too large", "The body is too large: at most 65536 bytes are allowed."),
    414: ProblemResponse(
        "The path and the query are too long",
        "The URL of the request is too long: at most 8192 bytes of path and query.",
    ),
    415: ProblemResponse(
        "The media type of the body is not supported",
        "The media type text/plain is not supported: use application/json.",
    ),
    422: ProblemResponse(
        "The request follows this document, but a value cannot be used. `errors` lists each of them",
        "body.until: 2020-01-01 00:00:00Z is in the past: it is 2026-11-28 09:00:00Z",
        [
            InvalidInput(
                location="body.until", message="2020-01-01 00:00:00Z is in the past: it is 2026-11-28 09:00:00Z"
            )
        ],
    ),
    428: ProblemResponse("`If-Match` is missing", "Send the ETag of the version that you change as If-Match."),
    429: ProblemResponse(
        "Too many requests",
        "Too many requests: 60 per minute are allowed. Retry after 41 s.",
        headers=("Retry-After", "RateLimit", "RateLimit-Policy"),
    ),
    500: ProblemResponse(
        "The scheduler has an error, which its log describes",
        "An unexpected error occurred. The log contains its cause.",
    ),
    503: ProblemResponse(
        "The store, the queue or another part is unavailable",
        "The store does not respond: it is locked by another process.",
        headers=("Retry-After",),
    ),
}
"""Every problem by its status."""

_UNPROCESSABLE_PARAMETERS = frozenset({"at", "from", "to", "continuation", "zone"})
"""Query parameters with rules that JSON Schema cannot express."""


def problem_components() -> dict[str, dict[str, Any]]:
    """Return the responses for `components`."""
    return {_component_name(status): _describe(status, problem) for status, problem in PROBLEM_RESPONSES.items()}


def describe_problem_responses(operation: dict[str, Any], scope: Scope) -> None:
    """Replace FastAPI's 422 of the operation, and add a reference for each problem that it can respond with."""
    responses = operation["responses"]
    responses.pop("422", None)
    added = {HTTPStatus(status) for status in operation.pop(PROBLEMS, ())}
    for status in sorted(added | set(_derived_statuses(operation, scope))):
        responses.setdefault(str(int(status)), {"$ref": f"#/components/responses/{_component_name(status)}"})
    operation["responses"] = dict(sorted(responses.items()))


def _derived_statuses(operation: dict[str, Any], scope: Scope) -> Iterator[int]:
    parameters = operation.get("parameters", ())
    named = {(each["in"], each["name"].lower()) for each in parameters}
    places, queries = {place for place, _ in named}, {name for place, name in named if place == "query"}
    yield from (400, 500)
    if scope is not Scope.PUBLIC:
        yield from (429, 503)
    if scope not in (Scope.PUBLIC, Scope.PING):
        yield from (401, 403)
    if "path" in places or "job" in queries:
        yield 404
    if queries:
        yield 414
    if "requestBody" in operation or queries & _UNPROCESSABLE_PARAMETERS:
        yield 422
    if scope in (Scope.OPERATE, Scope.MANAGE, Scope.SIGN_IN):
        yield from (413, 415)
    if ("header", "if-match") in named:
        yield from (412, 422, 428)
    if ("header", "idempotency-key") in named:
        yield from (409, 422)


def _describe(status: int, problem: ProblemResponse) -> dict[str, Any]:
    example = ProblemDetails(
        title=reason_phrase(status),
        status=status,
        detail=problem.detail,
        instance="/api/jobs",
        errors=list(problem.errors) or None,
    )
    content = {
        "schema": {"$ref": "#/components/schemas/ProblemDetails"},
        "example": example.model_dump(exclude_none=True),
    }
    return {
        "description": problem.description,
        "content": {MEDIA_TYPE: content},
        "headers": response_headers(*problem.headers, "X-Request-ID"),
    }


def _component_name(status: int) -> str:
    return reason_phrase(status).replace(" ", "")
