"""Errors as problem details (RFC 9457, application/problem+json). Registered by scheduler.api.app.

Every error says what is wrong, where, and how to mend it; nothing of a traceback leaves the process.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.problems import dotted, findings_of
from scheduler.api.allowed_methods import allowed_methods
from scheduler.api.answer import RETRY_AFTER, Answer
from scheduler.api.error_page import error_page, wants_page
from scheduler.catalog import UnknownJob
from scheduler.dispatch.port import DispatchError
from scheduler.operations.errors import Conflict, NotDone, NotThere, Unusable
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.api")

MEDIA_TYPE = "application/problem+json"


class Invalid(Answer):
    """One thing that is wrong with the request. `where` is a place such as `query.limit`."""

    where: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class Problem(Answer):
    """RFC 9457. `type` is about:blank: the status says what kind it is, `detail` what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Invalid] | None = None


class ApiProblem(Exception):
    """Raised by routes; becomes the answer."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


PINGS = "/api/ping/"
"""How the paths begin that go on with a token."""


class InvalidRequest(ApiProblem):
    """400: parts of the request cannot be used."""

    def __init__(self, *errors: Invalid) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, ". ".join(str(error) for error in errors))
        self.errors = errors


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What is wrong with the request", "content": _CONTENT},
    "5XX": {"description": "What is wrong here", "content": _CONTENT},
}


def describe_problems(api: FastAPI) -> None:
    """Put the schemas that PROBLEM_RESPONSES refer to into /api/openapi.json."""
    _, schemas = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            described = get_openapi(
                title=api.title, version=api.version, description=api.description, routes=api.routes
            )
            described["components"]["schemas"] |= schemas["$defs"]
            api.openapi_schema = described
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def problem(
    path: str,
    status: int,
    detail: str,
    *,
    errors: list[Invalid] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    title = HTTPStatus(status).phrase
    body = Problem(title=title, status=status, detail=detail, instance=without_token(path), errors=errors)
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE, headers=headers)


def answer_problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[Invalid] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem as JSON, or as a page for a browser. Who pings is no browser, whatever its header says."""
    path = request.url.path
    if not path.startswith(PINGS) and wants_page(request):
        return error_page(request, status, detail, headers)
    return problem(path, status, detail, errors=errors, headers={**(headers or {}), "Vary": "Accept"})


def without_token(path: str) -> str:
    """The path as it may be told. The redactor knows no token that a sender has mistyped, or that was rotated."""
    return f"{PINGS}***" if path.startswith(PINGS) else path


def add_problem_handlers(api: FastAPI) -> None:
    """Every error that a route can end with."""

    @api.exception_handler(ApiProblem)
    async def _api_problem(request: Request, error: ApiProblem) -> Response:
        errors = list(error.errors) if isinstance(error, InvalidRequest) else None
        return answer_problem(request, error.status, error.detail, errors=errors)

    @api.exception_handler(UnknownJob)
    async def _unknown_job(request: Request, error: UnknownJob) -> Response:
        near = f" Did you mean {error.near}?" if error.near else ""
        detail = f"There is no job named {error.name!r}.{near} GET /api/jobs lists them."
        return answer_problem(request, HTTPStatus.NOT_FOUND, detail)

    @api.exception_handler(NotDone)
    async def _not_done(request: Request, error: NotDone) -> Response:
        if isinstance(error, Unusable):
            return await _api_problem(request, InvalidRequest(Invalid(where=f"body.{error.field}", message=str(error))))
        text = str(error)
        return answer_problem(request, _STATUS_OF[type(error)], f"{text[0].upper()}{text[1:]}.")

    @api.exception_handler(StoreError)
    @api.exception_handler(DispatchError)
    async def _part_away(request: Request, error: Exception) -> Response:
        _log.error("%s %s: %s", request.method, without_token(request.url.path), error)
        headers = {"Retry-After": RETRY_AFTER}
        return answer_problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)

    @api.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        found = [
            Invalid(where=dotted(*finding.path), message=finding.message, hint=finding.hint or None)
            for finding in findings_of(error.errors(), Any)
        ]
        return await _api_problem(request, InvalidRequest(*found))

    @api.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed_methods(request, headers.get("Allow", "GET"))
        return answer_problem(request, error.status_code, _http_detail(request, error, headers), headers=headers)


def _http_detail(request: Request, error: HTTPException, headers: Mapping[str, str]) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "Nothing is found at this address. GET /api/openapi.json describes what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible here: use {headers['Allow']}."
    return str(error.detail)


_STATUS_OF: dict[type[NotDone], HTTPStatus] = {NotThere: HTTPStatus.NOT_FOUND, Conflict: HTTPStatus.CONFLICT}


class UnexpectedErrors:
    """Answers 500 to what no handler knows, and logs it.

    A middleware, as Starlette's own one for this stands outside of all others (its answers would lack the security
    headers) and raises the error on, which in the Functions host takes the place of the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("%s %s failed", scope.get("method"), without_token(str(scope.get("path"))))
            if begun or scope["type"] != "http":
                raise
            answer = problem(
                scope["path"], HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; the log has the details."
            )
            await answer(scope, receive, send)
