"""A connection to a target: an asyncio protocol below, a stream for one reader and one writer above.

Made by network.py; used by all code that exchanges data with a target.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoResponse
from jobs.checks.files import check_descriptors

DETECTION_BYTES = 16
"""First bytes of the peer that are retained, enough to detect its protocol."""

_HANDSHAKE_TIMEOUT = 600.0
"""Seconds. Longer than any attempt: asyncio's own limit would hide which phase was too slow."""


_TLS_SHUTDOWN_TIMEOUT = 1.0
"""Seconds for the peer to end the TLS session; no caller waits for it."""


_MAX_BUFFERED = 256 * 1024
"""Bytes that arrived and were not read; beyond, the peer is slowed down."""


_SMALL_READ, _MAX_SMALL_READS = 512, 200
"""Bytes that a read returns on average, at least, after so many reads: below, the peer sends too slowly."""


_THROTTLE_SECONDS = 0.01
"""Seconds between two reads from such a peer. Meanwhile the kernel collects what would wake the event loop byte by
byte; larger pieces are not delayed."""


class TargetConnection(asyncio.Protocol):
    """One connection to a target."""

    def __init__(self, clock: PhaseClock) -> None:
        self._clock = clock
        self.marks_first_byte = True
        """Whether the first byte of a response starts the phase "body" on the clock."""
        self.remote_address: str = ""
        """The numeric address of the peer."""
        self._transport: asyncio.Transport | None = None
        self._secure = False
        self._received: deque[bytes] = deque()
        self._size = 0
        self._reads = 0
        self._read_bytes = 0
        self._answered = False
        self.first_bytes = b""
        """The first bytes of the peer: enough to detect its protocol."""
        self._ended = False
        self._error: Exception | None = None
        self._reading = True
        self._may_write = True
        self._waiter: asyncio.Future[None] | None = None

    # --- as a stream ---

    async def write(self, data: bytes) -> None:
        """Send data. Returns early if a response or the end comes first: reading then shows it. Raises LeaseEnded."""
        if self._transport is None or self._transport.is_closing():
            return
        self._clock.permission.confirm_request()
        self._transport.write(data)
        while not (self._may_write or self._received or self._ended):
            await self._next_change()

    async def read(self) -> bytes:
        """Return the data that arrived; b"" at the end. Raises OSError, ssl.SSLError, NoResponse."""
        if self._reads >= _MAX_SMALL_READS and self._read_bytes < self._reads * _SMALL_READ:
            await self._throttle_reading()
        while not (self._received or self._ended):
            await self._next_change()
        if self._received:
            return self._pop_received()
        if self._error is not None:
            # Drop the reference: the error will refer to this frame, and so to this connection.
            error, self._error = self._error, None
            raise error
        if not self._answered:
            raise NoResponse
        return b""

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Secure the connection. Raises ssl.SSLError, OSError, LeaseEnded."""
        self._clock.permission.confirm()
        plain = self._transport
        # A closing one has not called connection_lost yet; uvloop would fail in its own callback, and log that.
        if plain is None or plain.is_closing():
            raise self._error or ConnectionResetError("closed before the handshake")
        try:
            self._transport = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                context,
                server_hostname=host,
                ssl_handshake_timeout=_HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT,
            )
        except ssl.SSLCertVerificationError:
            plain.abort()
            check_descriptors()  # the system's authorities may be files that are read on demand
            raise
        except BaseException:
            plain.abort()
            raise
        self._secure = True
        self.expect_response()

    def expect_response(self, clock: PhaseClock | None = None) -> None:
        """Treat what arrives from now on as another response; with a clock, that of another attempt."""
        self._clock = clock or self._clock
        self._answered, self.first_bytes = False, b""
        self._reads = self._read_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether it is open, without unread data."""
        return (
            self._transport is not None and not self._ended and not self._received and not self._transport.is_closing()
        )

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session: version, cipher, protocol, certificates. None without TLS, and after the end."""
        if not self._secure or self._transport is None:
            return None
        return cast("ssl.SSLObject | None", self._transport.get_extra_info("ssl_object"))

    def close(self) -> None:
        """Close it after a complete response; the TLS session ends in the background."""
        if self._transport is None:
            return
        if self._secure:
            self._transport.close()
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Close it at once: unsent and unread data is discarded."""
        if self._transport is not None:
            self._transport.abort()

    # --- as asyncio's protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._clock.mark_arrival()
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not derive from it

    def data_received(self, data: bytes) -> None:
        self._clock.mark_arrival()
        if not self._answered:
            self._answered = True
            self.first_bytes = data[:DETECTION_BYTES]
            if self.marks_first_byte:
                self._clock.enter_at_arrival("body")
        self._received.append(data)
        self._size += len(data)
        if self._size > _MAX_BUFFERED and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._notify_reader()

    def eof_received(self) -> None:
        self._clock.mark_arrival()
        self._ended = True
        self._notify_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        # A TLS transport has a buffer of 256 KiB and refers to this object: a cycle until the garbage collector runs.
        self._transport = None
        self._notify_reader()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._notify_reader()

    async def _throttle_reading(self) -> None:
        """Leave incoming data to the kernel for a moment."""
        if self._ended or self._transport is None or self._transport.is_closing():
            return
        if self._reading:
            self._reading = False
            self._transport.pause_reading()
        await asyncio.sleep(_THROTTLE_SECONDS)
        if self._transport is not None and not self._transport.is_closing() and self._size < _MAX_BUFFERED:
            self._reading = True
            self._transport.resume_reading()

    def _pop_received(self) -> bytes:
        if len(self._received) == 1:
            data = self._received.pop()
        else:
            data = b"".join(self._received)
            self._received.clear()
        self._size = 0
        self._reads += 1
        self._read_bytes += len(data)
        if not self._reading and self._size < _MAX_BUFFERED and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return data

    def _next_change(self) -> asyncio.Future[None]:
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _notify_reader(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
