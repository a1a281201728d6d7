"""A request is judged by its head before anything reads its body, whichever app it is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from scheduler.api.lazy_app import LazyApi
from scheduler.api.requests.guard import MAX_BODY_BYTES, RequestGuard
from scheduler.api.unavailable_app import create_unavailable_api
from tests.scheduler.api.api_client import ApiClient

OURS = ("localhost", "127.0.0.1")
HOST = (b"host", b"localhost:7071")
CROSS_SITE = (b"sec-fetch-site", b"cross-site")


@dataclass
class Exchange:
    """One request to an ASGI app; how much of its body was read, and what came back."""

    method: str = "POST"
    path: str = "/api/jobs/checkout/pause"
    headers: Sequence[tuple[bytes, bytes]] = (HOST,)
    chunks: Sequence[bytes] = (b"",)
    gone: bool = False
    read: int = 0
    sent: list[Message] = field(default_factory=list)

    async def ask(self, app: Any) -> Exchange:
        scope = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": list(self.headers),
            "server": ("127.0.0.1", 7071),
            "client": ("127.0.0.1", 1),
        }
        await app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Message:
        if self.read >= len(self.chunks) or self.gone:
            return {"type": "http.disconnect"}
        self.read += 1
        return {
            "type": "http.request",
            "body": self.chunks[self.read - 1],
            "more_body": self.read < len(self.chunks),
        }

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def problem(self) -> Any:
        assert (b"content-type", b"application/problem+json") in self.sent[0]["headers"]
        return json.loads(b"".join(message.get("body", b"") for message in self.sent[1:]))


class Seen:
    """An app that keeps the bodies it reads."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.after: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.bodies.append(message.get("body", b""))
        self.after.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", str(size).encode())


async def asked(**request: Any) -> tuple[Exchange, Seen]:
    app = Seen()
    return await Exchange(**request).ask(RequestGuard(app, OURS)), app


async def test_a_page_of_another_site_is_refused_before_a_byte_of_its_body_is_read() -> None:
    exchange, app = await asked(headers=(HOST, CROSS_SITE, length(600_000_000)), chunks=[b"x"] * 10)

    assert (exchange.status, exchange.read, app.bodies) == (403, 0, [])
    assert "Cross-site requests are not allowed" in exchange.problem["detail"]
    assert exchange.problem["instance"] == "/api/jobs/checkout/pause"


async def test_a_host_that_is_not_ours_is_refused_before_the_site_and_the_body() -> None:
    exchange, app = await asked(headers=((b"host", b"evil.example"), CROSS_SITE, length(600_000_000)))

    assert (exchange.status, exchange.read, app.bodies) == (400, 0, [])
    assert "Host 'evil.example' is not allowed. Send one of localhost, 127.0.0.1" in exchange.problem["detail"]


@pytest.mark.parametrize(
    "hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"], [b"localhost, evil"], [b"a b"], [b""]]
)
async def test_exactly_one_host_header_with_one_name_is_taken(hosts: list[bytes]) -> None:
    exchange, app = await asked(method="GET", headers=[(b"host", host) for host in hosts])

    assert (exchange.status, app.bodies) == (400, [])
    assert "Host" in exchange.problem["detail"]


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:65535"])
async def test_a_name_of_ours_is_taken_with_any_port(host: bytes) -> None:
    exchange, _ = await asked(method="GET", headers=[(b"host", host)])

    assert exchange.status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_body_that_says_that_it_is_too_large_is_refused_unread(method: str) -> None:
    exchange, app = await asked(method=method, headers=(HOST, length(MAX_BODY_BYTES + 1)), chunks=[b"x"] * 10)

    assert (exchange.status, exchange.read, app.bodies) == (413, 0, [])
    if method != "HEAD":
        assert exchange.problem["detail"].startswith(
            "The body is too large: at most 65536 bytes are allowed, found 65537 bytes"
        )


async def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    chunked = (b"transfer-encoding", b"chunked")
    exchange, app = await asked(headers=(HOST, chunked), chunks=[b"x" * 30_000] * 100)

    assert (exchange.status, exchange.read, app.bodies) == (413, 3, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_body_of_the_limit_is_handed_on_whole(method: str) -> None:
    chunks = [b"x" * 30_000, b"y" * (MAX_BODY_BYTES - 30_000)]
    exchange, app = await asked(method=method, headers=(HOST, length(MAX_BODY_BYTES)), chunks=chunks)

    assert (exchange.status, app.bodies) == (200, [b"".join(chunks)])
    assert app.after == [{"type": "http.disconnect"}]


async def test_a_get_without_a_body_is_handed_on_as_it_is() -> None:
    exchange, app = await asked(method="GET")

    assert (exchange.status, exchange.read, app.bodies) == (200, 1, [b""])


async def test_a_client_that_leaves_within_its_body_gets_no_answer_and_changes_nothing() -> None:
    exchange, app = await asked(headers=(HOST, length(10)), gone=True)

    assert (exchange.sent, app.bodies) == ([], [])


async def test_a_ping_reads_its_own_body_and_may_come_from_any_site() -> None:
    exchange, app = await asked(
        path="/api/ping/token", headers=(HOST, CROSS_SITE, length(5_000_000)), chunks=[b"x"] * 9
    )

    assert (exchange.status, exchange.read, app.bodies) == (200, 2, [b"x"])


async def test_a_refused_ping_does_not_repeat_its_token() -> None:
    exchange, _ = await asked(path="/api/ping/secret-token", headers=((b"host", b"evil.example"),))

    assert exchange.problem["instance"] == "/api/ping/***"


async def test_every_app_refuses_a_page_of_another_site_without_reading() -> None:
    async with ApiClient() as desk:
        for app in (
            desk.app,
            LazyApi(desk.services, hosts=OURS, on_created=lambda: None),
            create_unavailable_api("closed"),
        ):
            for path in ("/api/jobs/checkout/run", "/api/jobs/checkout/pause", "/api/dead-letters/replay"):
                exchange = await Exchange(path=path, headers=(HOST, CROSS_SITE, length(600_000_000))).ask(app)
                assert (exchange.status, exchange.read) == (403, 0)
                assert b"nosniff" in dict(exchange.sent[0]["headers"]).values()
