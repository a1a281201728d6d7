"""Defines the sessions of browsers in responses."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from scheduler.api.models.base import ResponseModel, example_values
from scheduler.identity.principal import Role, format_tag_limits
from scheduler.stores.identity.sessions import Session


class BrowserSessionModel(ResponseModel):
    """A session of a browser. `id`: the beginning of its id. `role`, `tags`: of the principal when it started.

    `started_at` is null and `address` empty for a session that an older version has started. `last_used_at`: correct to
    a minute. `ends_at`: at the latest.
    """

    model_config = example_values(id="9f86d081884c", principal="api_key:deploy", address="203.0.113.7")

    id: str
    principal: str
    role: Role
    tags: list[str]
    address: str
    started_at: datetime | None
    last_used_at: datetime
    ends_at: datetime

    @classmethod
    def from_session(cls, session: Session) -> Self:
        who = session.principal
        return cls(
            id=session.handle,
            principal=who.id,
            role=who.role,
            tags=format_tag_limits(who.tags),
            address=session.address,
            started_at=session.started_at,
            last_used_at=session.used_at,
            ends_at=session.ends_at,
        )


class BrowserSessionList(ResponseModel):
    sessions: list[BrowserSessionModel]
