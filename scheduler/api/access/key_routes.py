"""The routes that list, create, rotate and revoke API keys."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path
from pydantic import Field

from scheduler.api.access.key_models import CreatedKeyModel, KeyList, KeyModel
from scheduler.api.dependencies import CallerDep, ServicesDep
from scheduler.api.models.requests import Instant, RequestModel, example
from scheduler.api.requests.idempotency import mark_secret_response
from scheduler.api.routing import ApiRouter
from scheduler.identity.principal import TAG_LIMIT_PATTERN, Role, parse_tag_limits
from scheduler.operations.api_keys import (
    DEFAULT_OVERLAP,
    KEY_NAME_PATTERN,
    MAX_ADDRESSES,
    MAX_OVERLAP,
    MAX_TAGS,
    NewKey,
)

# A caller that is limited to tags manages the keys that are limited to these tags.
router = ApiRouter("keys", by_tag=True)

KeyId = Annotated[
    str, Path(max_length=50, description="The key's id, the third part of its text", examples=["k7f3m2qd9x"])
]
_TEXT = Annotated[str, Field(max_length=200)]
_TAG = Annotated[
    str,
    Field(max_length=200, pattern=TAG_LIMIT_PATTERN, description="such as team:payments", examples=["team:payments"]),
]


class CreateKeyRequest(RequestModel):
    """`role`: viewer reads, operator acts as well, admin changes stored objects as well.

    `tags`: such as `team:payments`; the key sees only jobs with one of them. `expires_at` null: without an end.
    `addresses`: networks that may use it, such as `10.20.0.0/16`; empty: any address.
    """

    model_config = example(
        {
            "name": "deploy-pipeline",
            "role": "operator",
            "tags": ["team:payments"],
            "expires_at": "2030-01-01T00:00:00Z",
            "addresses": ["10.20.0.0/16"],
        }
    )

    name: str = Field(pattern=KEY_NAME_PATTERN)
    role: Annotated[Role, Field(strict=False)]
    tags: list[_TAG] = Field(default=[], max_length=MAX_TAGS)
    expires_at: Instant | None = None
    addresses: list[_TEXT] = Field(default=[], max_length=MAX_ADDRESSES)


class RotateKeyRequest(RequestModel):
    """`overlap`: seconds for which the old key stays valid."""

    model_config = example({"overlap": 3600})

    overlap: float = Field(default=DEFAULT_OVERLAP, ge=0, le=MAX_OVERLAP)


@router.manage("/api/keys", method="GET")
async def list_keys(services: ServicesDep, caller: CallerDep) -> KeyList:
    """List all API keys by name, also revoked and expired ones. No response contains the text of an existing key."""
    now = services.clock.now()
    stored = await services.operations.api_keys.list_keys(caller)
    return KeyList(keys=[KeyModel.from_key(one.key, now, one.last_used_at) for one in stored])


@router.manage(
    "/api/keys",
    method="POST",
    status_code=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
    dependencies=[Depends(mark_secret_response)],
)
async def create_key(services: ServicesDep, caller: CallerDep, body: CreateKeyRequest) -> CreatedKeyModel:
    """Create an API key. The response contains its text, which is not stored: nothing shows it again.

    409 if an active key has this name. A caller that is limited to tags can only create keys with the same limits.
    """
    tags = parse_tag_limits(body.tags)
    new = NewKey(body.name, body.role, tags, body.expires_at, tuple(body.addresses))
    created = await services.operations.api_keys.create(new, caller)
    return CreatedKeyModel.from_created(created, services.clock.now())


@router.manage("/api/keys/{key_id}", method="GET")
async def get_key(services: ServicesDep, caller: CallerDep, key_id: KeyId) -> KeyModel:
    """Return an API key without its text."""
    stored = await services.operations.api_keys.get_key(key_id, caller)
    return KeyModel.from_key(stored.key, services.clock.now(), stored.last_used_at)


@router.manage(
    "/api/keys/{key_id}/rotate",
    method="POST",
    status_code=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
    dependencies=[Depends(mark_secret_response)],
)
async def rotate_key(
    services: ServicesDep, caller: CallerDep, key_id: KeyId, body: RotateKeyRequest | None = None
) -> CreatedKeyModel:
    """Create a successor with the same rights. Both keys are valid for `overlap` seconds, then the old one ends.

    409 if the key is not active, or already has a successor.
    """
    overlap = (body or RotateKeyRequest()).overlap
    created = await services.operations.api_keys.rotate(key_id, caller, overlap=overlap)
    return CreatedKeyModel.from_created(created, services.clock.now())


@router.manage("/api/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT, problems=(HTTPStatus.CONFLICT,))
async def revoke_key(services: ServicesDep, caller: CallerDep, key_id: KeyId) -> None:
    """End an API key: every process rejects it within seconds. The key stays in the list."""
    await services.operations.api_keys.revoke(key_id, caller)
