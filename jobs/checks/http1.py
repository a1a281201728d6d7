"""What the bytes of an HTTP/1 answer mean: its head, and how its body ends. Called by transport.py. Pure.

Heads are read by expressions of our own: llhttp refuses answers that every other client takes (folded headers, line
feeds alone, the same length twice, a length beside chunks), and its reasons cannot be told apart. Chunks are llhttp's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from jobs.checks.errors import HeadTooLarge, IncompleteResponse, MalformedResponse, TooManyChunks, TooManyHeaderLines

LARGEST_HEAD = 100 * 1024
"""Bytes of all heads of an answer together, the informational ones included; also of what its chunks carry beside the
content, beyond what framing needs."""

MOST_LINES = 1000
"""Header lines of an answer, and of a request's redirects and its answer together. Reading more of them takes the event
loop longer than the request itself."""

MOST_INTERIM = 20
"""Informational answers (100 Continue, 103 Early Hints) before the final one."""

MOST_INTERIM_LINES = 100
"""Header lines of an informational answer, which nobody looks at."""

MOST_CHUNKS = 20_000
"""Chunks of a body, and one more for each SMALL_CHUNK bytes of its content."""

SMALL_CHUNK = 32
"""Bytes."""

CHUNKED_BITE = 32 * 1024
"""Bytes of a chunked body that are parsed in one step: the parser calls back for each chunk."""

_FRAMING = 16
"""Bytes around the content of a chunk: its size in hexadecimal digits, and two line ends."""


@dataclass(slots=True)
class Head:
    """The begin of an answer. `fields` as sent; `headers` by name in lower case, repeated ones joined by a comma; both
    are empty for an informational answer."""

    version: bytes
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    headers: dict[str, str]

    @property
    def closes(self) -> bool:
        """Whether the other side says that it closes the connection after this answer."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version != b"1.1" and "keep-alive" not in said)


# --- heads ---

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: ([^\0\r\n]*))?\r?\n")
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_HEADERS = re.compile(rb"(?:" + _TOKEN + rb":[^\0\v\f\r\n\x7f]*\r?\n)*\r?\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\r\n]*)")
_FOLD = re.compile(rb"\r?\n[ \t]+")


def end_of_head(data: bytes | bytearray, searched: int = 0, room: int = LARGEST_HEAD) -> int | None:
    """Where the head of an answer ends; None when more bytes are needed. `searched`: bytes of an earlier search.

    Raises:
        HeadTooLarge: it does not end within `room` bytes.
    """
    found = _END.search(data, max(searched - 2, 0))
    end = found.end() if found else None
    if (end or len(data)) > room:
        raise HeadTooLarge(LARGEST_HEAD)
    return end


def read_head(block: bytes) -> Head:
    """The head that this block is, to its end; without the headers of an informational one.

    Raises:
        MalformedResponse, TooManyHeaderLines
    """
    line = _STATUS_LINE.match(block)
    if line is None:
        raise MalformedResponse("illegal status line")
    version, status, reason = line.groups()
    is_interim = status[:1] == b"1"
    lines, most = block[line.end() :], MOST_INTERIM_LINES if is_interim else MOST_LINES
    if lines.count(b"\n") > most + 1:  # the empty line at the end is none of them
        raise TooManyHeaderLines(int(status), most)
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)
    if _HEADERS.fullmatch(lines) is None:
        raise MalformedResponse("illegal header line")
    if is_interim:
        return Head(version, int(status), reason or b"", [], {})
    fields = [(name, value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]
    return Head(version, int(status), reason or b"", fields, joined(fields))


def joined(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name in lower case, repeated ones joined. httpx does the same ten times slower."""
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), header_text(raw_value)
        if name in headers:
            repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value
    for name, values in repeated.items():
        headers[name] = ", ".join(values)
    return headers


def header_text(value: bytes) -> str:
    """A header's value as text: UTF-8, or else ISO 8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


# --- bodies ---


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
