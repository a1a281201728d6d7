"""Reads a request's body up to a limit, before the app runs. Used by guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive


class BodyTooLarge(Exception):
    """More bytes came than the limit."""


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body. Raises BodyTooLarge as soon as more than `limit` bytes came, ClientGone."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay_body(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that gives the body once, then what the server gives."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
