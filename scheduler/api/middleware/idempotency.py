"""Answers a repeated POST with the response to the first one, by the header Idempotency-Key. A middleware added by
scheduler.api.middleware.stack, inside of authentication and of the limits.

A key belongs to a principal, a method and a path. The response is stored before it is sent. After a failure of the
server (5xx) a repeat executes the request again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.ports import Clock
from jobs.problems import make_printable
from scheduler.api.middleware.guard import replay_body
from scheduler.api.middleware.requests import RequestRejected, find_client_id, header_values, reject
from scheduler.api.scopes import HEALTH_PATH, PING_PATH_PREFIX
from scheduler.stores.idempotency import REQUEST_LEASE, IdempotencyRecord, IdempotencyRecords, StoredResponse
from scheduler.stores.port import StoreError

HEADER: Final = "idempotency-key"
MAX_KEY_LENGTH: Final = 255
IN_PROGRESS_RETRY_AFTER: Final = "2"
"""Seconds after which to repeat a request while the first one is in progress."""
STORE_RETRY_AFTER: Final = "5"

_EXCLUDED_PATHS = (HEALTH_PATH, PING_PATH_PREFIX)
_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_HAS_SECRET = "response_has_secret"
_OMITTED_HEADERS = frozenset({"content-length", "set-cookie"})
_BODY_OMITTED = (
    b'{"detail":"This repeats an earlier request, whose response body was not stored because it is too large or has '
    b'a secret. Its status and headers are those of this response; GET the object for its state."}'
)

_log = logging.getLogger("scheduler.api")


async def mark_secret_response(request: Request) -> None:
    """A FastAPI dependency of routes whose response contains a secret: the body is not stored for repeats."""
    request.scope.setdefault("state", {})[_HAS_SECRET] = True


class Idempotency:
    """Executes a POST with an idempotency key once."""

    def __init__(self, app: ASGIApp, records: IdempotencyRecords, clock: Clock) -> None:
        self._app = app
        self._records = records
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = _find_keys(scope)
        if not keys:
            await self._app(scope, receive, send)
            return
        try:
            await self._answer(scope, receive, send, _parse_key(keys))
        except RequestRejected as error:
            await reject(scope, send, error.status, error.detail, retry_after=error.retry_after)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, key: str) -> None:
        body: bytes = (await receive()).get("body", b"")  # complete: scheduler.api.middleware.guard has read it
        record, earlier = await self._begin(scope, key, body)
        if earlier is None:
            await self._execute(record, scope, replay_body(body, receive), send)
            return
        if earlier.fingerprint != record.fingerprint:
            detail = f"Idempotency-Key {key!r} was used for another request. Send this one with a new key."
            raise RequestRejected(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        if earlier.response is None:
            raise _unfinished(earlier, is_alive=self._clock.now() < earlier.lease_until)
        await _replay(earlier.response, send)

    async def _begin(self, scope: Scope, key: str, body: bytes) -> tuple[IdempotencyRecord, IdempotencyRecord | None]:
        record_id = _hash(find_client_id(scope), scope["method"], scope["path"], key)
        types = header_values(scope, "content-type")
        fingerprint = _hash(scope["query_string"].decode("latin-1"), *types, body)
        try:
            return await self._records.begin(record_id, fingerprint, self._clock.now())
        except StoreError as error:
            detail = f"The idempotency key cannot be recorded, so nothing was changed: {error}"
            raise RequestRejected(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=STORE_RETRY_AFTER) from error

    async def _execute(self, record: IdempotencyRecord, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"] = dict(scope.get("state") or {})
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        async with self._renewed_lease(record):
            await self._app(scope, receive, collect)
        response = _response_of(messages, has_secret=state.get(_HAS_SECRET, False))
        try:
            if response is None or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                await self._records.release(record)
            else:
                await self._records.complete(record, response)
        except StoreError as error:
            _log.warning(
                "could not store the response for repeats of %s %s: %s; a repeat is rejected",
                scope["method"],
                scope["path"],
                error,
            )
        for message in messages:
            await send(message)

    @asynccontextmanager
    async def _renewed_lease(self, record: IdempotencyRecord) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew(record))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, record: IdempotencyRecord) -> None:
        while True:
            await asyncio.sleep(REQUEST_LEASE.total_seconds() / 3)
            with suppress(StoreError):  # the next renewal is within the lease
                record = await self._records.renew(record, self._clock.now())


def _find_keys(scope: Scope) -> list[str]:
    if (
        scope["type"] != "http"
        or scope["method"] != "POST"
        or scope["path"].startswith((HEALTH_PATH, PING_PATH_PREFIX))
    ):
        return []
    return [value.strip() for value in header_values(scope, HEADER)]


def _parse_key(keys: list[str]) -> str:
    """Return the key. Quotation marks, which the IETF draft requires, can be omitted. Raises RequestRejected."""
    if len(keys) > 1:
        raise RequestRejected(HTTPStatus.BAD_REQUEST, "The request has more than one Idempotency-Key header.")
    key = keys[0][1:-1] if len(keys[0]) > 2 and keys[0][0] == keys[0][-1] == '"' else keys[0]
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key):
        detail = (
            f"Idempotency-Key {make_printable(key, 60)!r} is invalid: send 1 to {MAX_KEY_LENGTH} printable ASCII "
            "characters, for example a UUID."
        )
        raise RequestRejected(HTTPStatus.BAD_REQUEST, detail)
    return key


def _unfinished(earlier: IdempotencyRecord, *, is_alive: bool) -> RequestRejected:
    if is_alive:
        return RequestRejected(
            HTTPStatus.CONFLICT,
            "The first request with this Idempotency-Key is still in progress. Repeat it later.",
            retry_after=IN_PROGRESS_RETRY_AFTER,
        )
    return RequestRejected(
        HTTPStatus.CONFLICT,
        f"The first request with this Idempotency-Key, at {earlier.started_at:%Y-%m-%d %H:%M:%SZ}, was interrupted. "
        "It is unknown whether it took effect: check the state, then send the request with a new key.",
    )


def _response_of(messages: list[Message], *, has_secret: bool) -> StoredResponse | None:
    if not messages:
        return None
    start, *parts = messages
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"])
    body = None if has_secret else b"".join(part.get("body", b"") for part in parts)
    return StoredResponse(start["status"], tuple(pair for pair in headers if pair[0] not in _OMITTED_HEADERS), body)


async def _replay(response: StoredResponse, send: Send) -> None:
    body = _BODY_OMITTED if response.body is None else response.body
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.body is None:
        headers = [pair for pair in headers if pair[0] != b"content-type"] + [(b"content-type", b"application/json")]
    headers += [(b"content-length", str(len(body)).encode()), (b"idempotent-replayed", b"true")]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _hash(*parts: str | bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        found.update(b"%d:" % len(raw) + raw)
    return found.hexdigest()
