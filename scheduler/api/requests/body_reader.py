"""Reads the body of a request up to a limit. Called by scheduler.api.requests.guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.types import Message, Receive

from scheduler.api.requests.body_rules import BodyRule
from scheduler.api.requests.rejection import RequestRejected


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


async def read_body(receive: Receive, rule: BodyRule, find_error: Callable[[bytes], str]) -> bytes:
    """Return the full body. `find_error`: returns why the body up to a chunk is rejected.

    Raises RequestRejected once more bytes arrived than the rule allows, ClientGone.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > rule.max_bytes:
            raise RequestRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, rule.too_large_text("more"))
        if error := find_error(chunk):
            raise RequestRejected(HTTPStatus.BAD_REQUEST, error)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay_body(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that yields the body once, then the messages of the server."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
