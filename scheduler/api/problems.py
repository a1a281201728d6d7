"""Converts errors to problem details (RFC 9457, application/problem+json).

Each problem names the cause, its location and the fix. Tracebacks appear only in the log. FastAPI reports where a value
of a request is wrong; the texts also need the type that is expected there, such as the keys of a body.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.definition import NAME_PATTERN, JobDefinition
from jobs.formats import format_count
from jobs.problems import Finding, KeyPath, Problem, dotted_path, validation_findings
from jobs.trace_ids import current_request_id
from scheduler.api.negotiation import create_problem_page
from scheduler.api.scopes import PING_PATH_PREFIX, mask_token
from scheduler.catalog.catalog import UnknownJob
from scheduler.connections.problem_responses import reason_phrase
from scheduler.dispatch.port import DispatchError
from scheduler.errors import (
    Conflict,
    InvalidArgument,
    InvalidDefinition,
    NotFound,
    OperationError,
    PreconditionFailed,
    ReadOnlyJob,
)
from scheduler.model_base import RETRY_AFTER, ResponseModel
from scheduler.stores.port import StoreError
from scheduler.stores.rows import InvalidContinuation

if TYPE_CHECKING:
    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def find_allowed_methods(request: Request) -> str:
    """Return the value of Allow, with HEAD wherever GET is allowed."""
    served = {method: path for method in _METHODS if (path := _find_path(request, method))}
    closest = min(served.values(), key=lambda path: path.count("{"), default="")
    methods = [method for method, path in served.items() if path.count("{") == closest.count("{")]
    return ", ".join("GET, HEAD" if method == "GET" else method for method in methods)


def _find_path(request: Request, method: str) -> str:
    """Return the path, with its parameters, of the route that serves the method; empty without one."""
    scope = {**request.scope, "method": method}
    for included in request.app.router.routes:
        for route in included.original_router.find_candidates(scope):
            if route.matches(scope)[0] is Match.FULL:
                return str(route.path)
    return ""


_BODY = ("body",)
_NAME_FORM = JobDefinition.model_fields["name"].description or ""


def find_invalid_inputs(request: Request, errors: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what is wrong with each part of the request, by the errors of FastAPI."""
    route = request.scope.get("route")
    fields = _list_fields(route) if isinstance(route, APIRoute) else {}
    for error in errors:
        if error["loc"][:1] != _BODY:
            yield from _describe([error], error["loc"][:2], fields)
    yield from _describe([error for error in errors if error["loc"][:1] == _BODY], _BODY, fields)


def _describe(
    errors: Sequence[Mapping[str, Any]],
    start: KeyPath,
    fields: Mapping[KeyPath, ModelField],
) -> Iterator[Finding]:
    """Yield the findings of errors below `start`, a parameter or the body."""
    field = fields.get(start)
    expected = Any if field is None else field.field_info.annotation
    inner: Any = [{**error, "loc": error["loc"][len(start) :]} for error in errors]
    for finding in validation_findings(inner, expected):
        hint = finding.hint
        if field is not None and start != _BODY and errors[0]["type"] == "string_pattern_mismatch":
            is_name = errors[0]["ctx"]["pattern"] == NAME_PATTERN
            hint = _NAME_FORM if is_name else _lower_first(field.field_info.description or "") or hint
        yield Finding((*start, *finding.path), finding.message, hint)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _list_fields(route: APIRoute) -> dict[KeyPath, ModelField]:
    """Return the parameters of a route, and its body, by the start of their locations."""
    fields: dict[KeyPath, ModelField] = {
        (place, field.alias): field for place, field in _walk_parameters(route.dependant)
    }
    return fields if route.body_field is None else {**fields, _BODY: route.body_field}


def _walk_parameters(dependant: Dependant) -> Iterator[tuple[str, ModelField]]:
    for place in ("path", "query", "header"):
        yield from ((place, field) for field in getattr(dependant, f"{place}_params"))
    for each in dependant.dependencies:
        yield from _walk_parameters(each)


_log = logging.getLogger("scheduler.api")

MEDIA_TYPE = "application/problem+json"
MAX_LISTED_FINDINGS = 500
"""Findings about definitions in a response. The detail contains their total number."""


class SparseResponse(ResponseModel):
    """Is sent without the fields that are null."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


class InvalidInput(SparseResponse):
    """An invalid part of a request. `location`: for example `query.limit`."""

    location: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}"
        if not self.hint:
            return text
        return f"{text} {self.hint[0].upper()}{self.hint[1:]}" if text.endswith("?") else f"{text}; {self.hint}"


class ProblemDetails(SparseResponse):
    """Problem details of RFC 9457. `type` is about:blank: `status` is the kind, `detail` the cause and the fix.

    `request_id`: of the response header X-Request-ID, also in the log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None = None
    errors: list[InvalidInput] | None = None


class ApiError(Exception):
    """An error that a route raises, and its response."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class InvalidRequest(ApiError):
    """400: parts of the request do not follow /api/openapi.json."""

    def __init__(self, *errors: InvalidInput, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        texts = [str(error) for error in errors]
        texts[:-1] = map(_end_sentence, texts[:-1])
        super().__init__(status, " ".join(texts))
        self.errors = errors


def _end_sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


class UnusableValue(InvalidRequest):
    """422: the request follows /api/openapi.json, but its values break a rule that a schema cannot express."""

    def __init__(self, *errors: InvalidInput) -> None:
        super().__init__(*errors, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def problem_response(
    path: str,
    status: int,
    detail: str,
    *,
    errors: list[InvalidInput] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    title = reason_phrase(status)
    body = ProblemDetails(
        title=title,
        status=status,
        detail=detail,
        instance=mask_token(path),
        request_id=current_request_id() or None,
        errors=errors,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE, headers=headers)


def respond_with_problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[InvalidInput] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the problem as JSON, or as a page for a browser. A ping always gets JSON."""
    path = request.url.path
    if not path.startswith(PING_PATH_PREFIX) and (page := create_problem_page(request, status, detail, headers)):
        return page
    return problem_response(path, status, detail, errors=errors, headers={**(headers or {}), "Vary": "Accept"})


def add_problem_handlers(api: FastAPI) -> None:
    """Add a handler for every error that a route can raise."""
    handlers: dict[type[Exception], Callable[..., Awaitable[Response]]] = {
        ApiError: _respond_api_error,
        UnknownJob: _respond_unknown_job,
        OperationError: _respond_operation_error,
        InvalidContinuation: _respond_invalid_continuation,
        StoreError: _respond_unavailable,
        DispatchError: _respond_unavailable,
        RequestValidationError: _respond_invalid_request,
        HTTPException: _respond_http_error,
    }
    for error, handler in handlers.items():
        api.add_exception_handler(error, handler)


async def _respond_api_error(request: Request, error: ApiError) -> Response:
    errors = list(error.errors) if isinstance(error, InvalidRequest) else None
    return respond_with_problem(request, error.status, error.detail, errors=errors)


async def _respond_unknown_job(request: Request, error: UnknownJob) -> Response:
    near = f" Did you mean {error.suggestion}?" if error.suggestion else ""
    detail = f"There is no job named {error.name!r}.{near} GET /api/jobs lists the jobs."
    return respond_with_problem(request, HTTPStatus.NOT_FOUND, detail)


async def _respond_operation_error(request: Request, error: OperationError) -> Response:
    if isinstance(error, InvalidDefinition):
        return _invalid_definition(request, error)
    if isinstance(error, InvalidArgument):
        return await _respond_unusable(request, f"body.{error.field}", error)
    text = str(error)
    headers = {"ETag": error.etag} if isinstance(error, PreconditionFailed) and error.etag else None
    return respond_with_problem(request, _STATUS_OF[type(error)], f"{text[0].upper()}{text[1:]}.", headers=headers)


async def _respond_invalid_continuation(request: Request, error: InvalidContinuation) -> Response:
    return await _respond_unusable(request, "query.continuation", error)


async def _respond_unusable(request: Request, location: str, error: Exception) -> Response:
    return await _respond_api_error(request, UnusableValue(InvalidInput(location=location, message=str(error))))


async def _respond_unavailable(request: Request, error: StoreError | DispatchError) -> Response:
    _log.error("%s %s: %s", request.method, mask_token(request.url.path), error)
    headers = {"Retry-After": RETRY_AFTER}
    return respond_with_problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)


async def _respond_invalid_request(request: Request, error: RequestValidationError) -> Response:
    return await _respond_api_error(request, InvalidRequest(*_invalid_inputs(request, error)))


async def _respond_http_error(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = find_allowed_methods(request)
    return respond_with_problem(request, error.status_code, _http_detail(request, error, headers), headers=headers)


def describe_problem(problem: Problem) -> InvalidInput:
    """Return what is wrong with a definition in the body."""
    return InvalidInput(location=f"body.{problem.key}".rstrip("."), message=problem.message, hint=problem.hint or None)


def _invalid_definition(request: Request, error: InvalidDefinition) -> Response:
    problems = error.problems
    errors = [*map(describe_problem, problems[:MAX_LISTED_FINDINGS])]
    number = format_count(len(problems), "problem")
    detail = f"The definition has {number}. {_end_sentence(str(errors[0]))}"
    return respond_with_problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _invalid_inputs(request: Request, error: RequestValidationError) -> list[InvalidInput]:
    for each in error.errors():
        if each["type"] == "json_invalid":
            message = f"is not valid JSON: {each['ctx']['error']} at character {each['loc'][-1]}"
            return [InvalidInput(location="body", message=message)]
    return [
        InvalidInput(location=dotted_path(*finding.path), message=finding.message, hint=finding.hint or None)
        for finding in find_invalid_inputs(request, error.errors())
    ]


def _http_detail(request: Request, error: HTTPException, headers: Mapping[str, str]) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "There is no route with this path. GET /api/openapi.json describes all routes."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"The method {request.method} is not allowed for this path. Use {headers['Allow']}."
    return str(error.detail)


_STATUS_OF: dict[type[OperationError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    ReadOnlyJob: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
}


class UnexpectedErrors:
    """Answers 500 to an error without a handler, and logs it.

    A middleware, because that of Starlette is outside of all others (its responses lack the security headers) and
    raises the error again, which replaces the response in the Functions host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("%s %s failed", scope.get("method"), mask_token(str(scope.get("path"))))
            if has_started or scope["type"] != "http":
                raise
            answer = problem_response(
                scope["path"],
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The scheduler failed to process the request. The log contains the error.",
            )
            await answer(scope, receive, send)
