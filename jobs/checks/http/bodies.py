"""Read a response body up to a limit, decompressed step by step: a small response that expands to gigabytes stays
small.

Called by exchange.py and oauth.py.
"""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.errors import BadContentEncoding, TooManyGzipMembers
from jobs.fast_frozen import fast_frozen

ACCEPTED_ENCODINGS = "gzip, deflate"
"""Value of Accept-Encoding. A body in any other encoding is not decoded."""

_COMPRESSED_SLACK = 64 * 1024
"""Compressed bytes beyond the limit that are read at most: empty blocks expand to nothing, without end."""

_COMPRESSED_STEP = 16 * 1024
"""Compressed bytes that are decompressed in one step."""

_DECOMPRESSED_STEP = 1024 * 1024
"""Bytes that one step produces at most."""

MOST_GZIP_MEMBERS = 1000
"""Members of a gzip body: each costs as much as ten thousand bytes of one member."""


@fast_frozen(frozen=True, slots=True)
class ResponseBody:
    """`truncated`: there was more than the limit."""

    content: bytes
    truncated: bool


async def _no_reservation() -> None:
    """Reserve nothing: the limit is so small that the body is not counted."""


async def read_body(
    parts: AsyncIterable[bytes],
    encoding: str,
    limit: int,
    reserve_memory: Callable[[], Awaitable[None]] = _no_reservation,
) -> ResponseBody:
    """Return the body, at most `limit` bytes of it. `encoding`: the Content-Encoding, or empty.

    `reserve_memory`: called once before more than UNCOUNTED_BYTES are held, see jobs.checks.body_memory.

    Raises:
        BadContentEncoding: it cannot be decompressed, or is incomplete.
        TooManyGzipMembers
        Exception: what reading the parts raises.
    """
    content, raw, has_room = bytearray(), 0, False
    inflater = _decompressor_for(encoding.strip().lower())
    async for part in parts:
        raw += len(part)
        if inflater is None:
            content += part
        else:
            await _decompress(inflater, part, content, limit + 1)
        if len(content) > limit or raw > limit + _COMPRESSED_SLACK:
            del content[limit:]
            return ResponseBody(bytes(content), truncated=True)
        if not has_room and len(content) > UNCOUNTED_BYTES:
            await reserve_memory()
            has_room = True
    if inflater is not None:
        inflater.finish()
    return ResponseBody(bytes(content), truncated=False)


async def _decompress(inflater: _Decompressor, part: bytes, content: bytearray, most: int) -> None:
    """Decompress in steps: zlib copies what follows each tiny member, and other tasks run between steps."""
    for begin in range(0, len(part), _COMPRESSED_STEP):
        if begin:
            await asyncio.sleep(0)
        rest = part[begin : begin + _COMPRESSED_STEP]
        while rest or inflater.has_pending:
            found, rest = inflater.decompress(rest, min(most - len(content), _DECOMPRESSED_STEP))
            content += found
            if len(content) >= most:
                return
            if inflater.has_pending:
                await asyncio.sleep(0)


def _decompressor_for(encoding: str) -> _Decompressor | None:
    if encoding in ("gzip", "x-gzip"):
        return _GzipDecompressor(encoding)
    return _DeflateDecompressor(encoding) if encoding == "deflate" else None


class _Decompressor(ABC):
    """Bounded decompression of one body."""

    def __init__(self, name: str) -> None:
        self._name = name
        # None before the first byte and after the end of a member.
        self._zlib: Any = None
        self._ended = False
        self._members = 0
        self.has_pending = False
        """Whether the input so far may produce more content."""

    def decompress(self, data: bytes, room: int) -> tuple[bytes, bytes]:
        """Return the content of the next piece, at most `room` bytes, and the part of the piece for the next call."""
        content = b""
        while (data or self.has_pending) and len(content) < room:
            if self._zlib is None:
                self._zlib, data = self._start_member(data)
                if self._zlib is None:
                    self.has_pending = False
                    return content, b""
                self._count_member()
            try:
                content += self._zlib.decompress(data, room - len(content))
            except zlib.error:
                raise BadContentEncoding(self._name) from None
            data = self._zlib.unused_data or self._zlib.unconsumed_tail
            self.has_pending = len(content) == room
            if self._zlib.eof:
                self._zlib, self._ended, self.has_pending = None, True, False
        return content, data

    def _count_member(self) -> None:
        self._members += 1
        if self._members > MOST_GZIP_MEMBERS:
            raise TooManyGzipMembers(MOST_GZIP_MEMBERS)

    def finish(self) -> None:
        """End the input. Raises BadContentEncoding if the body is incomplete."""
        if self._zlib is not None:
            raise BadContentEncoding(self._name)

    @abstractmethod
    def _start_member(self, data: bytes) -> tuple[Any, bytes]:
        """Return a decompressor for the data, and the data for it. None: the data is padding, or not enough yet."""


class _GzipDecompressor(_Decompressor):
    """Also for several members in a row."""

    def _start_member(self, data: bytes) -> tuple[Any, bytes]:
        if self._ended and not data.startswith(b"\x1f"):
            return None, data  # padding after the end
        return zlib.decompressobj(zlib.MAX_WBITS | 16), data


class _DeflateDecompressor(_Decompressor):
    """Standard zlib format, or the raw deflate that some servers send instead."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._first = b""

    def _start_member(self, data: bytes) -> tuple[Any, bytes]:
        if self._ended:
            return None, data
        self._first += data
        if len(self._first) < 2:
            return None, data
        standard = self._first[0] & 0x0F == 8 and int.from_bytes(self._first[:2]) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if standard else -zlib.MAX_WBITS), self._first
