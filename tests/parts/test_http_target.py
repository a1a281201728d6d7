"""The scripted target, queried by a real client."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.parts.http_target import Answer, HttpTarget
from tests.parts.tls import TlsKind, client_context


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=client_context(), trust_env=False, timeout=5) as client:
        yield client


async def test_an_unscripted_path_is_answered_ok(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        answer = await client.get(f"{target.url}/anything")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_request_is_recorded_as_it_arrived(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        before = time.monotonic()
        await client.post(f"{target.url}/a%20b?x=1&y=", content=b"body", headers={"X-Thing": "7"})
    request = target.last
    assert (request.method, request.path, request.query) == ("POST", "/a b", {"x": "1", "y": ""})
    assert (request.headers["x-thing"], request.body) == ("7", b"body")
    assert before <= request.at <= time.monotonic()


async def test_a_chunked_request_body_is_put_together(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with HttpTarget() as target:
        await client.post(target.url, content=parts())
    assert target.last.body == b"onetwo"


async def test_a_scripted_answer_is_given(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        target.on("/health", 503, headers={"Retry-After": "2"}, body={"status": "down"})
        answer = await client.get(f"{target.url}/health")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (503, "2", {"status": "down"})


async def test_an_answer_for_one_method_wins(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        target.on("/x", 200)
        target.on("/x", 405, method="PUT")
        assert [
            (await client.get(f"{target.url}/x")).status_code,
            (await client.put(f"{target.url}/x")).status_code,
        ] == [
            200,
            405,
        ]


async def test_a_sequence_ends_with_its_last_answer_forever(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        target.sequence("/flaky", 503, 429, Answer(200, body=b"up"))
        answers = [await client.get(f"{target.url}/flaky") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 429, 200, 200]
    assert answers[-1].content == b"up"


async def test_a_held_answer_waits_for_its_gate(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/slow")
        pending = [asyncio.create_task(client.get(f"{target.url}/slow")) for _ in range(3)]
        await target.wait_for_requests(3)
        assert not any(task.done() for task in pending)
        gate.set()
        assert [(await task).status_code for task in pending] == [200, 200, 200]
    assert target.max_in_flight == 3


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
async def test_a_body_arrives_whole_however_its_end_is_marked(client: httpx.AsyncClient, framing: str) -> None:
    async with HttpTarget() as target:
        target.on("/", body="x" * 5_000_000, framing=framing)
        assert len((await client.get(target.url)).content) == 5_000_000


async def test_a_head_request_gets_no_body(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        first, second = await client.head(target.url), await client.get(target.url)
    assert (first.content, second.json()) == (b"", {"status": "ok"})
    assert target.connections == 1


@pytest.mark.parametrize(("keep_alive", "connections"), [(True, 1), (False, 2)])
async def test_connections_are_reused_or_closed(client: httpx.AsyncClient, keep_alive: bool, connections: int) -> None:
    async with HttpTarget(keep_alive=keep_alive) as target:
        await client.get(target.url)
        await client.get(target.url)
    assert target.connections == connections


async def test_a_reset_is_treated_as_such(client: httpx.AsyncClient) -> None:
    async with HttpTarget() as target:
        target.on("/", reset=True)
        with pytest.raises(httpx.ReadError):
            await client.get(target.url)


async def test_a_target_can_listen_on_ipv6(client: httpx.AsyncClient) -> None:
    async with HttpTarget(host="::1") as target:
        assert (await client.get(target.url)).status_code == 200


async def test_a_good_certificate_is_accepted(client: httpx.AsyncClient) -> None:
    async with HttpTarget(tls="good") as target:
        assert (await client.get(target.url)).status_code == 200
        assert (await client.get(target.url.replace("127.0.0.1", "localhost"))).status_code == 200


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "certificate has expired"),
        ("not_yet_valid", "certificate is not yet valid"),
        ("wrong_name", "IP address mismatch"),
        ("untrusted", "unable to get local issuer certificate"),
        ("self_signed", "self-signed certificate"),
    ],
)
async def test_a_bad_certificate_is_refused_for_its_reason(kind: TlsKind, reason: str) -> None:
    async with HttpTarget(tls=kind) as target:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            await asyncio.open_connection("127.0.0.1", target.port, ssl=client_context())


async def test_a_good_certificate_ends_when_requested() -> None:
    async with HttpTarget(tls="good", certificate_valid_for=timedelta(days=5)) as target:
        _, writer = await asyncio.open_connection("127.0.0.1", target.port, ssl=client_context())
        certificate = writer.get_extra_info("peercert")
        writer.transport.abort()
    left = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC) - datetime.now(UTC)
    assert timedelta(days=4, hours=23) < left <= timedelta(days=5)
