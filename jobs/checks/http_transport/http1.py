"""Parse the head of an HTTP/1 response. Called by http1_exchange.py and proxy_tunnel.py. Pure.

By regular expressions: llhttp rejects responses that every other client accepts (folded headers, bare line feeds, the
same length twice, a length with chunks), and its errors cannot be distinguished.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.checks.errors import HeadTooLarge, MalformedResponse, TooManyHeaderLines

LARGEST_HEAD = 100 * 1024
"""Bytes of all heads of a response together, informational ones included; also of chunk extensions and trailers."""

MOST_HEADER_LINES = 1000
"""Header lines of a response, and of a request's redirects and its response together. Parsing more of them takes the
event loop longer than the request itself."""

MOST_INTERIM_RESPONSES = 20
"""Informational responses (100 Continue, 103 Early Hints) before the final one."""

MOST_INTERIM_HEADER_LINES = 100
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


def find_head_end(data: bytes | bytearray, searched: int = 0, room: int = LARGEST_HEAD) -> int | None:
    """Return where the head of a response ends; None if more bytes are needed. `searched`: bytes of an earlier search.

    Raises:
        HeadTooLarge: it does not end within `room` bytes.
    """
    found = _END.search(data, max(searched - 2, 0))
    end = found.end() if found else None
    if (end or len(data)) > room:
        raise HeadTooLarge(LARGEST_HEAD)
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
    lines, most = block[line.end() :], MOST_INTERIM_HEADER_LINES if is_interim else MOST_HEADER_LINES
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


def join_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
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
