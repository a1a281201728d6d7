"""Defines the caller of a request in responses."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from scheduler.api.models.base import ResponseModel
from scheduler.authentication.port import Authenticated, Authentication
from scheduler.identity.principal import Role, format_tag_limits


class SessionModel(ResponseModel):
    """The caller. `tags`: it sees only jobs with one of these tags; empty: all jobs.

    `ends_at`: the end of the session or of the credential, null without one. `idle_seconds`: a session ends after this
    time without a request; null without a session.
    """

    principal: str
    role: Role
    tags: list[str]
    ends_at: datetime | None
    idle_seconds: float | None

    @classmethod
    def from_caller(cls, caller: Authenticated, authentication: Authentication, ends_at: datetime | None) -> Self:
        sessions, who = authentication.sessions, caller.principal
        idle = sessions.rules.idle if sessions is not None and caller.session_id else None
        return cls(
            principal=who.id, role=who.role, tags=format_tag_limits(who.tags), ends_at=ends_at, idle_seconds=idle
        )
