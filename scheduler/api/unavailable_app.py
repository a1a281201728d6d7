"""What is answered while the program cannot be opened, in place of the whole API. Made by scheduler.hosts.functions.

The process lives and says so: restarting it would mend nothing. Everything else is a problem that says what to mend,
except at the routes of health and pings, which need no key: what is wrong may name files, hosts and accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPMethod, HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobs.problems import Problem
from scheduler.api.liveness import LIVE_BODY, LIVE_PATH
from scheduler.api.middleware.common import add_common_middleware
from scheduler.api.models.base import RETRY_AFTER
from scheduler.api.problems import InvalidInput, problem_response
from scheduler.api.requests import ANY_HOST

MAX_LISTED_PROBLEMS = 100
"""Of a folder of broken files; the detail says how many there are."""

_HEALTH = "/api/health"
_PINGS = "/api/ping/"
_PINGS_UNAVAILABLE = "Pings cannot be taken now: send it again."
_REASON_WITHHELD = (
    "The program cannot be opened, so nothing runs: GET /api/status tells why, to those with a key; so does the log."
)


def create_unavailable_api(detail: str, problems: Sequence[Problem] = ()) -> Starlette:
    """503 with `detail` and each problem at every address that needs a key, without them at those of health and
    pings; 200 at /api/health/live."""
    errors = [_invalid_input(each) for each in problems[:MAX_LISTED_PROBLEMS]] or None

    async def closed(request: Request) -> JSONResponse:
        path, headers = request.url.path, {"Retry-After": RETRY_AFTER}
        if path.startswith(_PINGS):
            return problem_response(f"{_PINGS}***", HTTPStatus.SERVICE_UNAVAILABLE, _PINGS_UNAVAILABLE, headers=headers)
        if path == _HEALTH or path.startswith(f"{_HEALTH}/"):
            return problem_response(path, HTTPStatus.SERVICE_UNAVAILABLE, _REASON_WITHHELD, headers=headers)
        return problem_response(path, HTTPStatus.SERVICE_UNAVAILABLE, detail, errors=errors, headers=headers)

    async def live(request: Request) -> Response:
        return Response(LIVE_BODY, media_type="application/json")

    routes = [Route(LIVE_PATH, live), Route("/{path:path}", closed, methods=list(HTTPMethod))]
    api = Starlette(routes=routes)
    add_common_middleware(api, hosts=(ANY_HOST,))
    return api


def _invalid_input(found: Problem) -> InvalidInput:
    """Its place is the file with the line, then the key, as far as it has them."""
    file = f"{found.file}:{found.line}" if found.file and found.line is not None else found.file
    where = ": ".join(part for part in (file, found.key) if part)
    return InvalidInput(where=where, message=found.message, hint=found.hint or None)
