"""What the bytes of an HTTP/1 answer mean: its head, and how its body ends. Called by transport.py. Pure.

Heads are read by expressions of our own: llhttp refuses answers that every other client takes (folded headers, line
feeds alone, the same length twice, a length beside chunks), and its reasons cannot be told apart. Chunks are llhttp's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.checks.errors import HeadTooLarge, MalformedResponse, TooManyHeaderLines

LARGEST_HEAD = 100 * 1024
"""Bytes of all heads of an answer together, the informational ones included; also of what its chunks carry beside the
content, beyond what framing needs."""

MOST_HEADER_LINES = 1000
"""Header lines of an answer, and of a request's redirects and its answer together. Reading more of them takes the event
loop longer than the request itself."""

MOST_INTERIM_RESPONSES = 20
"""Informational answers (100 Continue, 103 Early Hints) before the final one."""

MOST_INTERIM_HEADER_LINES = 100
"""Header lines of an informational answer, which nobody looks at."""


@dataclass(slots=True)
class ResponseHead:
    """The begin of an answer. `fields` as sent; `headers` by name in lower case, repeated ones joined by a comma; both
    are empty for an informational answer."""

    version: bytes
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    headers: dict[str, str]

    @property
    def closes_connection(self) -> bool:
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


def find_head_end(data: bytes | bytearray, searched: int = 0, room: int = LARGEST_HEAD) -> int | None:
    """Where the head of an answer ends; None when more bytes are needed. `searched`: bytes of an earlier search.

    Raises:
        HeadTooLarge: it does not end within `room` bytes.
    """
    found = _END.search(data, max(searched - 2, 0))
    end = found.end() if found else None
    if (end or len(data)) > room:
        raise HeadTooLarge(LARGEST_HEAD)
    return end


def parse_head(block: bytes) -> ResponseHead:
    """The head that this block is, to its end; without the headers of an informational one.

    Raises:
        MalformedResponse, TooManyHeaderLines
    """
    line = _STATUS_LINE.match(block)
    if line is None:
        raise MalformedResponse("illegal status line")
    version, status, reason = line.groups()
    is_interim = status[:1] == b"1"
    lines, most = block[line.end() :], MOST_INTERIM_HEADER_LINES if is_interim else MOST_HEADER_LINES
    if lines.count(b"\n") > most + 1:  # the empty line at the end is none of them
        raise TooManyHeaderLines(int(status), most)
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)
    if _HEADERS.fullmatch(lines) is None:
        raise MalformedResponse("illegal header line")
    if is_interim:
        return ResponseHead(version, int(status), reason or b"", [], {})
    fields = [(name, value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]
    return ResponseHead(version, int(status), reason or b"", fields, join_fields(fields))


def join_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name in lower case, repeated ones joined. httpx does the same ten times slower."""
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
    """A header's value as text: UTF-8, or else ISO 8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


# --- bodies ---
