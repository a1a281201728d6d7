"""uvicorn's HTTP/1.1 protocol with limits for a client: size and time of a request's head, time of its body, pipelined
requests, and unread responses.

The register checks the timeouts of all connections once a second (`check_timeouts`), so a request costs no timer.
Reserved connections get an app that serves health requests only.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scheduler.connections import limits
from scheduler.connections.problem_responses import PROBLEM_MEDIA_TYPE, problem_body, raw_response
from scheduler.connections.register import CloseReason, ConnectionAdmission, ConnectionRegister

PROBE_PATH: Final = "/api/health"
BUSY_MESSAGE: Final = (
    "All connections of this API are in use: retry later. Requests to /api/health/ready are always answered."
)


class ProbesOnly:
    """The app for a reserved connection."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PROBE_PATH or scope["path"].startswith(f"{PROBE_PATH}/"):
            await self._app(scope, receive, send)
            return
        body = problem_body(HTTPStatus.SERVICE_UNAVAILABLE, BUSY_MESSAGE)
        headers = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"retry-after", b"5"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": int(HTTPStatus.SERVICE_UNAVAILABLE), "headers": headers})
        await send({"type": "http.response.body", "body": body})


WRITE_TIMEOUT: Final = 20.0
"""Seconds in which a client has to read MIN_READ_BYTES of its response, or all of it."""
MIN_READ_BYTES: Final = 64 * 1024
MAX_PIPELINED_REQUESTS: Final = 16
"""Requests that wait on one connection for the response to the previous one."""
MAX_DISCARDED_BODY_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a body that are discarded after the response. A connection that is closed while its client still sends is
reset, and the client may never receive the response."""
DISCARD_TIMEOUT: Final = 5.0
"""Seconds for the same."""

_FRAMING_TOO_LARGE = "The trailers or the chunk sizes of the body are too large: send chunks of at least 64 bytes."
_TOO_MANY_PIPELINED = (
    f"Too many pipelined requests: at most {MAX_PIPELINED_REQUESTS}. Send the next request after a response."
)
_MALFORMED = "The request is not valid HTTP/1.1."


class _RequestRefused(Exception):
    """Raised in a callback of the parser to end it."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class BoundedProtocol(HttpToolsProtocol):
    """One connection. See the module for its bounds."""

    def __init__(self, *args: Any, register: ConnectionRegister, **options: Any) -> None:
        super().__init__(*args, **options)
        self.peer = ""
        self._register = register
        self._since = 0.0
        """The start of the request, its body, or the time after an early response."""
        self._head_bytes = 0
        self._in_head = self._in_body = self._closes_after_body = False
        self._refused: _RequestRefused | None = None
        self._body_bytes = self._framing_bytes = 0
        self._unsent_since: float | None = None
        self._unsent = 0

    # --- what the event loop calls ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self._register.clock()
        self.peer = self.client[0] if self.client else "unknown"
        self._answer_transport = _ResponseTransport(self)
        match self._register.admit(self):
            case ConnectionAdmission.RESERVE:
                self.app = ProbesOnly(self.app)
            case ConnectionAdmission.NONE:
                transport.write(raw_response(HTTPStatus.SERVICE_UNAVAILABLE, BUSY_MESSAGE))
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._register.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.timeout_keep_alive_task is not None and not self._in_body:
            self._since = self._register.clock()
        self._unset_keepalive_if_required()
        cycle, in_body, body = self.cycle, self._in_body, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # handled as a request without an upgrade
        except httptools.HttpParserError:
            refused = self._refused or _RequestRefused(HTTPStatus.BAD_REQUEST, _MALFORMED)
            self._refuse(refused.status, refused.detail, CloseReason.MALFORMED)
            return
        if self._in_head:
            self._bound_head(len(data))
        elif in_body and self._in_body and self.cycle is cycle:
            self._bound_framing(len(data) - (self._body_bytes - body))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._register.mark_waiting(self)
        self._register.drop_slow_readers()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_answering and not self._in_body:
            self._register.mark_working(self)

    # --- what the parser calls ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if len(self.url) > limits.MAX_URL_BYTES:
            raise self._refusal(HTTPStatus.REQUEST_URI_TOO_LONG, limits.URL_TOO_LONG)
        if len(self.headers) > limits.MAX_HEADERS or self._size_of_head() > limits.MAX_HEAD_BYTES:
            raise self._refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, limits.HEAD_TOO_LARGE)
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            raise self._refusal(HTTPStatus.TOO_MANY_REQUESTS, _TOO_MANY_PIPELINED)
        super().on_headers_complete()
        self.cycle.transport = self._answer_transport  # type: ignore[assignment]
        self.headers = []  # receives trailers, which must not change the list of the request
        self._in_body, self._since = True, self._register.clock()
        self._body_bytes = self._framing_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self.cycle.response_complete and self._body_bytes > MAX_DISCARDED_BODY_BYTES:
            self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()
        if self._closes_after_body:
            self.transport.close()
        elif not self.cycle.response_complete:
            self._register.mark_working(self)

    # --- what the response calls ---

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body:
            self._since = self._register.clock()
        if not self.pipeline:
            self._register.mark_waiting(self)

    def close_after_answer(self) -> None:
        """Close the connection after the rest of the body was received, within limits."""
        if not self._in_body or self.pipeline:
            self.transport.close()
            return
        self._closes_after_body = True
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    # --- what the register calls ---

    def evict(self) -> None:
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, BUSY_MESSAGE)

    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        self.transport.abort()

    def check_timeouts(self, now: float) -> None:
        if self.unsent_bytes() or self.transport.is_closing():
            self._check_reader(now)
            return
        self._unsent_since = None
        waited = now - self._since
        if self._in_body and not self._is_answering:
            if waited >= DISCARD_TIMEOUT:
                self.transport.close()
        elif self._in_body:
            # Nothing is read while requests are pipelined, so the last body cannot arrive.
            allowed = limits.BODY_TIMEOUT + self._body_bytes // limits.MIN_BODY_RATE
            if not self.pipeline and waited >= allowed:
                detail = f"The body of the request was not complete within {allowed:g} s."
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail, CloseReason.SLOW_REQUEST)
        elif not self._is_answering and self.timeout_keep_alive_task is None and waited >= limits.HEAD_TIMEOUT:
            detail = f"The head of the request was not complete within {limits.HEAD_TIMEOUT:g} s."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail, CloseReason.SLOW_REQUEST)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _check_reader(self, now: float) -> None:
        unsent = self.unsent_bytes()
        if self._unsent_since is None or self._unsent - unsent >= MIN_READ_BYTES:
            self._unsent_since, self._unsent = now, unsent
        elif now - self._unsent_since >= WRITE_TIMEOUT:
            self._register.count_closed(CloseReason.SLOW_READER)
            self.transport.abort()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _bound_head(self, size: int) -> None:
        """Reject a head that is too large before it is complete: the parser buffers it."""
        self._head_bytes += size
        if len(self.url) > limits.MAX_URL_BYTES:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, limits.URL_TOO_LONG, CloseReason.MALFORMED)
        elif self._head_bytes > limits.MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, limits.HEAD_TOO_LARGE, CloseReason.MALFORMED)

    def _bound_framing(self, size: int) -> None:
        """Reject trailers and chunk sizes that are too large: the parser buffers trailers."""
        self._framing_bytes += size
        if self._framing_bytes > limits.MAX_HEAD_BYTES + self._body_bytes // 8:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _FRAMING_TOO_LARGE, CloseReason.MALFORMED)

    def _refusal(self, status: HTTPStatus, detail: str) -> _RequestRefused:
        self._refused = _RequestRefused(status, detail)
        return self._refused

    def _refuse(self, status: HTTPStatus, detail: str, reason: CloseReason | None = None) -> None:
        """Send a problem if the client waits for a response that has not started, and close."""
        if reason is not None:
            self._register.count_closed(reason)
        answering, cycle = self._is_answering, self.cycle
        if self.unsent_bytes() or (answering and cycle.response_started):
            self.transport.abort()
            return
        if answering:
            cycle.disconnected = True
            cycle.message_event.set()
        if answering or self._in_head or reason is CloseReason.MALFORMED:
            self.transport.write(raw_response(status, detail))
        self.transport.close()


class _ResponseTransport:
    """The transport for a response: closing it lets the client finish its body."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.close_after_answer
