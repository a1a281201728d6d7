"""The guard refuses what leaves the machine, and lets the rest pass."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import uvloop

from tests.parts.network_guard import NetworkForbidden, NetworkGuard

OUTSIDE = "192.0.2.1"
"""TEST-NET-1 of RFC 5737: routed nowhere, should the guard ever fail."""


def test_a_connection_to_an_outside_address_is_refused_and_named(network_guard: NetworkGuard) -> None:
    with socket.socket() as client, pytest.raises(NetworkForbidden, match=r"192\.0\.2\.1 port 443"):
        client.connect((OUTSIDE, 443))
    network_guard.attempts.clear()


def test_a_datagram_to_an_outside_address_is_refused(network_guard: NetworkGuard) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(NetworkForbidden):
        client.sendto(b"x", (OUTSIDE, 53))
    network_guard.attempts.clear()


def test_a_name_outside_is_not_resolved(network_guard: NetworkGuard) -> None:
    with pytest.raises(NetworkForbidden, match=r"example\.com"):
        socket.getaddrinfo("example.com", 443)
    network_guard.attempts.clear()


def test_every_attempt_is_remembered_even_when_a_client_swallows_the_error(network_guard: NetworkGuard) -> None:
    with socket.socket() as client, pytest.raises(NetworkForbidden):
        client.connect_ex((OUTSIDE, 443))
    assert network_guard.attempts == ["connect to 192.0.2.1 port 443"]
    network_guard.attempts.clear()


@pytest.mark.parametrize("host", ["name.invalid", "unknown.host", "some.invalid."])
def test_an_unknown_host_fails_in_the_resolver(host: str) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(host, 80)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", None, socket.gethostname()])
def test_names_of_this_machine_pass(host: str | None) -> None:
    assert socket.getaddrinfo(host, 80)


def test_loopback_can_be_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def test_uvloop_is_guarded_too(network_guard: NetworkGuard) -> None:
    async def connect(host: str) -> None:
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, 443)

    with pytest.raises(NetworkForbidden), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect(OUTSIDE))
    with pytest.raises(socket.gaierror), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect("name.invalid"))
    network_guard.attempts.clear()


def test_settings_of_the_caller_do_not_reach_a_test() -> None:
    assert not [name for name in os.environ if name.startswith(("SCHEDULER_", "DD_", "IDENTITY_"))]
