"""Where the body of an HTTP/1 response ends. Called by http1_exchange.py. Pure."""

from __future__ import annotations

import httptools

from jobs.checks.errors import HeadTooLarge, IncompleteResponse, MalformedResponse, TooManyChunks
from jobs.checks.http1 import LARGEST_HEAD, Head

MOST_CHUNKS = 20_000
"""Chunks of a body, and one more for each SMALL_CHUNK bytes of its content."""


SMALL_CHUNK = 32
"""Bytes."""


CHUNKED_BITE = 32 * 1024
"""Bytes of a chunked body that are parsed in one step: the parser calls back for each chunk."""


_FRAMING = 16
"""Bytes around the content of a chunk: its size in hexadecimal digits, and two line ends."""


class Incoming:
    """How the body of one answer comes in. `ended`: it is whole; what follows is not part of it."""

    bite: int | None = None
    """The most bytes to feed in one step; None: as many as there are."""
    ended = False
    extra = False
    """Whether bytes came after its end."""

    def feed(self, data: bytes) -> bytes:
        """What of these bytes belongs to the content. Raises MalformedResponse, HeadTooLarge, TooManyChunks."""
        raise NotImplementedError

    def close(self) -> None:
        """The connection has ended before the body had. Raises IncompleteResponse unless that is its end."""
        raise IncompleteResponse


def body_of(method: str, head: Head) -> Incoming:
    """The body that follows the head of the answer to such a request: RFC 9112, section 6.3.

    Chunks win over a length, as browsers have it. Raises MalformedResponse.
    """
    if method == "HEAD" or head.status in (204, 304):
        return _Counted(0)
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise MalformedResponse("a transfer encoding other than chunked")
        return _Chunked()
    length = head.headers.get("content-length")
    return _UntilTheEnd() if length is None else _Counted(_length(length))


def _length(text: str) -> int:
    values = {value.strip() for value in text.split(",")}
    value = values.pop()
    # At most what 64 bits hold, nearly: no body is longer.
    if values or not (value.isascii() and value.isdigit() and len(value) < 19):
        raise MalformedResponse("illegal Content-Length")
    return int(value)


class _Counted(Incoming):
    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def feed(self, data: bytes) -> bytes:
        if len(data) < self._left:
            self._left -= len(data)
            return data
        self.extra = len(data) > self._left
        content, self._left, self.ended = data[: self._left], 0, True
        return content


class _UntilTheEnd(Incoming):
    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        self.ended = True


class _Chunked(Incoming):
    """llhttp gets a head of ours, then the chunks."""

    bite = CHUNKED_BITE

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._pieces = 0
        self._length = 0
        self._overhead = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed(self, data: bytes) -> bytes:
        if self.ended:
            self.extra = True
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            # After the end llhttp expects another answer: what comes there is not of this one.
            if not self.ended:
                raise MalformedResponse("illegal chunk header") from None
            self.extra = True
        content = b"".join(self._parts)
        if not self.ended:
            self._check_framing(data, content)
        self._parts.clear()
        if self.ended:
            del self._parser  # which refers to us
        return content

    def on_body(self, data: bytes) -> None:
        if not self.ended:
            self._parts.append(data)

    def on_message_begin(self) -> None:
        self.extra = self.ended

    def on_message_complete(self) -> None:
        self.ended = True

    def _check_framing(self, data: bytes, content: bytes) -> None:
        """Raises TooManyChunks, HeadTooLarge."""
        self._pieces += len(self._parts)
        self._length += len(content)
        self._overhead += len(data) - len(content)
        if self._pieces > MOST_CHUNKS + self._length // SMALL_CHUNK:
            raise TooManyChunks(MOST_CHUNKS, SMALL_CHUNK)
        if self._overhead > LARGEST_HEAD + _FRAMING * self._pieces + self._length:
            raise HeadTooLarge(LARGEST_HEAD)
