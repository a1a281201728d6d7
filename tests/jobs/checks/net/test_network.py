from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from jobs.checks.clock import PhaseClock
from jobs.checks.net import network as network_module
from jobs.checks.net.network import Network
from tests.jobs.checks.http_check import wait_until
from tests.parts.bad_servers import BadServer, refused_port, reset_on_connect
from tests.parts.http_server import StreamServer
from tests.parts.http_target import HttpTarget
from tests.parts.tls import client_context


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    made = Network()
    yield made
    made.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses, in this order."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        families = (socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses)
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_connection_that_is_closing_begins_no_handshake() -> None:
    """Where nobody has told us yet that it ended, uvloop would fail in a callback and log that."""
    complaints: list[dict[str, Any]] = []

    async def shake() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        made = Network()
        async with HttpTarget() as server:
            connection = await made.connect("127.0.0.1", server.port, PhaseClock(), None)
            connection.abort()
            with pytest.raises(ConnectionResetError):
                await connection.start_tls(client_context(), "localhost")
            await asyncio.sleep(0)
        made.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(shake())
    assert complaints == []


async def test_the_next_address_is_tried_when_one_refuses(
    network: Network, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    connection = await network.connect("checkout.internal", target.port, PhaseClock(), None)
    connection.abort()


async def test_the_next_address_is_tried_when_one_stays_silent(
    network: Network, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "CONNECT_TIMEOUT_PER_ADDRESS", 0.02)
    resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    connect = network_module._connect_to

    async def silent_first(address: Any, clock: PhaseClock) -> Any:
        if address.host == "127.0.0.9":
            await asyncio.get_running_loop().create_future()
        return await connect(address, clock)

    monkeypatch.setattr(network_module, "_connect_to", silent_first)
    connection = await network.connect("checkout.internal", target.port, PhaseClock(), None)
    connection.abort()


async def test_a_refusal_is_reported_rather_than_a_missing_route(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "::1")
    connect = network_module._connect_to

    async def no_ipv6(address: Any, clock: PhaseClock) -> Any:
        if address.family == socket.AF_INET6:
            raise OSError(101, "Network is unreachable")
        return await connect(address, clock)

    monkeypatch.setattr(network_module, "_connect_to", no_ipv6)
    async with refused_port() as closed:
        with pytest.raises(ConnectionRefusedError):
            await network.connect("checkout.internal", closed.port, PhaseClock(), None)


async def test_an_ipv6_address_is_connected_to(network: Network) -> None:
    async with HttpTarget(host="::1") as server:
        connection = await network.connect("::1", server.port, PhaseClock(), None)
        connection.abort()


async def test_a_fast_sender_is_slowed_down_until_a_user_reads(network: Network) -> None:
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with BadServer(flood, after_request=False) as server:
        connection = await network.connect("127.0.0.1", server.port, PhaseClock(), None)
        last = -1
        while sent != last:
            last = sent
            await asyncio.sleep(0.02)
        assert connection._size < 1024 * 1024
        missing = sent + 1024 * 1024
        while missing > 0:
            missing -= len(await connection.read())
        connection.abort()


async def test_a_sender_waits_for_a_receiver_that_is_slow(network: Network) -> None:
    go_on = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reader.readexactly(20_000_000)
        writer.write(b"thanks")

    async with BadServer(slow, after_request=False) as server:
        connection = await network.connect("127.0.0.1", server.port, PhaseClock(), None)
        writing = asyncio.ensure_future(connection.write(b"x" * 20_000_000))
        await asyncio.sleep(0.01)
        assert not writing.done()
        go_on.set()
        await writing
        assert await connection.read() == b"thanks"
        connection.abort()


async def test_an_answer_before_the_request_was_sent_whole_is_read(network: Network) -> None:
    async def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"too large")
        await asyncio.get_running_loop().create_future()

    async with BadServer(turn_away, after_request=False) as server:
        connection = await network.connect("127.0.0.1", server.port, PhaseClock(), None)
        async with asyncio.timeout(60):
            await connection.write(b"x" * 20_000_000)
            assert await connection.read() == b"too large"
        connection.abort()


async def test_writing_to_a_connection_that_is_lost_leaves_the_error_to_the_reader(network: Network) -> None:
    async with reset_on_connect() as server:
        connection = await network.connect("127.0.0.1", server.port, PhaseClock(), None)
        await wait_until(lambda: connection._ended)
        await connection.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await connection.read()
        connection.abort()
        connection.close()


# --- who dribbles ---


class Dribbling(StreamServer):
    """Sends so many bytes one by one, each as soon as the one before was sent."""

    count = 3000

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        for _ in range(self.count):
            writer.write(b"x")
            await asyncio.sleep(0)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_sends_byte_by_byte_wakes_the_event_loop_a_bounded_number_of_times(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """With a pause between two reads from the two hundredth on."""
    reads = 0

    async def read_all() -> None:
        nonlocal reads
        made = Network()
        async with Dribbling() as server:
            connection = await made.connect("127.0.0.1", server.port, PhaseClock(), None)
            received = b""
            while data := await connection.read():
                reads += 1
                received += data
            assert received == b"x" * server.count
            connection.close()
        made.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(read_all())
    assert reads < 1000


async def test_a_connection_that_is_stored_is_not_slowed_down_by_many_small_answers(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Dribbling() as server:
        server.count = 0
        connection = await network.connect("127.0.0.1", server.port, PhaseClock(), None)
        monkeypatch.setattr(connection, "_throttle_reading", None)  # would fail if it was called
        for _ in range(500):
            connection.expect_response()
            connection.data_received(b"x")
            assert await connection.read() == b"x"
        connection.abort()
