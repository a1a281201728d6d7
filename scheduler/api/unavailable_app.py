"""Creates the app that answers while the program cannot be opened. Called by scheduler.hosts.functions.http_apps.

The liveness route answers 200, because a restart would not help. Every other route answers 503 with the cause. The
routes of health and pings, which require no key, omit the cause: it can name files, hosts and accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPMethod, HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobs.problems import Problem
from scheduler.api.middleware.guard import ANY_HOST
from scheduler.api.middleware.stack import add_common_middleware
from scheduler.api.problems import InvalidInput, problem_response
from scheduler.api.scopes import HEALTH_PATH, LIVE_BODY, LIVE_PATH, PING_PATH_PREFIX, mask_token
from scheduler.model_base import RETRY_AFTER

MAX_LISTED_PROBLEMS = 100
"""Problems in a response. The detail contains their total number."""

_PINGS_UNAVAILABLE = "Pings are not accepted now. Send the ping again."
_REASON_IN_LOG = "The program cannot start, so no job runs. The log contains the cause."
_REASON_WITHHELD = (
    "The program cannot start, so no job runs. GET /api/status (with a key) and the log contain the cause."
)


def create_unavailable_api(detail: str, problems: Sequence[Problem] = (), *, is_public: bool = False) -> Starlette:
    """Create an app that answers 200 on /api/health/live and 503 elsewhere, with `detail` and the problems only where a
    key is required.

    `is_public`: the platform requires no key, and without the program no caller can be authenticated.
    """
    errors = [_invalid_input(each) for each in problems[:MAX_LISTED_PROBLEMS]] or None

    async def closed(request: Request) -> JSONResponse:
        path, headers = request.url.path, {"Retry-After": RETRY_AFTER}
        if path.startswith(PING_PATH_PREFIX):
            return problem_response(
                mask_token(path), HTTPStatus.SERVICE_UNAVAILABLE, _PINGS_UNAVAILABLE, headers=headers
            )
        if is_public:
            return problem_response(path, HTTPStatus.SERVICE_UNAVAILABLE, _REASON_IN_LOG, headers=headers)
        if path == HEALTH_PATH or path.startswith(f"{HEALTH_PATH}/"):
            return problem_response(path, HTTPStatus.SERVICE_UNAVAILABLE, _REASON_WITHHELD, headers=headers)
        return problem_response(path, HTTPStatus.SERVICE_UNAVAILABLE, detail, errors=errors, headers=headers)

    async def live(request: Request) -> Response:
        return Response(LIVE_BODY, media_type="application/json")

    routes = [Route(LIVE_PATH, live), Route("/{path:path}", closed, methods=list(HTTPMethod))]
    api = Starlette(routes=routes)
    add_common_middleware(api, hosts=(ANY_HOST,))
    return api


def _invalid_input(problem: Problem) -> InvalidInput:
    """Return the problem with a location of file, line and key, as far as they are known."""
    file = f"{problem.file}:{problem.line}" if problem.file and problem.line is not None else problem.file
    where = ": ".join(part for part in (file, problem.key) if part)
    return InvalidInput(location=where, message=problem.message, hint=problem.hint or None)
