"""API keys, the caller of a request, and the sessions of browsers, as the API, the commands and the page show them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from scheduler.identity.principal import Role
from scheduler.model_base import ListModel, ResponseModel, example_values


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


class CreatedKeyModel(KeyModel):
    """A new API key with its text, which no other response contains. `replaced`: the key that it replaces."""

    key: str = Field(
        examples=["sch_o_k7f3m2qd9x_..."],
        description="The text of the key, shown once",
        json_schema_extra={"format": "password"},
    )
    replaced: KeyModel | None = None


class KeyList(ListModel[KeyModel]):
    keys: list[KeyModel]


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


class BrowserSessionList(ListModel[BrowserSessionModel]):
    sessions: list[BrowserSessionModel]
