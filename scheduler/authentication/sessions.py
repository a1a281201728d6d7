"""Sessions of browsers, which cannot send a credential with each request. Used by
scheduler.app.authentication_setup and the routes of sessions.

A session is stored, so that it can be ended and survives a restart. The cookie is random; the store has its hash. A
session that started with an API key ends with it: role and tags are those of the key now.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.ports import Clock
from scheduler.authentication.own import CachedReads, KeyVerifier
from scheduler.authentication.port import Authenticated, AuthenticationUnavailable, InvalidCredential
from scheduler.identity.principal import Principal, PrincipalKind
from scheduler.stores.identity import Session, StoredSessions, expiry_prefix
from scheduler.stores.port import StoreError

SECURE_COOKIE = "__Host-scheduler_session"
"""The prefix lets a browser accept the cookie only with Secure, for this host alone, and from nothing but HTTPS."""
PLAIN_COOKIE = "scheduler_session"
"""On loopback without TLS, where a browser would drop a cookie with Secure."""
USE_INTERVAL = timedelta(seconds=60)
"""Time between two records of the last use."""
MAX_SESSIONS = 20
"""Of a principal: a further one ends the oldest."""
MAX_STARTS = 60
"""Of a principal within START_WINDOW, in each process: each is an entry of the audit trail."""
START_WINDOW = 3600.0
"""Seconds."""

_log = logging.getLogger("scheduler.authentication")
_COOKIE = re.compile(r"(\d{11})\.[0-9A-Za-z_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionRules:
    """`lifetime`: seconds until it ends whatever happens; `idle`: seconds without a request after which it ends.

    `accepts_plain`: accept the cookie without Secure as well.
    """

    lifetime: float
    idle: float
    accepts_plain: bool = False


class Sessions:
    """Starts, finds and ends sessions of browsers."""

    def __init__(self, stored: StoredSessions, keys: KeyVerifier, rules: SessionRules, clock: Clock) -> None:
        self._stored = stored
        self._keys = keys
        self._clock = clock
        self._cached = CachedReads(stored.find, clock)
        self._starts: dict[str, deque[float]] = {}
        self.rules = rules

    def count_start(self, principal: Principal) -> float:
        """Count a start of a session. Return 0, or in how many seconds the principal can start another one."""
        now = self._clock.monotonic()
        for name in [name for name, starts in self._starts.items() if starts[-1] <= now - START_WINDOW]:
            del self._starts[name]
        starts = self._starts.setdefault(principal.id, deque(maxlen=MAX_STARTS))
        if len(starts) == MAX_STARTS and (wait := starts[0] + START_WINDOW - now) > 0:
            return wait
        starts.append(now)
        return 0.0

    async def list_surplus(self, principal: Principal) -> Sequence[Session]:
        """Return the sessions that a further one of the principal replaces, the oldest first. Raises StoreError."""
        active = await self._stored.list_of(principal, self._clock.now())
        return active[: max(0, len(active) - MAX_SESSIONS + 1)]

    async def start(
        self, caller: Authenticated, replaced: Sequence[Session] = (), address: str = ""
    ) -> tuple[str, Session]:
        """End the replaced sessions and start one; return the value of its cookie. It ends with the credential at the
        latest. `address`: of the client.

        Raises StoreError: no session was started.
        """
        for session in replaced:
            await self.end(session.id)
        now = self._clock.now()
        ends_at = now + timedelta(seconds=self.rules.lifetime)
        if caller.valid_until is not None:
            ends_at = min(ends_at, caller.valid_until)
        cookie = f"{expiry_prefix(ends_at)}.{secrets.token_urlsafe(32)}"
        session = Session(
            _session_id(cookie), caller.principal, caller.key_id, ends_at, now, started_at=now, address=address
        )
        await self._stored.insert(session, now)
        return cookie, session

    async def authenticate(self, cookies: str, address: str) -> Authenticated | None:
        """Return the caller of a Cookie header; None without a valid session. Raises AuthenticationUnavailable."""
        for value in self._find_cookies(cookies):
            try:
                return await self._authenticate(_session_id(value), address)
            except StoreError:
                detail = "Sessions cannot be verified now, because the store is unavailable. Retry later."
                raise AuthenticationUnavailable(detail, reason="store_unavailable", way=PrincipalKind.SESSION) from None
        return None

    async def end(self, session_id: str) -> None:
        """End a session. Other processes notice within seconds. Raises StoreError."""
        await self._stored.delete(session_id)
        self._cached.store(session_id, None)

    def _find_cookies(self, header: str) -> Iterator[str]:
        names = (SECURE_COOKIE, PLAIN_COOKIE) if self.rules.accepts_plain else (SECURE_COOKIE,)
        pairs = dict(part.strip().partition("=")[::2] for part in reversed(header.split(";")))
        return (pairs[name] for name in names if _COOKIE.fullmatch(pairs.get(name, "")))

    async def _authenticate(self, session_id: str, address: str) -> Authenticated | None:
        session = await self._cached.find(session_id)
        if session is None:
            return None
        now = self._clock.now()
        if now >= session.ends_at or now >= session.used_at + timedelta(seconds=self.rules.idle):
            await self.end(session_id)
            return None
        principal = session.principal
        if session.key_id:
            try:
                principal = (await self._keys.verify_id(session.key_id, address)).principal
            except InvalidCredential:
                await self.end(session_id)
                return None
        await self._record_use(session, now)
        return Authenticated(_session_principal(principal), session.key_id, session.ends_at, session_id)

    async def _record_use(self, session: Session, now: datetime) -> None:
        if now - session.used_at < USE_INTERVAL:
            return
        used = replace(session, used_at=now)
        try:
            await self._stored.record_use(used)
        except StoreError as error:
            _log.warning("could not record the use of a session: %s; the session stays valid", error)
        # The etag is unknown now: the next read, in a few seconds, returns it.
        self._cached.store(session.id, used)


def _session_principal(principal: Principal) -> Principal:
    return replace(principal, kind=PrincipalKind.SESSION, name=principal.id)


def _session_id(cookie: str) -> str:
    return f"{cookie[:11]}-{hashlib.sha256(cookie.encode('ascii')).hexdigest()}"
