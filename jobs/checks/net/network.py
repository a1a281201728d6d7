"""Make connections: resolve, connect and secure, each a phase on the attempt's clock.

Called by every kind of check, and by scheduler.alerting.delivery.channel_resources. `Network.connect` makes every
connection of a check. It has the guard check each address, and connects only to allowed ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoAddressOfVersion
from jobs.checks.guard.guard import LOCAL_GUARD, Guard
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.resolver import ResolvedAddress, Resolver

CONNECT_TIMEOUT_PER_ADDRESS = 2.0
"""Seconds for one of several addresses: a dead one must not use up the time of the others."""

_DER = 2
"""As the ssl module's private part numbers it."""


class Network:
    """Makes connections, for one event loop. `guard`: where to."""

    def __init__(self, guard: Guard = LOCAL_GUARD) -> None:
        self._guard = guard
        self._resolver = Resolver()

    async def connect(
        self,
        host: str,
        port: int,
        clock: PhaseClock,
        tls: ssl.SSLContext | None,
        *,
        server_name: str = "",
        ip_version: int | None = None,
        only_live: bool = False,
    ) -> TargetConnection:
        """Return a connection to the host. With `tls`, its certificate is verified for the host's name, or for
        `server_name`.

        `ip_version`: 4 or 6, to use only such addresses. `only_live`: see Guard.check_endpoint. Closes everything when
        cancelled.

        Raises:
            TargetDenied, NoAddressOfVersion: before "connect".
            socket.gaierror, UnicodeError: in "dns".
            OSError: in "connect".
            ssl.SSLError, OSError: in "tls".
            LeaseEnded: the lease of the clock's run has ended.
        """
        addresses = await self._resolve_allowed(host, port, clock, only_live)
        if ip_version is not None:
            addresses = _filter_version(addresses, ip_version)
        clock.enter("connect")
        connection = await _connect_to_any(addresses, clock)
        if tls is not None:
            clock.enter("tls")
            await connection.start_tls(tls, (server_name or host).rstrip("."))
        return connection

    async def resolve_allowed(self, host: str, port: int) -> list[ResolvedAddress]:
        """Return the allowed addresses of a host, for connections that are not those of a check.

        Raises:
            TargetDenied, socket.gaierror, UnicodeError
        """
        return await self._resolve_allowed(host, port, PhaseClock(), only_live=False)

    def check_proxied(self, host: str, port: int) -> None:
        """Check a target that a proxy resolves. Raises TargetDenied."""
        self._guard.check_endpoint(host, port)
        address = _implied_address(host)
        if address is not None:
            self._guard.check_address(host, address, port)

    def close(self) -> None:
        self._resolver.close()

    async def _resolve_allowed(self, host: str, port: int, clock: PhaseClock, only_live: bool) -> list[ResolvedAddress]:
        """Return the allowed addresses. The name is not resolved again: its addresses might differ by then."""
        numeric = self._check_numeric(host, port, only_live)
        if numeric is not None:
            return numeric
        self._guard.check_endpoint(host, port, only_live=only_live)
        clock.enter("dns")
        found = await self._resolver.resolve(host, port)
        allowed = self._guard.filter_allowed(host, port, [address.host for address in found], only_live=only_live)
        return [address for address in found if address.host in allowed]

    def _check_numeric(self, host: str, port: int, only_live: bool) -> list[ResolvedAddress] | None:
        """Return a numeric address itself; None for a name."""
        family = _numeric_family(host)
        if family is None:
            return None
        self._guard.filter_allowed(host, port, [host], only_live=only_live)
        return [ResolvedAddress(family, host, port)]


def peer_certificates(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the peer has shown, DER, its own first; also when they are not verified."""
    if hasattr(session, "get_unverified_chain"):  # Python 3.13
        return tuple(session.get_unverified_chain())
    chain = session._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return tuple(each.public_bytes(_DER) for each in chain or ())


def _filter_version(addresses: list[ResolvedAddress], version: int) -> list[ResolvedAddress]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = [address for address in addresses if address.family == family]
    if not found:
        raise NoAddressOfVersion(str(version))
    return found


def _numeric_family(host: str) -> int | None:
    """Return the address family of a numeric address, None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _implied_address(host: str) -> str | None:
    """Return the address that every resolver takes this host for: `127.1`, `0x7f000001`, `10.0.0.1.`, `localhost`. None
    for other names."""
    text = host.rstrip(".").lower()
    if text == "localhost" or text.endswith(".localhost"):  # RFC 6761, section 6.3
        return "127.0.0.1"
    if _numeric_family(text) is not None:
        return text
    try:
        return socket.inet_ntoa(socket.inet_aton(text))
    except OSError:
        return None


async def _connect_to_any(addresses: list[ResolvedAddress], clock: PhaseClock) -> TargetConnection:
    """Connect to the first of the addresses that responds."""
    refusal: ConnectionRefusedError | None = None
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_PER_ADDRESS):
                return await _connect_to(address, clock)
        except ConnectionRefusedError as error:
            refusal = error
        except OSError:  # includes TimeoutError
            pass
    try:
        return await _connect_to(addresses[-1], clock)
    except OSError as error:
        # A refusal is more useful than a missing route of an address family that this network lacks.
        raise refusal or error from None


async def _connect_to(address: ResolvedAddress, clock: PhaseClock) -> TargetConnection:
    connection = TargetConnection(clock)
    clock.permission.confirm()
    await asyncio.get_running_loop().create_connection(
        lambda: connection, address.host, address.port, family=address.family
    )
    connection.remote_address = address.host
    return connection
