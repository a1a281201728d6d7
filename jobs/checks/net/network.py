"""Make connections: resolve, connect and secure, each a phase on the attempt's clock.

Called by every kind of check, and by scheduler.alerting.delivery.channel_resources. `Network.connect` makes every
connection of a check. It has the guard check each address, and connects only to allowed ones.

Names are resolved in dedicated threads, not in the loop's executor: a silent name server blocks a thread for many
seconds, and other work must not wait for it. The threads are daemons because no such lookup can be cancelled at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from jobs.certificates import Certificate, UnreadableCertificate, read_certificate
from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoAddressOfVersion
from jobs.checks.files import check_descriptors
from jobs.checks.guard import LOCAL_GUARD, Guard
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.tls_contexts import peer_certificates

MAX_RESOLVER_THREADS = 256
"""Names that may be silent at a time before others wait, and seem silent, too: all of a zone that is down. A thread is
started on demand, and takes some 20 KiB."""


MAX_ADDRESSES = 100
"""Addresses of a name that are checked and tried; a DNS answer may have thousands."""


@dataclass(frozen=True, slots=True)
class ResolvedAddress:
    """One numeric address of a host."""

    family: int
    host: str
    port: int


S = TypeVar("S", bound=socket.socket)

_Key = tuple[str, int]
_Job = tuple[_Key, asyncio.AbstractEventLoop, "asyncio.Future[list[ResolvedAddress]]"]


class Resolver:
    """Resolves names, for one event loop. Concurrent lookups of a name share one, so a bad name takes one thread."""

    def __init__(self, threads: int = MAX_RESOLVER_THREADS) -> None:
        self._most = threads
        self._threads = 0
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pending: dict[_Key, asyncio.Future[list[ResolvedAddress]]] = {}

    async def resolve(self, host: str, port: int) -> list[ResolvedAddress]:
        """Return the addresses of a host in the order in which to try them; never empty.

        Raises:
            socket.gaierror: the name is unknown, or the lookup failed.
            OSError: there was no file descriptor for the lookup.
            UnicodeError: not a valid name.
        """
        key = (host, port)
        going = self._pending.get(key)
        if going is None:
            going = self._start(key)
        # One cancelled caller must not end the lookup for the others.
        return await asyncio.shield(going)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _start(self, key: _Key) -> asyncio.Future[list[ResolvedAddress]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[ResolvedAddress]] = loop.create_future()
        self._pending[key] = future
        future.add_done_callback(lambda done: self._on_done(key, done))
        self._queue.put((key, loop, future))
        if self._threads < min(self._most, len(self._pending)):
            self._threads += 1
            threading.Thread(target=self._run_thread, name="resolver", daemon=True).start()
        return future

    def _on_done(self, key: _Key, done: asyncio.Future[list[ResolvedAddress]]) -> None:
        self._pending.pop(key, None)
        if not done.cancelled():
            done.exception()  # without a waiter, asyncio would log the error

    def _run_thread(self) -> None:
        while (job := self._queue.get()) is not None:
            key, loop, future = job
            try:
                outcome: list[ResolvedAddress] | Exception = _look_up(*key)
            except Exception as error:
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is no waiter
                loop.call_soon_threadsafe(_set_outcome, future, outcome)
            del job, future, outcome


def _look_up(host: str, port: int) -> list[ResolvedAddress]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        check_descriptors()
        raise
    addresses = addresses[:MAX_ADDRESSES]
    return [ResolvedAddress(int(family), str(address[0]), port) for family, _, _, _, address in addresses]


def _set_outcome(future: asyncio.Future[list[ResolvedAddress]], outcome: list[ResolvedAddress] | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


CONNECT_TIMEOUT_PER_ADDRESS = 2.0
"""Seconds for one of several addresses: a dead one must not use up the time of the others."""


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
        addresses = self._check_numeric(host, port, only_live)
        if addresses is None:
            addresses = await self._resolve_allowed(host, port, clock, only_live)
        if ip_version is not None:
            addresses = _filter_version(addresses, ip_version)
        clock.enter("connect")
        if len(addresses) == 1:
            connection = await _connect_to(addresses[0], clock)
        else:
            connection = await _connect_to_any(addresses, clock)
        if tls is not None:
            clock.enter("tls")
            await connection.start_tls(tls, (server_name or host).rstrip("."))
        return connection

    async def open_socket(
        self, kind: type[S], host: str, port: int, clock: PhaseClock, *, ip_version: int | None = None
    ) -> tuple[S, str]:
        """Return a connected blocking socket for a driver that needs one, and the address of the peer.

        The caller enters the next phase. Raises as `connect` without TLS.
        """
        addresses = self._check_numeric(host, port, only_live=False)
        if addresses is None:
            addresses = await self._resolve_allowed(host, port, clock, only_live=False)
        if ip_version is not None:
            addresses = _filter_version(addresses, ip_version)
        clock.enter("connect")
        if len(addresses) == 1:
            return await _open_socket(kind, addresses[0], clock), addresses[0].host
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):  # includes TimeoutError
                async with asyncio.timeout(CONNECT_TIMEOUT_PER_ADDRESS):
                    return await _open_socket(kind, address, clock), address.host
        return await _open_socket(kind, addresses[-1], clock), addresses[-1].host

    async def resolve_allowed(self, host: str, port: int) -> list[ResolvedAddress]:
        """Return the allowed addresses of a host, for connections that are not those of a check.

        Raises:
            TargetDenied, socket.gaierror, UnicodeError
        """
        numeric = self._check_numeric(host, port, only_live=False)
        return numeric or await self._resolve_allowed(host, port, PhaseClock(), only_live=False)

    def check_proxied(self, host: str, port: int) -> None:
        """Check a target that a proxy resolves. Raises TargetDenied."""
        self._guard.check_endpoint(host, port)
        address = _implied_address(host)
        if address is not None:
            self._guard.check_address(host, address, port)

    def close(self) -> None:
        self._resolver.close()

    async def _resolve_allowed(self, host: str, port: int, clock: PhaseClock, only_live: bool) -> list[ResolvedAddress]:
        """Return the allowed addresses of a name. It is not resolved again: its addresses might differ by then."""
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
        self._guard.check_numeric(host, port, only_live=only_live)
        return [ResolvedAddress(family, host, port)]


def _filter_version(addresses: list[ResolvedAddress], version: int) -> list[ResolvedAddress]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = [address for address in addresses if address.family == family]
    if not found:
        raise NoAddressOfVersion(str(version))
    return found


# perf: run-cost, 4 us each
@lru_cache(4096)
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


async def _open_socket(kind: type[S], address: ResolvedAddress, clock: PhaseClock) -> S:
    clock.permission.confirm()
    sock = kind(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
        clock.mark_arrival()
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_to(address: ResolvedAddress, clock: PhaseClock) -> TargetConnection:
    connection = TargetConnection(clock)
    clock.permission.confirm()
    clock.address = address.host
    await asyncio.get_running_loop().create_connection(
        lambda: connection, address.host, address.port, family=address.family
    )
    connection.remote_address = address.host
    return connection


def shown_certificates(session: ssl.SSLObject | None) -> tuple[bytes, ...]:
    """Return the peer's certificates, DER, its own first; empty without a session."""
    return () if session is None else peer_certificates(session)


def session_facts(session: ssl.SSLObject | None) -> dict[str, Any]:
    """Return version and cipher; empty without a session."""
    if session is None:
        return {}
    cipher = session.cipher()
    return {"tls_version": session.version(), "cipher": cipher[0] if cipher else None}


def certificate_facts(shown: Sequence[bytes], now: datetime) -> dict[str, Any]:
    """Return subject, issuer and validity of the first of them."""
    certificate = read_first_certificate(shown)
    if certificate is None:
        return {"chain": len(shown)}
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": certificate.days_left(now),
        "serial": certificate.serial,
        "thumbprint": certificate.thumbprint,
        "chain": len(shown),
    }


def read_first_certificate(shown: Sequence[bytes]) -> Certificate | None:
    """Return the peer's own certificate; None if it showed none, or an unreadable one."""
    if not shown:
        return None
    try:
        return read_certificate(shown[0])
    except UnreadableCertificate:
        return None
