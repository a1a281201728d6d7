"""Connections for checks: name, TCP and TLS one after the other, each marked on the attempt's clock.

Called by every kind of check. Every connection of a check is made in `Network.connect`, which asks guard.py about each
address and connects to those alone that it allows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import deque
from functools import lru_cache
from typing import cast

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoAddressOfVersion, NoResponse
from jobs.checks.files.descriptors import check_descriptors
from jobs.checks.guard import LOCAL, Guard
from jobs.checks.resolver import Address, Resolver
from jobs.checks.spoken import ENOUGH

PATIENCE = 2.0
"""Seconds for one of several addresses: a dead one must not take the time of those that follow."""

_HANDSHAKE = 600.0
"""Seconds. Longer than any attempt may take: asyncio's own limit would hide which phase was too slow."""

_GOODBYE = 1.0
"""Seconds for the other side to answer the end of a TLS session; nobody waits for it."""

_DER = 2
"""As the ssl module's private part numbers it."""

_MOST_KEPT = 1000
"""Numeric addresses of which it is known whether they may be asked."""

_BUFFERED = 256 * 1024
"""Bytes that have arrived and that nobody has read; beyond, the other side is slowed down."""


_SMALL, _MANY_SMALL = 512, 200
"""Bytes that a read gives at least, on average, once there were so many of them: beyond, the other side dribbles."""

_PACE = 0.01
"""Seconds between two reads of who dribbles. The kernel collects meanwhile what would wake the event loop byte by byte;
nothing gets slower by it that comes in larger pieces."""


class Connection(asyncio.Protocol):
    """One connection: an asyncio protocol below; above, a stream for one reader and one writer."""

    def __init__(self, clock: PhaseClock) -> None:
        self._clock = clock
        self.marks = True
        """Whether the first byte of an answer begins the phase "body" on the clock."""
        self.remote_address: str = ""
        """The numeric address that it leads to."""
        self._transport: asyncio.Transport | None = None
        self._secure = False
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._reads = 0
        self._read_bytes = 0
        self._answered = False
        self.first = b""
        """What the other side said first, if anything: enough of it to see what it speaks."""
        self._ended = False
        self._error: Exception | None = None
        self._reading = True
        self._may_write = True
        self._waiter: asyncio.Future[None] | None = None

    # --- as a stream ---

    async def write(self, data: bytes) -> None:
        """Send it. Returns early when an answer or the end comes first: reading then tells what happened."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        while not (self._may_write or self._arrived or self._ended):
            await self._change()

    async def read(self) -> bytes:
        """What has arrived; b"" at the end. Raises OSError, ssl.SSLError, NoResponse."""
        if self._reads >= _MANY_SMALL and self._read_bytes < self._reads * _SMALL:
            await self._wait_for_more()
        while not (self._arrived or self._ended):
            await self._change()
        if self._arrived:
            return self._take()
        if self._error is not None:
            # Let go of it: it will refer to this frame, and so to us.
            error, self._error = self._error, None
            raise error
        if not self._answered:
            raise NoResponse
        return b""

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Put TLS between the connection and the network. Raises ssl.SSLError, OSError."""
        plain = self._transport
        # One that is closing has not told us yet; uvloop would fail in a callback of its own, and log that.
        if plain is None or plain.is_closing():
            raise self._error or ConnectionResetError("closed before the handshake")
        try:
            self._transport = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                context,
                server_hostname=host,
                ssl_handshake_timeout=_HANDSHAKE,
                ssl_shutdown_timeout=_GOODBYE,
            )
        except ssl.SSLCertVerificationError:
            plain.abort()
            check_descriptors()  # the authorities of the system may be files, read as they are needed
            raise
        except BaseException:
            plain.abort()
            raise
        self._secure = True
        self.expect()

    def expect(self, clock: PhaseClock | None = None) -> None:
        """What arrives from now on is another answer; with a clock, one that another attempt waits for."""
        self._clock = clock or self._clock
        self._answered, self.first = False, b""
        self._reads = self._read_bytes = 0

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has arrived that nobody has read."""
        return (
            self._transport is not None and not self._ended and not self._arrived and not self._transport.is_closing()
        )

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session: version, cipher, protocol, certificates. None without TLS, and after the end."""
        if not self._secure or self._transport is None:
            return None
        return cast("ssl.SSLObject | None", self._transport.get_extra_info("ssl_object"))

    def finish(self) -> None:
        """Close it after a whole answer; TLS says goodbye in the background."""
        if self._transport is None:
            return
        if self._secure:
            self._transport.close()
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Break it off: what is unsent or unread is thrown away."""
        if self._transport is not None:
            self._transport.abort()

    # --- as asyncio's protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if not self._answered:
            self._answered = True
            self.first = data[:ENOUGH]
            if self.marks:
                self._clock.enter("body")
        self._arrived.append(data)
        self._size += len(data)
        if self._size > _BUFFERED and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._changed()

    def eof_received(self) -> None:
        self._ended = True
        self._changed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        # TLS has a buffer of 256 KiB, and it refers to us: without this it stays until the garbage collector comes.
        self._transport = None
        self._changed()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._changed()

    async def _wait_for_more(self) -> None:
        """Leave what arrives to the kernel for a moment."""
        if self._ended or self._transport is None or self._transport.is_closing():
            return
        if self._reading:
            self._reading = False
            self._transport.pause_reading()
        await asyncio.sleep(_PACE)
        if self._transport is not None and not self._transport.is_closing() and self._size < _BUFFERED:
            self._reading = True
            self._transport.resume_reading()

    def _take(self) -> bytes:
        data = self._arrived.popleft() if len(self._arrived) == 1 else b"".join(self._arrived)
        self._arrived.clear()
        self._size = 0
        self._reads += 1
        self._read_bytes += len(data)
        if not self._reading and self._size < _BUFFERED and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return data

    async def _change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _changed(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Network:
    """Makes connections, for one event loop. `guard`: where they may lead."""

    def __init__(self, guard: Guard = LOCAL) -> None:
        self._guard = guard
        self._resolver = Resolver()
        self._numeric = lru_cache(_MOST_KEPT)(self._judged_numeric)

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
    ) -> Connection:
        """A connection to the host; with `tls` its certificate is checked against the host's name, or `server_name`.

        `ip_version`: 4 or 6, for addresses of it alone. `only_live`: see Guard.check_place.

        Raises what went wrong, as the phase has it: socket.gaierror or UnicodeError in "dns", OSError in "connect",
        ssl.SSLError or OSError in "tls"; and TargetDenied or NoAddressOfVersion before "connect". When cancelled,
        nothing stays open.
        """
        addresses = await self._addresses(host, port, clock, only_live)
        if ip_version is not None:
            addresses = _of_version(addresses, ip_version)
        clock.enter("connect")
        connection = await _connect_to_any(addresses, clock)
        if tls is not None:
            clock.enter("tls")
            await connection.start_tls(tls, (server_name or host).rstrip("."))
        return connection

    def check(self, host: str, port: int) -> None:
        """Whether it may be asked by way of somebody else, who looks its name up. Raises TargetDenied."""
        self._guard.check_place(host, port)
        address = _read_as_address(host)
        if address is not None:
            self._guard.check(host, address, port)

    def close(self) -> None:
        self._resolver.close()

    async def _addresses(self, host: str, port: int, clock: PhaseClock, only_live: bool) -> list[Address]:
        """Those that may be connected to. Nobody looks the name up again: it might have other addresses by then."""
        numeric = self._numeric(host, port, only_live)
        if numeric is not None:
            return numeric
        self._guard.check_place(host, port, only_live=only_live)
        clock.enter("dns")
        found = await self._resolver.addresses(host, port)
        allowed = self._guard.allowed(host, port, [address.host for address in found], only_live=only_live)
        return [address for address in found if address.host in allowed]

    def _judged_numeric(self, host: str, port: int, only_live: bool) -> list[Address] | None:
        """Of a numeric address, which stays the same, as do the rules: itself. None for a name."""
        family = _numeric_family(host)
        if family is None:
            return None
        self._guard.allowed(host, port, [host], only_live=only_live)
        return [Address(family, host, port)]


def certificates(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the other side has shown, DER, its own certificate first; also when it is not checked."""
    if hasattr(session, "get_unverified_chain"):  # Python 3.13
        return tuple(session.get_unverified_chain())
    chain = session._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return tuple(each.public_bytes(_DER) for each in chain or ())


def _of_version(addresses: list[Address], version: int) -> list[Address]:
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


def _read_as_address(host: str) -> str | None:
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


async def _connect_to_any(addresses: list[Address], clock: PhaseClock) -> Connection:
    """The first of the addresses that answers."""
    refusal: ConnectionRefusedError | None = None
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(PATIENCE):
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


async def _connect_to(address: Address, clock: PhaseClock) -> Connection:
    connection = Connection(clock)
    await asyncio.get_running_loop().create_connection(
        lambda: connection, address.host, address.port, family=address.family
    )
    connection.remote_address = address.host
    return connection
