"""A request is judged by its head before anything reads its body, whichever app it is for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from scheduler.api.declared_routes import MAX_BODY_BYTES, MERGE_PATCH_TYPE, BodyRule, BodyRules, RouteBody
from scheduler.api.lazy_app import LazyApi
from scheduler.api.middleware.guard import MAX_LARGE_BODIES, JsonShape, RequestGuard
from scheduler.api.unavailable_app import create_unavailable_api
from scheduler.connections.limits import MAX_HEADERS, MAX_URL_BYTES
from tests.scheduler.api.api_client import ApiClient

OURS = ("localhost", "127.0.0.1")
HOST = (b"host", b"localhost:7071")
JSON = (b"content-type", b"application/json")
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

    async def send_request(self, app: Any) -> Exchange:
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


class Observed:
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


LARGE = 1024 * 1024
RULES = BodyRules(
    [
        RouteBody("POST", "/api/sets/{name}/apply", BodyRule(max_bytes=LARGE)),
        RouteBody("PATCH", "/api/jobs/{name}", BodyRule(accepts=(MERGE_PATCH_TYPE,))),
    ]
)
APPLY = {"path": "/api/sets/ours/apply"}


async def requested(**request: Any) -> tuple[Exchange, Observed]:
    app = Observed()
    return await Exchange(**request).send_request(RequestGuard(app, OURS, RULES)), app


async def test_a_page_of_another_site_is_refused_before_a_byte_of_its_body_is_read() -> None:
    exchange, app = await requested(headers=(HOST, CROSS_SITE, length(600_000_000)), chunks=[b"x"] * 10)

    assert (exchange.status, exchange.read, app.bodies) == (403, 0, [])
    assert "Cross-site requests are not allowed" in exchange.problem["detail"]
    assert exchange.problem["instance"] == "/api/jobs/checkout/pause"


async def test_a_host_that_is_not_ours_is_refused_before_the_site_and_the_body() -> None:
    exchange, app = await requested(headers=((b"host", b"evil.example"), CROSS_SITE, length(600_000_000)))

    assert (exchange.status, exchange.read, app.bodies) == (400, 0, [])
    assert "Host 'evil.example' is not allowed. Send one of localhost, 127.0.0.1" in exchange.problem["detail"]


@pytest.mark.parametrize(
    "hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"], [b"localhost, evil"], [b"a b"], [b""]]
)
async def test_exactly_one_host_header_with_one_name_is_accepted(hosts: list[bytes]) -> None:
    exchange, app = await requested(method="GET", headers=[(b"host", host) for host in hosts])

    assert (exchange.status, app.bodies) == (400, [])
    assert "Host" in exchange.problem["detail"]


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:65535"])
async def test_a_name_of_ours_is_accepted_with_any_port(host: bytes) -> None:
    exchange, _ = await requested(method="GET", headers=[(b"host", host)])

    assert exchange.status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_body_that_reports_that_it_is_too_large_is_refused_unread(method: str) -> None:
    exchange, app = await requested(method=method, headers=(HOST, length(MAX_BODY_BYTES + 1)), chunks=[b"x"] * 10)

    assert (exchange.status, exchange.read, app.bodies) == (413, 0, [])
    if method != "HEAD":
        assert exchange.problem["detail"].startswith(
            "The body is too large: at most 65536 bytes are allowed, found 65537 bytes"
        )


async def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    chunked = (b"transfer-encoding", b"chunked")
    exchange, app = await requested(headers=(HOST, chunked), chunks=[b"x" * 30_000] * 100)

    assert (exchange.status, exchange.read, app.bodies) == (413, 3, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_body_of_the_limit_is_handed_on_whole(method: str) -> None:
    chunks = [b"x" * 30_000, b"y" * (MAX_BODY_BYTES - 30_000)]
    exchange, app = await requested(method=method, headers=(HOST, JSON, length(MAX_BODY_BYTES)), chunks=chunks)

    assert (exchange.status, app.bodies) == (200, [b"".join(chunks)])
    assert app.after == [{"type": "http.disconnect"}]


async def test_a_get_without_a_body_is_handed_on_as_it_is() -> None:
    exchange, app = await requested(method="GET")

    assert (exchange.status, exchange.read, app.bodies) == (200, 1, [b""])


async def test_a_client_that_leaves_within_its_body_gets_no_answer_and_changes_nothing() -> None:
    exchange, app = await requested(headers=(HOST, JSON, length(10)), gone=True)

    assert (exchange.sent, app.bodies) == ([], [])


async def test_a_ping_reads_its_own_body_and_may_come_from_any_site() -> None:
    exchange, app = await requested(
        path="/api/ping/token", headers=(HOST, CROSS_SITE, length(5_000_000)), chunks=[b"x"] * 9
    )

    assert (exchange.status, exchange.read, app.bodies) == (200, 2, [b"x"])


async def test_a_refused_ping_does_not_repeat_its_token() -> None:
    exchange, _ = await requested(path="/api/ping/secret-token", headers=((b"host", b"evil.example"),))

    assert exchange.problem["instance"] == "/api/ping/***"


async def test_every_app_refuses_a_page_of_another_site_without_reading() -> None:
    async with ApiClient() as desk:
        for app in (
            desk.app,
            LazyApi(desk.services, hosts=OURS, on_created=lambda: None),
            create_unavailable_api("closed"),
        ):
            for path in ("/api/jobs/checkout/run", "/api/jobs/checkout/pause", "/api/dead-letters/replay"):
                exchange = await Exchange(path=path, headers=(HOST, CROSS_SITE, length(600_000_000))).send_request(app)
                assert (exchange.status, exchange.read) == (403, 0)
                assert b"nosniff" in dict(exchange.sent[0]["headers"]).values()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([b"text/plain"], "Content-Type 'text/plain' is not supported by this route. Send application/json."),
        ([b"application/x-www-form-urlencoded"], "'application/x-www-form-urlencoded'"),
        ([b"application/jsonp"], "'application/jsonp'"),
        ([b"application/merge-patch+json"], "Send application/json."),
        ([b"application/json", b"text/plain"], "'application/json, text/plain'"),
        ([], "The request has a body, but no Content-Type. Send application/json."),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_body_of_another_media_type_is_rejected_unread(given: list[bytes], found: str, method: str) -> None:
    types = [(b"content-type", value) for value in given]
    exchange, app = await requested(method=method, headers=(HOST, length(2), *types), chunks=[b"{}"])

    assert (exchange.status, exchange.read, app.bodies) == (415, 0, [])
    assert found in exchange.problem["detail"]


@pytest.mark.parametrize("given", [b"application/json", b"Application/JSON; charset=utf-8", b"application/json;x=y"])
async def test_json_is_accepted_in_any_spelling(given: bytes) -> None:
    exchange, app = await requested(headers=(HOST, length(2), (b"content-type", given)), chunks=[b"{}"])

    assert (exchange.status, app.bodies) == (200, [b"{}"])


async def test_a_compressed_body_is_rejected() -> None:
    exchange, _ = await requested(headers=(HOST, JSON, (b"content-encoding", b"gzip"), length(2)), chunks=[b"{}"])

    assert (exchange.status, exchange.read) == (415, 0)
    assert "Content-Encoding 'gzip' is not supported" in exchange.problem["detail"]


async def test_a_request_without_a_body_needs_no_content_type() -> None:
    for headers in ((HOST,), (HOST, length(0)), (HOST, (b"content-type", b"text/plain"))):
        exchange, app = await requested(headers=headers)
        assert (exchange.status, app.bodies) == (200, [b""])


async def test_a_body_without_a_length_is_rejected_by_its_type_once_it_arrives() -> None:
    exchange, app = await requested(headers=(HOST,), chunks=[b"x=1"])

    assert (exchange.status, app.bodies) == (415, [])


async def test_a_route_accepts_the_media_type_that_it_declares() -> None:
    patch = {"method": "PATCH", "path": "/api/jobs/checkout", "chunks": [b"{}"]}
    exchange, _ = await requested(
        headers=(HOST, length(2), (b"content-type", b"application/merge-patch+json")), **patch
    )
    assert exchange.status == 200

    exchange, _ = await requested(headers=(HOST, length(2), JSON), **patch)
    assert exchange.problem["detail"].endswith("Send application/merge-patch+json.")


async def test_a_route_accepts_a_body_of_the_size_that_it_declares() -> None:
    exchange, app = await requested(headers=(HOST, JSON, length(LARGE)), chunks=[b" " * LARGE], **APPLY)
    assert (exchange.status, len(app.bodies[0])) == (200, LARGE)

    exchange, _ = await requested(headers=(HOST, JSON, length(LARGE + 1)), chunks=[b" "] * 9, **APPLY)
    assert (exchange.status, exchange.read) == (413, 0)
    assert "at most 1048576 bytes" in exchange.problem["detail"]


async def test_only_so_many_large_bodies_are_held_at_a_time() -> None:
    release = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = RequestGuard(waiting, OURS, RULES)
    large = {"headers": (HOST, JSON, length(LARGE)), "chunks": [b" " * LARGE], **APPLY}
    held = [asyncio.create_task(Exchange(**large).send_request(guard)) for _ in range(MAX_LARGE_BODIES)]
    await asyncio.sleep(0)
    refused = await Exchange(**large).send_request(guard)
    small = asyncio.create_task(Exchange(headers=(HOST, JSON, length(2)), chunks=[b"{}"], **APPLY).send_request(guard))
    release.set()

    assert (refused.status, refused.read) == (503, 0)
    assert (b"retry-after", b"5") in refused.sent[0]["headers"]
    assert [each.status for each in await asyncio.gather(small, *held)] == [200] * (MAX_LARGE_BODIES + 1)
    assert (await Exchange(**large).send_request(guard)).status == 200


@pytest.mark.parametrize("chunks", [[b"[" * 65], [b'{"a":'] * 65, [b"[" * 40, b'"', b"]" * 99, b'\\"",', b"[" * 40]])
async def test_json_that_is_nested_too_deeply_is_rejected(chunks: list[bytes]) -> None:
    exchange, app = await requested(headers=(HOST, JSON), chunks=[*chunks, b"x" * 9])

    assert (exchange.status, app.bodies, exchange.read) == (400, [], len(chunks))
    assert exchange.problem["detail"] == "The JSON body is nested too deeply: at most 64 levels are allowed."


async def test_json_with_too_many_members_is_rejected() -> None:
    exchange, _ = await requested(headers=(HOST, JSON), chunks=[b"[" + b"1," * 2049])

    assert exchange.status == 400
    assert "at most 2048 are allowed" in exchange.problem["detail"]


async def test_a_url_that_is_too_long_is_rejected() -> None:
    for path in ("/api/jobs?" + "x" * MAX_URL_BYTES, "/" + "x" * MAX_URL_BYTES):
        exchange, app = await requested(method="GET", path=path)
        assert (exchange.status, app.bodies) == (414, [])
        assert "at most 8192 bytes" in exchange.problem["detail"]


async def test_too_many_headers_are_rejected() -> None:
    exchange, app = await requested(method="GET", headers=[HOST] + [(b"x", b"y")] * MAX_HEADERS)

    assert (exchange.status, app.bodies) == (431, [])


async def test_a_preflight_request_is_refused_without_a_cors_header() -> None:
    cors = ((b"origin", b"https://evil.example"), (b"access-control-request-method", b"POST"))
    exchange, app = await requested(method="OPTIONS", headers=(HOST, *cors))

    assert (exchange.status, app.bodies) == (403, [])
    assert exchange.problem["detail"] == (
        "Pages of other origins cannot use this API (CORS is closed): Origin is 'https://evil.example'."
    )


async def test_no_response_has_a_cors_header() -> None:
    async with ApiClient() as client:
        for method, path in (("GET", "/api/jobs"), ("OPTIONS", "/api/jobs"), ("GET", "/api/health")):
            response = await client.request(method, path, headers={"origin": "https://evil.example"})
            assert [name for name in response.headers if name.startswith("access-control-")] == []


def test_the_structure_of_json_is_counted_the_same_however_it_is_cut() -> None:
    body = json.dumps({"a\\": ['"[', '\\"', {"b": [1, 2, [3]]}, "]}"], "c": "\\"}).encode()
    for cut in range(len(body)):
        shape = JsonShape(max_members=10)
        assert (shape.find_error(body[:cut]), shape.find_error(body[cut:])) == ("", "")
        assert (shape._members, shape._depth) == (9, 0)
