"""Converts errors to problem details (RFC 9457, application/problem+json). Registered by scheduler.api.app.

Each problem names the cause, its location and the fix. Tracebacks appear only in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from jobs.formats.counts import format_count
from jobs.problems import Problem, dotted_path
from jobs.request_id import current_request_id
from scheduler.api.allowed_methods import find_allowed_methods
from scheduler.api.invalid_inputs import find_invalid_inputs
from scheduler.api.models.base import RETRY_AFTER, ResponseModel
from scheduler.api.requests.accept import create_problem_page
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
from scheduler.stores.port import StoreError
from scheduler.stores.rows.continuations import InvalidContinuation

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
