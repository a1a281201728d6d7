"""Bytes that a server answers a whole request with, each wrong (or merely odd) in one way. For bad_servers.answering.

`head(...)` and `answer(...)` make bytes that are right, to be spoilt.
"""

from __future__ import annotations

import gzip
import json
import zlib

CRLF = b"\r\n"


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    """A status line, these header lines, and the empty line behind them."""
    return "".join(f"{line}\r\n" for line in (status, *lines, "")).encode("latin-1")


def answer(body: bytes, *lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    """A whole answer with the length of its body."""
    return head(*lines, f"Content-Length: {len(body)}", status=status) + body


def chunks(data: bytes) -> bytes:
    """The head of a chunked answer, and these bytes as what should be chunks."""
    return head("Transfer-Encoding: chunked") + data


def redirect(location: str | None, status: int = 302) -> bytes:
    lines = () if location is None else (f"Location: {location}",)
    return answer(b"", *lines, status=f"HTTP/1.1 {status} Found")


GOOD = answer(b"ready")
OK_CHUNK = b"5\r\nready\r\n"
GZIPPED = gzip.compress(b"ready" * 100)

# --- the status line ---

HTTP_0_9 = b"<html>ready</html>"
HTTP_1_0 = answer(b"ready", status="HTTP/1.0 200 OK")
HTTP_1_0_UNTIL_THE_END = head(status="HTTP/1.0 200 OK") + b"ready"
HTTP_2_SETTINGS = bytes.fromhex("000012040000000000000300000080000400010000000500ffffff0000")
HTTP_7 = answer(b"ready", status="HTTP/7.0 200 OK")
SHOUTCAST = answer(b"ready", status="ICY 200 OK")
STATUS_TOO_SMALL = answer(b"ready", status="HTTP/1.1 99 Low")
STATUS_TOO_LARGE = answer(b"ready", status="HTTP/1.1 1000 High")
STATUS_IN_WORDS = answer(b"ready", status="HTTP/1.1 OK 200")
STATUS_UNKNOWN = answer(b"ready", status="HTTP/1.1 999 Denied")
NO_REASON = answer(b"ready", status="HTTP/1.1 200")
LONG_REASON = answer(b"ready", status="HTTP/1.1 500 " + "very " * 4000 + "sorry")
REASON_FOR_TERMINALS = answer(b"ready", status="HTTP/1.1 500 \x1b[31mred\x1b[0m")
LINE_FEEDS_ALONE = b"HTTP/1.1 200 OK\nContent-Length: 5\n\nready"
EMPTY_LINES_FIRST = CRLF * 2 + GOOD
EMPTY_LINES_WITHOUT_END = CRLF * 200_000

# --- headers ---

NUL_IN_VALUE = answer(b"ready", "X-Nul: a\0b")
NUL_IN_NAME = answer(b"ready", "X-N\0l: a")
NO_COLON = answer(b"ready", "this is not a header")
BLANK_BEFORE_COLON = answer(b"ready", "X-Blank : a")
FOLDED = answer(b"ready", "X-Folded: a", " b", "\tc")
ONE_HUGE_HEADER = answer(b"ready", "X-Huge: " + "x" * 200_000)
MANY_SMALL_HEADERS = answer(b"ready", *(f"X-{number}: x" for number in range(30_000)))
MANY_LINES = answer(b"ready", *["a:"] * 24_000)
COOKIE_FLOOD = answer(b"ready", *(f"Set-Cookie: c{number}={'x' * 20}; Path=/" for number in range(990)))
EIGHT_BIT_HEADER = answer(b"ready", "X-Name: \xe4\xf6\xfc")

# --- how long the body is ---

NEGATIVE_LENGTH = head("Content-Length: -5") + b"ready"
LENGTH_IN_WORDS = head("Content-Length: five") + b"ready"
SIGNED_LENGTH = head("Content-Length: +5") + b"ready"
TWO_LENGTHS = head("Content-Length: 5", "Content-Length: 6") + b"ready!"
TWICE_THE_SAME_LENGTH = head("Content-Length: 5", "Content-Length: 5") + b"ready"
LENGTH_BEYOND_ALL = head("Content-Length: " + "9" * 30) + b"ready"
LENGTH_AND_CHUNKS = head("Content-Length: 3", "Transfer-Encoding: chunked") + OK_CHUNK + b"0\r\n\r\n"
LONGER_THAN_PROMISED = head("Content-Length: 5") + b"ready, and more than that"
SHORTER_THAN_PROMISED = head("Content-Length: 500") + b"ready"
SECOND_ANSWER = GOOD + answer(b"second", status="HTTP/1.1 500 Second")
NO_CONTENT_WITH_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\nready"
UNKNOWN_TRANSFER = head("Transfer-Encoding: identity, gzip") + b"ready"

CHUNK_SIZE_TOO_LARGE = chunks(b"f" * 40 + b"\r\nready")
CHUNK_SIZE_NEGATIVE = chunks(b"-5\r\nready\r\n0\r\n\r\n")
CHUNK_LONGER_THAN_ITS_SIZE = chunks(b"3\r\nready\r\n0\r\n\r\n")
CHUNKS_WITHOUT_LAST = chunks(OK_CHUNK)
CHUNK_EXTENSION_TOO_LONG = chunks(b"5;" + b"x" * 1_000_000 + b"\r\nready\r\n0\r\n\r\n")
CHUNKS_WITH_TRAILERS = chunks(OK_CHUNK + b"0\r\nX-Checksum: 1\r\n\r\n")
TINY_CHUNKS = chunks(b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\n")
FAT_CHUNKS = chunks((b"1;" + b"e" * 30_000 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n")
TRAILERS_TOO_LONG = chunks(OK_CHUNK + b"0\r\n" + b"X-More: x\r\n" * 100_000)

# --- informational answers ---

HINTS_FIRST = head("Link: </a.css>", status="HTTP/1.1 103 Early Hints") * 3 + GOOD
CONTINUE_FIRST = head(status="HTTP/1.1 100 Continue") + GOOD
HINTS_OF_MANY_LINES = head(*["a:"] * 24_000, status="HTTP/1.1 103 Early Hints") * 20 + GOOD
HINTS_TOO_LARGE = head(f"Link: {'x' * 60_000}", status="HTTP/1.1 103 Early Hints") * 2 + GOOD
SWITCHES_UNASKED = head("Upgrade: websocket", "Connection: upgrade", status="HTTP/1.1 101 Switching Protocols")

# --- encodings and content ---

PLAIN_AS_BROTLI = answer(b"ready", "Content-Encoding: br")
NO_BROTLI = answer(b"\x1b\x04\x00\xf8\x25\xe4\x8a\x90", "Content-Encoding: br")
GZIP_TWICE = answer(gzip.compress(gzip.compress(b"ready")), "Content-Encoding: gzip, gzip")
GZIP_CUT_OFF = answer(GZIPPED[:-9], "Content-Encoding: gzip")
GZIP_OF_MANY_MEMBERS = answer(gzip.compress(b"") * 60_000, "Content-Encoding: gzip")
GZIP_WITH_PADDING = answer(GZIPPED + bytes(20), "Content-Encoding: gzip")
GZIP_UNDER_DEFLATE = answer(GZIPPED, "Content-Encoding: deflate")
DEFLATE_BOMB = answer(zlib.compress(bytes(30_000_000), 9), "Content-Encoding: deflate")
UNKNOWN_ENCODING = answer(b"ready", "Content-Encoding: morse")
LATIN_AS_UTF_8 = answer("Grüße, ready".encode("latin-1"), "Content-Type: text/plain; charset=utf-8")
UNKNOWN_CHARSET = answer(b"ready", "Content-Type: text/plain; charset=klingon-8")
BINARY = answer(bytes(range(256)) * 40)

BROKEN_JSON = answer(b'{"status": "ok"', "Content-Type: application/json")
HTML_AS_JSON = answer(b"<html>ready</html>", "Content-Type: application/json")
EMPTY_JSON = answer(b"", "Content-Type: application/json")
DEEP_JSON = answer(b"[" * 100_000, "Content-Type: application/json")
NOT_A_NUMBER = answer(b'{"status": NaN}', "Content-Type: application/json")
JSON_IN_UTF_16 = answer(json.dumps({"status": "ok"}).encode("utf-16"), "Content-Type: application/json")

ODD_COOKIES = answer(
    b"",
    "Location: /",
    "Set-Cookie: a=\xe4",
    f"Set-Cookie: b=1; Max-Age={'9' * 400}",
    "Set-Cookie: =; ;;=",
    status="HTTP/1.1 302 Found",
)

# --- later, perhaps ---


def unavailable(retry_after: str) -> bytes:
    return answer(b"", f"Retry-After: {retry_after}", status="HTTP/1.1 503 Service Unavailable")


# --- HTTP/2, by its frames (RFC 9113) ---


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def field(name: bytes, value: bytes) -> bytes:
    """A header as HPACK has it, without its tables."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def http_2(headers: bytes, *, ends: bool = True) -> bytes:
    """The server's settings, and an answer of these headers."""
    return frame(4) + frame(1, headers, flags=5 if ends else 4, stream=1)


OK_BY_HTTP_2 = b"\x88"  # :status 200, the eighth of the static table
HTTP_2_GOOD = http_2(OK_BY_HTTP_2, ends=False) + frame(0, b"ready", flags=1, stream=1)
HTTP_2_WITHOUT_STATUS = http_2(field(b"x-a", b"b"))
HTTP_2_TWO_STATUSES = http_2(OK_BY_HTTP_2 * 2)
HTTP_2_STATUS_IN_WORDS = http_2(field(b":status", b"fine"))
HTTP_2_STATUS_TOO_LARGE = http_2(field(b":status", b"20000"))
HTTP_2_BAD_COMPRESSION = http_2(b"\xff" * 9)
HTTP_2_GOODBYE = frame(4) + frame(7, bytes(8))
HTTP_2_STREAM_REFUSED = frame(4) + frame(3, b"\0\0\0\7", stream=1)
HTTP_2_WINDOW_OVERFLOW = frame(4) + frame(8, b"\x7f\xff\xff\xff") * 2
HTTP_2_FRAME_TOO_LARGE = frame(4) + frame(0, bytes(20_000), stream=1)
HTTP_2_LENGTH_LIE = http_2(OK_BY_HTTP_2 + field(b"content-length", b"99"), ends=False) + frame(
    0, b"ready", flags=1, stream=1
)
HINT_BY_HTTP_2 = field(b":status", b"103")
INDEXED_FIELD = b"\x90"  # accept-encoding: gzip, deflate, the sixteenth of the static table
HTTP_2_MANY_LINES = http_2(OK_BY_HTTP_2 + INDEXED_FIELD * 1050)
HTTP_2_TOO_MANY_FIELDS = http_2(OK_BY_HTTP_2 + INDEXED_FIELD * 15_000)
HTTP_2_LONG_HINTS = frame(4) + frame(1, HINT_BY_HTTP_2 + INDEXED_FIELD * 900, flags=4, stream=1) * 20 + HTTP_2_GOOD[9:]
HTTP_2_MANY_HINTS = frame(4) + frame(1, HINT_BY_HTTP_2, flags=4, stream=1) * 1000 + HTTP_2_GOOD[9:]
HTTP_2_LONG_TRAILERS = (
    HTTP_2_GOOD[:-14] + frame(0, b"ready", stream=1) + frame(1, INDEXED_FIELD * 1050, flags=5, stream=1)
)
HTTP_2_TINY_DATA = http_2(OK_BY_HTTP_2, ends=False) + frame(0, b"x", stream=1) * 20_000 + frame(0, flags=1, stream=1)
HTTP_2_PINGS = frame(4) + (frame(6, bytes(8)) * 5000) + HTTP_2_GOOD[9:]
HTTP_2_CUT_OFF = http_2(OK_BY_HTTP_2, ends=False) + frame(0, b"rea", stream=1)

# --- services other than web servers ---

SSH = b"SSH-2.0-OpenSSH_9.6\r\n"
SMTP = b"220 mail.internal ESMTP ready\r\n"
REDIS = b"-ERR unknown command 'GET', with args beginning with: '/'\r\n"
MYSQL = bytes.fromhex("4a0000000a382e302e33360008000000") + b"caching_sha2_password\0"
TLS_ALERT = bytes.fromhex("15030100020246")
HANDSHAKE_FAILURE = bytes.fromhex("15030300020228")
BEGIN_OF_HANDSHAKE = bytes.fromhex("160303007a02000076")
