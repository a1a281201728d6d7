"""Escapes control and direction characters in JSON responses. A middleware added by scheduler.api.middleware.common.

JSON allows DEL, C1 and U+202E unescaped in strings, and texts of targets can contain them. A browser or terminal that
shows the response would obey them. A \\u escape has the same value for every JSON parser.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONTROL = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""DEL, C1, U+2028 to U+202E, U+2066 to U+2069 in UTF-8, as in jobs.formats.display_text. JSON escapes C0 itself."""


def escape_json(body: bytes) -> bytes:
    """Return the JSON with these characters escaped. They occur only in strings."""
    return _CONTROL.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)


def needs_escaping(body: bytes) -> bool:
    """Whether the JSON contains such a character. Most do not: an ASCII body is recognized a hundred times faster."""
    return b"\x7f" in body or (not body.isascii() and _CONTROL.search(body) is not None)


class JsonEscaping:
    """Delays the head of a JSON response until its body is available, because escaping changes its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head: Message | None = None

        async def escaping(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start" and _is_json(message):
                head = message
                return
            if head is not None and message["type"] == "http.response.body":
                body = message.get("body", b"")
                if needs_escaping(body):
                    message = {**message, "body": (body := escape_json(body))}
                    head = {**head, "headers": _with_length(head, len(body), more=message.get("more_body", False))}
                await send(head)
                head = None
            await send(message)

        await self._app(scope, receive, escaping)


def _is_json(start: Message) -> bool:
    return any(name.lower() == b"content-type" and b"json" in value for name, value in start.get("headers", ()))


def _with_length(start: Message, length: int, *, more: bool) -> list[tuple[bytes, bytes]]:
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    return headers if more else [*headers, (b"content-length", str(length).encode())]
