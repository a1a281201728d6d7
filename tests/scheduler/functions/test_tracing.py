"""The trace of an invocation takes the place of the caller's in its request."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope, Send

from scheduler.hosts.functions.http_apps import with_trace_parent

OURS = f"00-{'a' * 32}-{'b' * 16}-01"


async def observed_headers(trace_parent: str, *headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    observed: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        observed.extend(scope["headers"])

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        """Nobody listens."""

    await with_trace_parent(app, trace_parent)({"type": "http", "headers": list(headers)}, receive, send)
    return observed


async def test_a_request_without_a_trace_gets_that_of_the_invocation() -> None:
    assert await observed_headers(OURS, (b"host", b"x")) == [(b"host", b"x"), (b"traceparent", OURS.encode())]


async def test_the_hosts_own_span_takes_the_place_of_the_callers() -> None:
    assert await observed_headers(OURS, (b"Traceparent", b"of the caller")) == [(b"traceparent", OURS.encode())]


async def test_without_an_invocations_trace_the_callers_is_left() -> None:
    assert await observed_headers("", (b"traceparent", b"of the caller")) == [(b"traceparent", b"of the caller")]
