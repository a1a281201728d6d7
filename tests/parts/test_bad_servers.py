"""Each bad server, met by raw sockets or by httpx, is bad in the way it promises."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest

from tests.parts import bad_servers
from tests.parts.bad_servers import BadServer, ReservedPort

SHORT = 0.15


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


@pytest.mark.parametrize("make", [bad_servers.dripping_body, bad_servers.dripping_headers])
async def test_a_dripping_server_answers_each_read_and_does_not_end(make: Callable[[], BadServer]) -> None:
    async with make() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            assert await asyncio.wait_for(reader.read(64), timeout=10)
        writer.transport.abort()


async def test_a_black_hole_accepts_and_reports_nothing(client: httpx.AsyncClient) -> None:
    async with bad_servers.black_hole() as server:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=httpx.Timeout(10, read=SHORT))
        assert server.connections == 1


async def test_a_black_hole_for_tls_never_shakes_hands(client: httpx.AsyncClient) -> None:
    async with bad_servers.black_hole(tls=True) as server:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(server.url, timeout=SHORT)


async def test_a_server_that_never_accepts_lets_the_connection_time_out(client: httpx.AsyncClient) -> None:
    async with bad_servers.never_accepting() as server:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(server.url, timeout=SHORT)


async def test_a_refused_port_refuses() -> None:
    async with bad_servers.refused_port() as server:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


@pytest.mark.parametrize(
    "make", [bad_servers.reset_on_connect, bad_servers.reset_after_request, bad_servers.reset_in_body]
)
async def test_a_reset_reaches_the_client_as_a_reset(make: Callable[[], BadServer]) -> None:
    async with make() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.transport.abort()


async def test_a_reset_in_the_body_comes_after_the_head(client: httpx.AsyncClient) -> None:
    async with bad_servers.reset_in_body() as server, client.stream("GET", server.url) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.ReadError):
            await answer.aread()


@pytest.mark.parametrize(
    "make",
    [
        bad_servers.disconnect,
        bad_servers.half_close,
        bad_servers.truncated_body,
        bad_servers.truncated_chunks,
        bad_servers.garbage,
        bad_servers.wrong_chunking,
        bad_servers.endless_headers,
    ],
)
async def test_a_breach_of_the_protocol_is_one(client: httpx.AsyncClient, make: Callable[[], BadServer]) -> None:
    async with make() as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


async def test_a_half_close_retains_the_other_half_open() -> None:
    async with bad_servers.half_close() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.read(-1) == b""
        writer.write(b"still listening?")
        await writer.drain()
        assert not writer.is_closing()
        writer.transport.abort()


async def test_an_idle_connection_is_closed_although_it_was_reusable(client: httpx.AsyncClient) -> None:
    async with bad_servers.closes_idle() as server:
        answer = await client.get(server.url)
        assert (answer.text, answer.headers["connection"]) == ("ok", "keep-alive")
        await client.get(server.url)
        assert server.connections == 2


async def test_broken_gzip_cannot_be_decoded(client: httpx.AsyncClient) -> None:
    async with bad_servers.broken_gzip() as server:
        with pytest.raises(httpx.DecodingError):
            await client.get(server.url)


async def test_plain_http_behind_an_https_url_fails_the_handshake() -> None:
    async with bad_servers.plain_behind_https() as server:
        with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=ssl.create_default_context())


async def test_an_endless_body_continues_until_the_client_goes(client: httpx.AsyncClient) -> None:
    read = 0
    async with bad_servers.endless_body() as server, client.stream("GET", server.url) as answer:
        async for part in answer.aiter_bytes():
            read += len(part)
            if read > 3_000_000:
                break
    assert read > 3_000_000


async def test_a_gzip_bomb_is_small_on_the_wire(client: httpx.AsyncClient) -> None:
    async with bad_servers.gzip_bomb(5_000_000) as server:
        answer = await client.get(server.url)
    assert len(answer.content) == 5_000_000
    assert int(answer.headers["content-length"]) < 10_000


async def test_a_redirect_loop_does_not_end(client: httpx.AsyncClient) -> None:
    async with bad_servers.redirect_loop() as server:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(server.url, follow_redirects=True)
        assert len(server.requests) == 21


async def test_an_unavailable_server_reports_when_to_come_back_and_recovers(client: httpx.AsyncClient) -> None:
    async with bad_servers.unavailable(2, times=1) as server:
        first, second = await client.get(server.url), await client.get(server.url)
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (503, "2", 200)


async def test_an_unavailable_server_can_name_a_date(client: httpx.AsyncClient) -> None:
    async with bad_servers.unavailable(datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)) as server:
        answer = await client.get(server.url)
    assert answer.headers["retry-after"] == "Sun, 04 May 2031 03:02:01 GMT"


@pytest.mark.parametrize("make", [bad_servers.refused_port, bad_servers.never_accepting])
async def test_a_reserved_port_is_released(make: Callable[[], ReservedPort]) -> None:
    async with make() as server:
        port = server.port
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    listener.close()
    await listener.wait_closed()
