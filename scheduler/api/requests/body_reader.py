"""Reads the body of a request up to a limit. Called by scheduler.api.requests.guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive


class BodyTooLarge(Exception):
    """The body exceeds the limit."""


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the full body. Raises BodyTooLarge once more than `limit` bytes arrived, ClientGone."""
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
    """Return a `receive` that yields the body once, then the messages of the server."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
