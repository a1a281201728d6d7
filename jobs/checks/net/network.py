"""Connections for checks: name, TCP and TLS one after the other, each marked on the attempt's clock.

Called by every kind of check. Every connection of a check is made in `Network.connect`, which asks guard.py about each
address and connects to those alone that it allows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from functools import lru_cache

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoAddressOfVersion
from jobs.checks.guard.guard import LOCAL_GUARD, Guard
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.resolver import ResolvedAddress, Resolver

CONNECT_TIMEOUT_PER_ADDRESS = 2.0
"""Seconds for one of several addresses: a dead one must not take the time of those that follow."""

_DER = 2
"""As the ssl module's private part numbers it."""

_MOST_CACHED_ADDRESSES = 1000
"""Numeric addresses of which it is known whether they may be asked."""


class Network:
    """Makes connections, for one event loop. `guard`: where they may lead."""

    def __init__(self, guard: Guard = LOCAL_GUARD) -> None:
        self._guard = guard
        self._resolver = Resolver()
        self._numeric = lru_cache(_MOST_CACHED_ADDRESSES)(self._check_numeric)

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
        """A connection to the host; with `tls` its certificate is checked against the host's name, or `server_name`.

        `ip_version`: 4 or 6, for addresses of it alone. `only_live`: see Guard.check_place.

        Raises what went wrong, as the phase has it: socket.gaierror or UnicodeError in "dns", OSError in "connect",
        ssl.SSLError or OSError in "tls"; and TargetDenied or NoAddressOfVersion before "connect". When cancelled,
        nothing stays open.
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

    def check_proxied(self, host: str, port: int) -> None:
        """Whether it may be asked by way of somebody else, who looks its name up. Raises TargetDenied."""
        self._guard.check_endpoint(host, port)
        address = _implied_address(host)
        if address is not None:
            self._guard.check_address(host, address, port)

    def close(self) -> None:
        self._resolver.close()

    async def _resolve_allowed(self, host: str, port: int, clock: PhaseClock, only_live: bool) -> list[ResolvedAddress]:
        """Those that may be connected to. Nobody looks the name up again: it might have other addresses by then."""
        numeric = self._numeric(host, port, only_live)
        if numeric is not None:
            return numeric
        self._guard.check_endpoint(host, port, only_live=only_live)
        clock.enter("dns")
        found = await self._resolver.resolve(host, port)
        allowed = self._guard.filter_allowed(host, port, [address.host for address in found], only_live=only_live)
        return [address for address in found if address.host in allowed]

    def _check_numeric(self, host: str, port: int, only_live: bool) -> list[ResolvedAddress] | None:
        """Of a numeric address, which stays the same, as do the rules: itself. None for a name."""
        family = _numeric_family(host)
        if family is None:
            return None
        self._guard.filter_allowed(host, port, [host], only_live=only_live)
        return [ResolvedAddress(family, host, port)]


def peer_certificates(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the other side has shown, DER, its own certificate first; also when it is not checked."""
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


@lru_cache(4096)
def _numeric_family(host: str) -> int | None:
    """The address family of a numeric address, None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _implied_address(host: str) -> str | None:
    """The address that everybody takes this host for, whoever looks it up: `127.1`, `0x7f000001`, `10.0.0.1.`,
    `localhost`. None for other names."""
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
    """The first of the addresses that answers."""
    refusal: ConnectionRefusedError | None = None
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_PER_ADDRESS):
                return await _connect_to(address, clock)
        except ConnectionRefusedError as error:
            refusal = error
        except OSError:  # a TimeoutError, too
            pass
    try:
        return await _connect_to(addresses[-1], clock)
    except OSError as error:
        # A refusal tells more than the missing route of an address family that this network does not have.
        raise refusal or error from None


async def _connect_to(address: ResolvedAddress, clock: PhaseClock) -> TargetConnection:
    connection = TargetConnection(clock)
    await asyncio.get_running_loop().create_connection(
        lambda: connection, address.host, address.port, family=address.family
    )
    connection.remote_address = address.host
    return connection
