"""What a server speaks that does not speak HTTP/1, by the first bytes that it sent. Called by transport.py. Pure."""

from __future__ import annotations

import re

from jobs.checks.errors import NotHttp

HTTP1_PREFIX = b"HTTP/1."

DETECTION_BYTES = 16
"""Bytes that tell."""

# The first pattern that fits counts.
_PROTOCOLS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (rb"[\x14-\x17]\x03[\x00-\x04]", "TLS: write https in the URL"),
        (rb"\x00..\x04", "HTTP/2, and nothing else: set http2: true"),
        (rb"SSH-", "SSH: look at the port"),
        (rb"220[ -]", "SMTP or FTP: look at the port"),
        (rb"\+OK|\* OK", "POP3 or IMAP: look at the port"),
        (rb"-(ERR|NOAUTH|DENIED)", "Redis: look at the port"),
        (rb"...\x00(\x0a|\xff)", "MySQL: look at the port"),
        (rb"HTTP/", "another version of it"),
        (rb"\s*<", "a page without a head, as HTTP/0.9 did"),
        (rb"ICY ", "SHOUTcast: look at the port"),
    )
)


def not_http_error(first: bytes) -> NotHttp:
    """Return the error of a response that begins with these bytes."""
    return NotHttp(next((words for pattern, words in _PROTOCOLS if pattern.match(first)), ""))


def may_be_http1(first: bytes) -> bool:
    """Whether an answer that begins with these bytes may be one of HTTP/1: they may be fewer than it takes to say."""
    return first.startswith(HTTP1_PREFIX) or (len(first) < len(HTTP1_PREFIX) and HTTP1_PREFIX.startswith(first))
