"""The routes of heartbeats: one shows that of a job, the others receive pings.

A ping requires no key: the token in its path is the credential. Its response reveals nothing: an unknown token gets the
same 404 as an unknown path, and errors appear only in the log. The token is removed from the path of the request, so
that no log contains it.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from jobs.heartbeat import PingSignal
from scheduler.api.middleware.requests import find_client_address
from scheduler.api.problems import problem_response
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.api.scopes import PING_PATH_PREFIX, mask_token
from scheduler.features.heartbeats.models import HeartbeatModel
from scheduler.features.heartbeats.service import MAX_PING_BODY, IncomingPing, TokensUnavailable
from scheduler.model_base import RETRY_AFTER
from scheduler.stores.heartbeats import PINGS_PER_JOB
from scheduler.stores.port import StoreError

router = ApiRouter("heartbeats", by_tag=True)

HeartbeatName = Annotated[str, Path(description="The job's name", examples=["nightly-backup"])]


@router.read("/api/jobs/{name}/heartbeat", problems=(HTTPStatus.CONFLICT,))
async def get_heartbeat(services: ServicesDep, name: HeartbeatName) -> HeartbeatModel:
    """Return the state of a job's heartbeat, when it goes down, and its last 100 pings."""
    return await services.heartbeats.view_heartbeat(name, PINGS_PER_JOB)


MASKED_PATH = mask_token(PING_PATH_PREFIX)
_MAX_READ_BYTES = MAX_PING_BODY + 4096
"""Bytes of a body that are read: more than are stored, so that a secret at the end is complete and redacted."""
_MAX_DRAINED_BYTES = 1024 * 1024
"""Bytes that are received so that a client gets its response. A longer body is cut off."""

_log = logging.getLogger("scheduler.queries.heartbeats")

# Unknown query parameters are accepted: some senders add their own.
pings_router = ApiRouter("heartbeats", accepts_unknown_query=True)

Token = Annotated[
    str, Path(max_length=500, description="The job's token", examples=["2fd4e1c67a2d28fced849ee1bb76e739"])
]
Result = Annotated[
    str,
    Path(max_length=10, description="start, fail, log, or the exit code of the program (0 to 255)", examples=["start"]),
]
RunParameter = Annotated[
    str | None,
    Query(
        alias="rid", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Id of the run, which pairs a start with its end"
    ),
]
StatusParameter = Annotated[
    Literal["up", "down"] | None,
    Query(description="For senders that can only add query parameters; `down` is a failure"),
]
TextParameter = Annotated[str, Query(description="Text to store if the request has no body")]


# Also with a trailing slash: curl does not follow a redirect by default, and exits with 0.
@pings_router.ping("GET", "/api/ping/{token}/", response_class=PlainTextResponse, include_in_schema=False)
@pings_router.ping("POST", "/api/ping/{token}/", response_class=PlainTextResponse, include_in_schema=False)
@pings_router.ping("GET", "/api/ping/{token}", response_class=PlainTextResponse)
@pings_router.ping("POST", "/api/ping/{token}", operation_id="ping_with_body", response_class=PlainTextResponse)
async def ping(
    request: Request,
    services: ServicesDep,
    token: Token,
    rid: RunParameter = None,
    status: StatusParameter = None,
    msg: TextParameter = "",
) -> Response:
    """Report success, or the result in `status`. Up to 10 KiB of the body of a POST are stored."""
    signal = PingSignal.FAIL if status == "down" else PingSignal.SUCCESS
    return await _receive_ping(request, services, token, signal, None, rid, msg)


@pings_router.ping("GET", "/api/ping/{token}/{result}", response_class=PlainTextResponse)
@pings_router.ping(
    "POST", "/api/ping/{token}/{result}", operation_id="ping_result_with_body", response_class=PlainTextResponse
)
async def ping_result(
    request: Request, services: ServicesDep, token: Token, result: Result, rid: RunParameter = None
) -> Response:
    """Report a start, a failure, an exit code (0 is success) or a log line.

    Up to 10 KiB of the body of a POST are stored, for example the last lines of a log.
    """
    signal, exit_code = _parse_result(result)
    return await _receive_ping(request, services, token, signal, exit_code, rid)


def _parse_result(result: str) -> tuple[PingSignal, int | None]:
    if result in (PingSignal.START, PingSignal.FAIL, PingSignal.LOG):
        return PingSignal(result), None
    if not re.fullmatch(r"\d{1,3}", result, re.ASCII) or int(result) > 255:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return (PingSignal.FAIL if int(result) else PingSignal.SUCCESS), int(result)


async def _receive_ping(
    request: Request,
    services: ServicesDep,
    token: str,
    signal: PingSignal,
    exit_code: int | None,
    rid: str | None,
    text: str = "",
) -> Response:
    request.scope["path"] = MASKED_PATH
    agent, source = request.headers.get("user-agent", ""), find_client_address(request.scope)
    sent = IncomingPing(signal, exit_code, rid or "", source, agent, await _read_text(request) or text)
    try:
        is_known = await services.operations.pings.receive(token, sent)
    except (TokensUnavailable, StoreError) as error:
        _log.error(
            "could not accept a ping: %s; the sender must retry", str(error) or "some heartbeat tokens are unreadable"
        )
        detail, headers = "Pings are not accepted now. Send the ping again.", {"Retry-After": RETRY_AFTER}
        return problem_response(MASKED_PATH, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)
    if not is_known:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return PlainTextResponse("OK")


async def _read_text(request: Request) -> str:
    stored, size = b"", 0
    async for chunk in request.stream():
        stored += chunk[: _MAX_READ_BYTES - len(stored)]
        size += len(chunk)
        if size > _MAX_DRAINED_BYTES:
            break
    return stored.decode("utf-8", "replace")
