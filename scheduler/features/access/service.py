"""Creates, rotates and revokes API keys, and ends sessions of browsers.

A caller that is limited to tags manages only the keys that are limited to these tags; other keys do not exist for it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from jobs.formats import format_instant
from jobs.ports import Clock
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Operation
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.features.access.models import (
    BrowserSessionList,
    BrowserSessionModel,
    CreatedKeyModel,
    KeyList,
    KeyModel,
)
from scheduler.identity.api_keys import ApiKey, create_api_key_text, hash_api_key
from scheduler.identity.principal import Caller, Principal, Role, Tags, format_tag_limits
from scheduler.stores.identity import ApiKeys, Session, StoredKey, StoredSessions
from scheduler.stores.port import RowChanged

KEY_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$"
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
DEFAULT_OVERLAP = 24 * 3600.0
"""Seconds for which a rotated key stays valid next to its successor."""
MAX_OVERLAP = 30 * 86400.0
MAX_ACTIVE_KEYS = 1000
"""Each key has its own rate limits."""
MAX_ADDRESSES = 20
MAX_TAGS = 20


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to create; its fields have the meaning of those of ApiKey."""

    name: str
    role: Role
    tags: Tags = ()
    expires_at: datetime | None = None
    addresses: tuple[str, ...] = ()


class ApiKeyManager(Operation):
    """All methods raise StoreError: then nothing was changed."""

    def __init__(self, keys: ApiKeys, trail: AuditTrail, clock: Clock) -> None:
        self._keys = keys
        self._trail = trail
        self._clock = clock

    async def list_keys(self, caller: Caller) -> KeyList:
        """Return the keys that the caller manages, also revoked and expired ones, by name."""
        now, stored_keys = self._clock.now(), await self._list_managed(caller)
        return KeyList(keys=[_view_key(stored.key, now, stored.last_used_at) for stored in stored_keys])

    async def get_key(self, key: str, caller: Caller) -> KeyModel:
        """Return a key by its id. Raises NotFound."""
        stored = await self._find(key, caller)
        return _view_key(stored.key, self._clock.now(), stored.last_used_at)

    async def create(self, new: NewKey, caller: Caller) -> CreatedKeyModel:
        """Create a key. Raises InvalidArgument, Conflict: an active key has this name."""
        now = self._clock.now()
        _check(new, caller.principal, now)
        active = [stored.key for stored in await self._keys.list_keys() if stored.key.is_active_at(now)]
        if any(key.name == new.name for key in active):
            raise _used_name(new.name)
        if len(active) >= MAX_ACTIVE_KEYS:
            raise Conflict(f"{len(active)} API keys are active, at most {MAX_ACTIVE_KEYS} are possible: revoke others")
        key, text = _create_key(new, caller.principal.id, now)
        summary = f"API key {new.name} was created with the role {new.role}"
        change = _describe("api_key.create", key, summary, after=key)
        async with audited(self._trail, caller, change):
            await self._keys.insert(key)
            await self._require_only(key, now)
        return CreatedKeyModel.from_object(_view_key(key, now), key=text, replaced=None)

    async def rotate(self, key: str, caller: Caller, *, overlap: float = DEFAULT_OVERLAP) -> CreatedKeyModel:
        """Create a successor with equal rights, and give the key an end after `overlap` seconds.

        Raises NotFound, InvalidArgument, Conflict: the key is not active, or has a successor.
        """
        if not 0 <= overlap <= MAX_OVERLAP:
            raise InvalidArgument("overlap", f"{overlap:g} s is not between 0 and {MAX_OVERLAP:g} s")
        now, stored = self._clock.now(), await self._find(key, caller)
        old = stored.key
        if not old.is_active_at(now):
            raise Conflict(f"API key {old.name} ({old.id}) is not active, so it cannot be rotated: create another one")
        if old.successor:
            raise Conflict(f"API key {old.name} ({old.id}) already has the successor {old.successor}: rotate that one")
        new = NewKey(old.name, old.role, old.tags, _extend(old, now), old.addresses)
        successor, text = _create_key(new, caller.principal.id, now)
        end = now + timedelta(seconds=overlap)
        ends_at = end if old.expires_at is None else min(end, old.expires_at)
        replaced = replace(old, expires_at=ends_at, successor=successor.id)
        summary = f"API key {old.name} was rotated: {successor.id} replaces {old.id} at {format_instant(ends_at)}"
        change = _describe("api_key.rotate", old, summary, before=old, after=replaced)
        async with audited(self._trail, caller, change), _conflict_if_changed():
            await self._keys.rotate(stored, successor, ends_at)
        return CreatedKeyModel.from_object(_view_key(successor, now), key=text, replaced=_view_key(replaced, now))

    async def revoke(self, key: str, caller: Caller) -> KeyModel:
        """End a key now. It stays in the list. A revoked key is unchanged. Raises NotFound."""
        stored, now = await self._find(key, caller), self._clock.now()
        if stored.key.revoked_at is not None:
            return _view_key(stored.key, now, stored.last_used_at)
        revoked = replace(stored.key, revoked_at=now)
        summary = f"API key {revoked.name} ({revoked.id}) was revoked"
        change = _describe("api_key.revoke", revoked, summary, before=stored.key, after=revoked)
        async with audited(self._trail, caller, change), _conflict_if_changed():
            await self._keys.replace(stored, revoked)
        return _view_key(revoked, now, stored.last_used_at)

    async def _list_managed(self, caller: Caller) -> list[StoredKey]:
        return [stored for stored in await self._keys.list_keys() if _manages(caller.principal, stored.key)]

    async def _find(self, key: str, caller: Caller) -> StoredKey:
        for stored in await self._list_managed(caller):
            if stored.key.id == key:
                return stored
        raise NotFound(f"there is no API key with the id {key!r}")

    async def _require_only(self, key: ApiKey, now: datetime) -> None:
        """Revoke a new key if another request has created one of the same name before it. Raises Conflict.

        A name identifies a principal: its limits, its idempotency keys, its entries in the audit trail.
        """
        named = [stored for stored in await self._keys.list_keys() if stored.key.name == key.name]
        first = min((stored.key.created_at, stored.key.id) for stored in named if stored.key.is_active_at(now))
        if first == (key.created_at, key.id):
            return
        own = next(stored for stored in named if stored.key.id == key.id)
        await self._keys.replace(own, replace(key, revoked_at=now))
        raise _used_name(key.name)


def _create_key(new: NewKey, created_by: str, now: datetime) -> tuple[ApiKey, str]:
    """Return a key and its text, which is shown once."""
    key_id, text = create_api_key_text(new.role)
    secret_hash = hash_api_key(text)
    key = ApiKey(key_id, new.name, new.role, secret_hash, now, created_by, new.tags, new.expires_at, new.addresses)
    return key, text


def _view_key(key: ApiKey, now: datetime, last_used_at: datetime | None = None) -> KeyModel:
    return KeyModel.from_object(
        key,
        tags=format_tag_limits(key.tags),
        addresses=list(key.addresses),
        last_used_at=last_used_at,
        successor=key.successor or None,
        active=key.is_active_at(now),
    )


@asynccontextmanager
async def _conflict_if_changed() -> AsyncIterator[None]:
    try:
        yield
    except RowChanged:
        raise Conflict("the API key was changed by another request at the same time: retry") from None


def _used_name(name: str) -> Conflict:
    return Conflict(f"an active API key is named {name}: choose another name, or rotate or revoke it")


def describe_key(key: ApiKey) -> dict[str, object]:
    """Return the members of a key for people and the audit trail, without its hash."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        "tags": format_tag_limits(key.tags),
        "addresses": list(key.addresses),
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
        "successor": key.successor or None,
    }


def _describe(
    action: str, key: ApiKey, summary: str, *, before: ApiKey | None = None, after: ApiKey | None = None
) -> AuditedChange:
    return AuditedChange(
        action,
        key.id,
        summary,
        before=None if before is None else describe_key(before),
        after=None if after is None else describe_key(after),
    )


def _manages(principal: Principal, key: ApiKey) -> bool:
    return not principal.tags or (bool(key.tags) and set(key.tags) <= set(principal.tags))


def _extend(key: ApiKey, now: datetime) -> datetime | None:
    """Return the end of a successor: it lives as long as the key was meant to live."""
    if key.expires_at is None:
        return None
    lifetime = key.expires_at - key.created_at
    return now + min(lifetime, _LAST_INSTANT - now)


def _check(new: NewKey, principal: Principal, now: datetime) -> None:
    if not re.fullmatch(KEY_NAME_PATTERN, new.name, re.ASCII):
        raise InvalidArgument("name", "is not a name: use 1 to 50 letters, digits, dots, hyphens and underscores")
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidArgument("expires_at", f"{format_instant(new.expires_at)} is in the past")
    if len(new.tags) > MAX_TAGS:
        raise InvalidArgument("tags", f"{len(new.tags)} tags, but at most {MAX_TAGS} are allowed")
    if len(new.addresses) > MAX_ADDRESSES:
        raise InvalidArgument("addresses", f"{len(new.addresses)} networks, but at most {MAX_ADDRESSES} are allowed")
    for address in new.addresses:
        try:
            ip_network(address)
        except ValueError as error:
            raise InvalidArgument("addresses", f"{error}: write a network such as 10.20.0.0/16") from None
    if not _manages(principal, _with_tags(new)):
        limits = ", ".join(format_tag_limits(principal.tags))
        raise InvalidArgument("tags", f"{principal.id} can only create keys that are limited to {limits}")


def _with_tags(new: NewKey) -> ApiKey:
    return ApiKey("", new.name, new.role, "", datetime.min, "", new.tags)


class SessionManager(Operation):
    """All methods raise StoreError. The id of a session is not shown: `handle` is its beginning."""

    def __init__(self, stored: StoredSessions, trail: AuditTrail, clock: Clock) -> None:
        self._stored = stored
        self._trail = trail
        self._clock = clock

    async def list_sessions(self) -> BrowserSessionList:
        """Return the sessions that have not ended, by principal, the oldest first."""
        return BrowserSessionList(sessions=[_view_session(session) for session in await self._list()])

    async def end(self, handle: str, caller: Caller) -> BrowserSessionModel:
        """End the session with this handle: every process rejects it within seconds. Raises NotFound."""
        for session in await self._list():
            if session.handle == handle:
                await self._end(session, caller)
                return _view_session(session)
        raise NotFound(f"there is no session {handle!r}: it has ended, or never existed")

    async def end_all_of(self, principal: str, caller: Caller) -> list[BrowserSessionModel]:
        """End all sessions of a principal, such as `api_key:deploy`. Return them."""
        sessions = [session for session in await self._list() if session.principal.id == principal]
        for session in sessions:
            await self._end(session, caller)
        return [_view_session(session) for session in sessions]

    async def _list(self) -> list[Session]:
        sessions = await self._stored.list_all(self._clock.now())
        return sorted(sessions, key=lambda session: (session.principal.id, session.ends_at, session.id))

    async def _end(self, session: Session, caller: Caller) -> None:
        summary = f"session {session.handle} of {session.principal.id} was ended"
        async with audited(self._trail, caller, AuditedChange("session.end", session.principal.id, summary)):
            await self._stored.delete(session.id)


def _view_session(session: Session) -> BrowserSessionModel:
    principal = session.principal
    return BrowserSessionModel.from_object(
        session,
        id=session.handle,
        principal=principal.id,
        role=principal.role,
        tags=format_tag_limits(principal.tags),
        last_used_at=session.used_at,
    )
