"""API keys, the caller of a request, and the sessions of browsers in responses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from scheduler.authentication.port import Authenticated, Authentication
from scheduler.features.access.service import CreatedKey
from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import Role, format_tag_limits
from scheduler.model_base import ResponseModel, example_values
from scheduler.stores.identity import Session


class KeyModel(ResponseModel):
    """An API key without its text. `active`: neither revoked nor expired. `last_used_at`: correct to a minute.

    `tags`: the key sees only jobs with one of these tags; empty: all jobs. `addresses`: networks that may use it;
    empty: any address. `successor`: id of the key that replaces it.
    """

    id: str
    name: str
    role: Role
    tags: list[str]
    addresses: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    successor: str | None
    active: bool

    @classmethod
    def from_key(cls, key: ApiKey, now: datetime, last_used_at: datetime | None = None) -> Self:
        return cls(**_members_of_key(key, now), last_used_at=last_used_at)


class CreatedKeyModel(KeyModel):
    """A new API key with its text, which no other response contains. `replaced`: the key that it replaces."""

    key: str = Field(
        examples=["sch_o_k7f3m2qd9x_..."],
        description="The text of the key, shown once",
        json_schema_extra={"format": "password"},
    )
    replaced: KeyModel | None = None

    @classmethod
    def from_created(cls, created: CreatedKey, now: datetime) -> Self:
        replaced = None if created.replaced is None else KeyModel.from_key(created.replaced, now)
        return cls(**_members_of_key(created.key, now), last_used_at=None, key=created.text, replaced=replaced)


class KeyList(ResponseModel):
    keys: list[KeyModel]


def _members_of_key(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "tags": format_tag_limits(key.tags),
        "addresses": list(key.addresses),
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "successor": key.successor or None,
        "active": key.is_active_at(now),
    }


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
