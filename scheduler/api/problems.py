"""Errors as problem details (RFC 9457, application/problem+json). Registered by scheduler.api.app.

Every error says what is wrong and how to mend it; nothing of a traceback leaves the process.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from scheduler.catalog import UnknownJob
from scheduler.dispatch.port import DispatchError
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.api")

RETRY_AFTER = "5"
"""Seconds to stay away while a part is down."""


class Invalid(BaseModel):
    """One thing that is wrong with the request."""

    where: str
    message: str


class Problem(BaseModel):
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


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What is wrong with the request", "content": {"application/problem+json": {}}},
    "5XX": {"description": "What is wrong here", "content": {"application/problem+json": {}}},
}


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[Invalid] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, instance=request.url.path, errors=errors
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status, media_type="application/problem+json", headers=headers
    )


def add_problem_handlers(api: FastAPI) -> None:
    """Every error that a route can end with."""

    @api.exception_handler(ApiProblem)
    async def _api_problem(request: Request, error: ApiProblem) -> JSONResponse:
        return problem(request, error.status, error.detail)

    @api.exception_handler(UnknownJob)
    async def _unknown_job(request: Request, error: UnknownJob) -> JSONResponse:
        return problem(request, 404, f"There is no job named {error.name!r}. GET /api/jobs lists them.")

    @api.exception_handler(StoreError)
    @api.exception_handler(DispatchError)
    async def _part_away(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s: %s", request.method, request.url.path, error)
        return problem(request, 503, str(error), headers={"Retry-After": RETRY_AFTER})

    @api.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            Invalid(where=".".join(str(part) for part in found["loc"]), message=found["msg"])
            for found in error.errors()
        ]
        detail = "; ".join(f"{found.where}: {found.message}" for found in errors)
        return problem(request, 400, detail, errors=errors)

    @api.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = "Nothing is found at this address. GET /api/openapi.json describes what there is."
        return problem(request, error.status_code, detail, headers=dict(error.headers or {}))

    @api.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(request, 500, "Something went wrong here; the log has the details.")
