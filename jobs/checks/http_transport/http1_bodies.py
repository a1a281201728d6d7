"""Find where the body of an HTTP/1 response ends. Called by http1_exchange.py. Pure."""

from __future__ import annotations

import httptools

from jobs.checks.errors import HeadTooLarge, IncompleteResponse, MalformedResponse, TooManyChunks
from jobs.checks.http_transport.http1 import LARGEST_HEAD, ResponseHead

MOST_CHUNKS = 20_000
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
        self._remaining = length
        self.is_complete = length == 0

    def feed(self, data: bytes) -> bytes:
        if len(data) < self._remaining:
            self._remaining -= len(data)
            return data
        self.has_extra = len(data) > self._remaining
        content, self._remaining, self.is_complete = data[: self._remaining], 0, True
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
        if self._chunks > MOST_CHUNKS + self._length // SMALL_CHUNK:
            raise TooManyChunks(MOST_CHUNKS, SMALL_CHUNK)
        if self._overhead > LARGEST_HEAD + _FRAMING_BYTES * self._chunks + self._length:
            raise HeadTooLarge(LARGEST_HEAD)
