"""Defines API keys in responses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from scheduler.api.models.base import ResponseModel
from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import Role, format_tag_limits
from scheduler.operations.api_keys import CreatedKey


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
        return cls(**_members(key, now), last_used_at=last_used_at)


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
        return cls(**_members(created.key, now), last_used_at=None, key=created.text, replaced=replaced)


class KeyList(ResponseModel):
    keys: list[KeyModel]


def _members(key: ApiKey, now: datetime) -> dict[str, Any]:
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
