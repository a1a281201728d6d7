"""What channels share in a process: implements jobs.notifications.port.ChannelResources by the parts of the checks.

Connections go to hosts and addresses that the target guard allows, as those of checks do. For one event loop; made by
the composition root, closed by the host.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from functools import cached_property
from typing import TYPE_CHECKING

from jobs.checks.errors import TargetDenied
from jobs.checks.guard import Guard
from jobs.checks.outbound import DIRECT, Outbound
from jobs.errors import JobsError, SecretUnavailable, TokenUnavailable
from jobs.notifications.port import SendFailed
from jobs.ports import Secrets, Tokens
from jobs.problems import make_printable

if TYPE_CHECKING:
    import httpx

    from jobs.checks.net.network import Network, ResolvedAddress

SECONDS_PER_ADDRESS = 5.0


class GuardedChannelResources:
    """What all channels share: secrets, tokens, and connections that the guard of the settings allows."""

    def __init__(self, secrets: Secrets, tokens: Tokens, guard: Guard, outbound: Outbound = DIRECT) -> None:
        self._outbound = outbound
        self._secrets = secrets
        self._tokens = tokens
        self._guard = guard

    @cached_property
    def http(self) -> httpx.AsyncClient:
        """The client of all channels; it uses the proxy of the settings alone, and follows no redirects."""
        import httpx

        from scheduler.alerting.delivery.guarded_transport import GuardedTransport

        transport = GuardedTransport(self._guard, self._network, self._outbound)
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        from jobs.checks.net.tls_contexts import create_trusting_context

        return create_trusting_context(self._outbound.authorities)

    async def read_secret(self, name: str) -> str:
        try:
            return await self._secrets.get_secret(name)
        except SecretUnavailable as error:
            raise SendFailed(str(error)) from None

    async def get_token(self, scope: str) -> str:
        try:
            return await self._tokens.get_token(scope)
        except TokenUnavailable as error:
            raise SendFailed(str(error)) from None

    async def connect(self, host: str, port: int) -> socket.socket:
        failure: OSError | None = None
        for address in await self._resolve(host, port):
            try:
                return await _connect(address)
            except OSError as error:
                failure = error
        raise SendFailed(f"the connection to {make_printable(host)}:{port} failed: {_describe(failure)}")

    async def check_host(self, host: str, port: int) -> None:
        if self._outbound.find_proxy(host, port) is None:
            await self._resolve(host, port)
            return
        try:
            self._network.check_proxied(host, port)
        except TargetDenied as error:
            raise SendFailed(error.reason, is_permanent=True) from None

    async def close(self) -> None:
        """Close the client and the resolver, if they were used."""
        if "http" in self.__dict__:
            await self.http.aclose()
        if "_network" in self.__dict__:
            self._network.close()

    @cached_property
    def _network(self) -> Network:
        from jobs.checks.net.network import Network

        return Network(self._guard)

    async def _resolve(self, host: str, port: int) -> list[ResolvedAddress]:
        try:
            return await self._network.resolve_allowed(host, port)
        except TargetDenied as error:
            raise SendFailed(error.reason, is_permanent=True) from None
        except (OSError, UnicodeError, JobsError) as error:
            raise SendFailed(f"the name {make_printable(host)} could not be resolved: {error}") from None


def _describe(failure: OSError | None) -> str:
    if failure is None:
        return "it has no address"
    if isinstance(failure, TimeoutError) and failure.errno is None:
        return f"no response within {SECONDS_PER_ADDRESS:g} s"
    return os.strerror(failure.errno) if failure.errno else type(failure).__name__


async def _connect(address: ResolvedAddress) -> socket.socket:
    """Return a connected, blocking socket. Raises OSError, of which TimeoutError is one."""
    connection = socket.socket(socket.AddressFamily(address.family), socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(SECONDS_PER_ADDRESS):
            await asyncio.get_running_loop().sock_connect(connection, (address.host, address.port))
        connection.setblocking(True)
    except BaseException:
        connection.close()
        raise
    return connection
