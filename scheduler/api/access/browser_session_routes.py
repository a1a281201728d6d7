"""The routes that list and end the sessions of browsers. Not for callers that are limited to tags."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path

from scheduler.api.access.browser_session_models import BrowserSessionList, BrowserSessionModel
from scheduler.api.dependencies import CallerDep, ServicesDep
from scheduler.api.routing import ApiRouter

router = ApiRouter("session")

SessionHandle = Annotated[
    str, Path(max_length=50, description="The session's `id` in the list", examples=["9f86d081884c"])
]


@router.manage("/api/sessions", method="GET")
async def list_sessions(services: ServicesDep) -> BrowserSessionList:
    """List the sessions of browsers that have not ended, by principal. No response contains the cookie of one."""
    found = await services.operations.sessions.list_sessions()
    return BrowserSessionList(sessions=[BrowserSessionModel.from_session(each) for each in found])


@router.manage("/api/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT)
async def end_session(services: ServicesDep, caller: CallerDep, session_id: SessionHandle) -> None:
    """End the session of a browser: every process rejects it within seconds."""
    await services.operations.sessions.end(session_id, caller)
