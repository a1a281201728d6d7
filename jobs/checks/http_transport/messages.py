"""What the transport and its callers exchange beyond httpx, and HTTP/1 responses: head, end of the body. Pure.

The options of a request and the response are typed values in one extension of httpx's classes. A head is parsed by
regular expressions: llhttp rejects responses that every other client accepts (folded headers, bare line feeds, the same
length twice, a length with chunks), and its errors cannot be distinguished.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httptools
import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import (
    HeadTooLarge,
    IncompleteResponse,
    MalformedResponse,
    NotHttp,
    TooManyChunks,
    TooManyHeaderLines,
)
from jobs.checks.outbound import ProxyEndpoint

MAX_HEAD = 100 * 1024
"""Bytes of all heads of a response together, informational ones included; also of chunk extensions and trailers."""

MAX_HEADER_LINES = 1000
"""Header lines of a response, and of a request's redirects and its response together. Parsing more of them takes the
event loop longer than the request itself."""

MAX_INTERIM_RESPONSES = 20
"""Informational responses (100 Continue, 103 Early Hints) before the final one."""

MAX_INTERIM_HEADER_LINES = 100
"""Header lines of an informational response, whose headers are ignored."""


@dataclass(slots=True)
class ResponseHead:
    """The head of a response. `fields`: as sent; `headers`: by lower-case name, repeated ones joined by a comma. Both
    are empty for an informational response."""

    version: bytes
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    headers: dict[str, str]

    @property
    def closes_connection(self) -> bool:
        """Whether the peer closes the connection after this response."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version != b"1.1" and "keep-alive" not in said)


# --- heads ---

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: ([^\0\r\n]*))?\r?\n")
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_HEADERS = re.compile(rb"(?:" + _TOKEN + rb":[^\0\v\f\r\n\x7f]*\r?\n)*\r?\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\r\n]*)")
_FOLD = re.compile(rb"\r?\n[ \t]+")


def find_head_end(data: bytes | bytearray, searched: int = 0, room: int = MAX_HEAD) -> int | None:
    """Return where the head of a response ends; None if more bytes are needed. `searched`: bytes of an earlier search.

    Raises:
        HeadTooLarge: it does not end within `room` bytes.
    """
    found = _END.search(data, max(searched - 2, 0))
    end = found.end() if found else None
    if (end or len(data)) > room:
        raise HeadTooLarge(MAX_HEAD)
    return end


def parse_head(block: bytes) -> ResponseHead:
    """Parse the head that this block is; without the headers of an informational one.

    Raises:
        MalformedResponse, TooManyHeaderLines
    """
    line = _STATUS_LINE.match(block)
    if line is None:
        raise MalformedResponse("illegal status line")
    version, status, reason = line.groups()
    is_interim = status[:1] == b"1"
    lines, most = block[line.end() :], MAX_INTERIM_HEADER_LINES if is_interim else MAX_HEADER_LINES
    if lines.count(b"\n") > most + 1:  # the empty line at the end does not count
        raise TooManyHeaderLines(int(status), most)
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)
    if _HEADERS.fullmatch(lines) is None:
        raise MalformedResponse("illegal header line")
    if is_interim:
        return ResponseHead(version, int(status), reason or b"", [], {})
    fields = [(name, value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]
    return ResponseHead(version, int(status), reason or b"", fields, join_fields(fields))


def join_fields(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name, repeated ones joined."""
    # perf: run-cost, 5 % of a run with 20 headers, which httpx parses in 48 microseconds
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), decode_header(raw_value)
        if name in headers:
            repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value
    for name, values in repeated.items():
        headers[name] = ", ".join(values)
    return headers


def decode_header(value: bytes) -> str:
    """Return a header's value as text: UTF-8, or else ISO 8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


# --- bodies ---


MAX_CHUNKS = 20_000
"""Chunks of a body, and one more for each SMALL_CHUNK bytes of its content."""


SMALL_CHUNK = 32
"""Bytes."""


CHUNKED_STEP = 32 * 1024
"""Bytes of a chunked body that are parsed in one step: the parser calls back for each chunk."""


_FRAMING_BYTES = 16
"""Bytes around the content of a chunk: its size in hexadecimal digits, and two line ends."""


class BodyFraming:
    """How the body of one response is delimited. `is_complete`: what follows is not part of it."""

    step_size: int | None = None
    """Bytes to feed in one step at most; None: no limit."""
    is_complete = False
    has_extra = False
    """Whether bytes came after its end."""
    remaining: int | None = None
    """Bytes of the body that were not fed yet; None if that is not known."""

    def feed(self, data: bytes) -> bytes:
        """Return the content in these bytes. Raises MalformedResponse, HeadTooLarge, TooManyChunks."""
        raise NotImplementedError

    def close(self) -> None:
        """End the input: the connection was closed. Raises IncompleteResponse unless that ends the body."""
        raise IncompleteResponse


def select_framing(method: str, head: ResponseHead) -> BodyFraming:
    """Return the framing of the body that follows this head: RFC 9112, section 6.3.

    Chunks win over a length, as in browsers. Raises MalformedResponse.
    """
    if method == "HEAD" or head.status in (204, 304):
        return _LengthFraming(0)
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise MalformedResponse("a transfer encoding other than chunked")
        return _ChunkedFraming()
    length = head.headers.get("content-length")
    return _CloseFraming() if length is None else _LengthFraming(_parse_length(length))


def _parse_length(text: str) -> int:
    values = {value.strip() for value in text.split(",")}
    value = values.pop()
    # Nearly what 64 bits can represent: no body is longer.
    if values or not (value.isascii() and value.isdigit() and len(value) < 19):
        raise MalformedResponse("illegal Content-Length")
    return int(value)


class _LengthFraming(BodyFraming):
    def __init__(self, length: int) -> None:
        self.remaining: int = length
        self.is_complete = length == 0

    def feed(self, data: bytes) -> bytes:
        if len(data) < self.remaining:
            self.remaining -= len(data)
            return data
        self.has_extra = len(data) > self.remaining
        content, self.remaining, self.is_complete = data[: self.remaining], 0, True
        return content


class _CloseFraming(BodyFraming):
    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        self.is_complete = True


class _ChunkedFraming(BodyFraming):
    """Parses chunks with llhttp, after a head of our own."""

    step_size = CHUNKED_STEP

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._chunks = 0
        self._length = 0
        self._overhead = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed(self, data: bytes) -> bytes:
        if self.is_complete:
            self.has_extra = True
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            # After the end llhttp expects another response: its bytes do not belong to this one.
            if not self.is_complete:
                raise MalformedResponse("illegal chunk header") from None
            self.has_extra = True
        content = b"".join(self._parts)
        if not self.is_complete:
            self._check_framing(data, content)
        self._parts.clear()
        if self.is_complete:
            del self._parser  # which refers to this object
        return content

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._parts.append(data)

    def on_message_begin(self) -> None:
        self.has_extra = self.is_complete

    def on_message_complete(self) -> None:
        self.is_complete = True

    def _check_framing(self, data: bytes, content: bytes) -> None:
        """Raises TooManyChunks, HeadTooLarge."""
        self._chunks += len(self._parts)
        self._length += len(content)
        self._overhead += len(data) - len(content)
        if self._chunks > MAX_CHUNKS + self._length // SMALL_CHUNK:
            raise TooManyChunks(MAX_CHUNKS, SMALL_CHUNK)
        if self._overhead > MAX_HEAD + _FRAMING_BYTES * self._chunks + self._length:
            raise HeadTooLarge(MAX_HEAD)


HTTP1_PREFIX = b"HTTP/1."

# The first matching pattern counts.
_PROTOCOLS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (rb"[\x14-\x17]\x03[\x00-\x04]", "TLS: write https in the URL"),
        (rb"\x00..\x04", "HTTP/2 only: set http2: true"),
        (rb"SSH-", "SSH: check the port"),
        (rb"220[ -]", "SMTP or FTP: check the port"),
        (rb"\+OK|\* OK", "POP3 or IMAP: check the port"),
        (rb"-(ERR|NOAUTH|DENIED)", "Redis: check the port"),
        (rb"...\x00(\x0a|\xff)", "MySQL: check the port"),
        (rb"HTTP/", "another version of it"),
        (rb"\s*<", "a page without a head, as in HTTP/0.9"),
        (rb"ICY ", "SHOUTcast: check the port"),
    )
)


def not_http_error(first: bytes) -> NotHttp:
    """Return the error for a response that begins with these bytes."""
    return NotHttp(next((words for pattern, words in _PROTOCOLS if pattern.match(first)), ""))


def may_be_http1(first: bytes) -> bool:
    """Return whether a response that begins with these bytes, which may be few, can be HTTP/1."""
    return first.startswith(HTTP1_PREFIX) or (len(first) < len(HTTP1_PREFIX) and HTTP1_PREFIX.startswith(first))


_EXTENSION = "scheduler"


@dataclass(slots=True)
class RequestOptions:
    """How a request is sent."""

    clock: PhaseClock
    tls: ssl.SSLContext | None = None
    """Required for https."""
    server_name: str = ""
    """The name in the TLS handshake, if it is not the host."""
    ip_version: int | None = None
    """The only version of IP to connect by."""
    is_pooled: bool = False
    """Whether it may use an idle connection."""
    http2: bool = False
    only_live: bool = False
    """Whether it requests nothing but LIVE_PATH, see Guard.check_endpoint."""
    proxy: ProxyEndpoint | None = None
    on_peer_change: Callable[[str, int], None] | None = None
    """Called with the peer that the following errors are about; set with `proxy`."""

    def as_extensions(self) -> dict[str, Any]:
        """Return the extensions of the request."""
        return {_EXTENSION: self, "timeout": {}}


@dataclass(slots=True)
class TargetResponse:
    """A response before its body is read."""

    status: int
    reason: str
    http_version: str
    """As in `HTTP/1.1`."""
    fields: Sequence[tuple[bytes, bytes]]
    """The header lines as sent."""
    headers: dict[str, str]
    """By lower-case name, repeated ones joined by a comma."""
    stream: httpx.AsyncByteStream
    """The body. Closing it before its end aborts the connection."""
    remote_address: str | None = None
    """None if another transport received the response."""
    tls_version: str | None = None
    """None without TLS, as are the certificates empty."""
    certificates: tuple[bytes, ...] = ()

    @staticmethod
    def from_httpx(response: httpx.Response) -> TargetResponse:
        """Return the response that the transport of checks put into httpx's, or make one of httpx's."""
        made: TargetResponse | None = response.extensions.get(_EXTENSION)
        if made is not None:
            return made
        assert isinstance(response.stream, httpx.AsyncByteStream)
        fields = response.headers.raw
        return TargetResponse(
            response.status_code,
            response.reason_phrase,
            response.http_version,
            fields,
            join_fields(fields),
            response.stream,
        )

    def to_httpx(self) -> httpx.Response:
        """Return httpx's response, which contains this one."""
        extensions = {
            _EXTENSION: self,
            "http_version": self.http_version.encode("ascii"),
            "reason_phrase": self.reason.encode("ascii"),
        }
        return httpx.Response(self.status, headers=self.fields, stream=self.stream, extensions=extensions)


def request_options(request: httpx.Request) -> RequestOptions:
    """Return the options of a request of the checks."""
    options: RequestOptions = request.extensions[_EXTENSION]
    return options
