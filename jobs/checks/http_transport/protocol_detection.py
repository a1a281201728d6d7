"""Detect by its first bytes which protocol a server speaks that does not speak HTTP/1.

Used by http1_exchange.py. Pure.
"""

from __future__ import annotations

import re

from jobs.checks.errors import NotHttp

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
