"""Reads an answer's body up to a limit, decompressed bit by bit: a small answer that unpacks to gigabytes stays small.

Called by http.py.
"""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from jobs.checks.body_memory import FREE_BYTES
from jobs.checks.errors import BadContentEncoding, TooManyGzipMembers
from jobs.values import value

ACCEPTED = "gzip, deflate"
"""What a check says it understands. A body in any other encoding is taken as it comes."""

_SLACK = 64 * 1024
"""Compressed bytes beyond the limit that are read at most: empty blocks unpack to nothing, for ever."""

_BITE = 16 * 1024
"""Compressed bytes that are unpacked at a time."""

_UNPACKED_BITE = 1024 * 1024
"""Bytes that are made of them at a time."""

MOST_MEMBERS = 1000
"""Members of a gzip body: each costs as much as ten thousand bytes of one member."""


@value(frozen=True, slots=True)
class Body:
    """`truncated`: there was more than the limit."""

    content: bytes
    truncated: bool


async def _no_room_needed() -> None:
    """The limit is so small that the body is not counted."""


async def read_body(
    parts: AsyncIterable[bytes], encoding: str, limit: int, make_room: Callable[[], Awaitable[None]] = _no_room_needed
) -> Body:
    """The body, at most `limit` bytes of it. `encoding`: the answer's Content-Encoding, or empty.

    `make_room`: called once before more than FREE_BYTES of it are held, see body_memory.

    Raises:
        BadContentEncoding: it cannot be decompressed, or ends in the middle.
        TooManyGzipMembers
        Exception: whatever reading the parts raises.
    """
    content, raw, has_room = bytearray(), 0, False
    inflater = _inflater(encoding.strip().lower())
    async for part in parts:
        raw += len(part)
        if inflater is None:
            content += part
        else:
            await _inflate(inflater, part, content, limit + 1)
        if len(content) > limit or raw > limit + _SLACK:
            del content[limit:]
            return Body(bytes(content), truncated=True)
        if not has_room and len(content) > FREE_BYTES:
            await make_room()
            has_room = True
    if inflater is not None:
        inflater.end()
    return Body(bytes(content), truncated=False)


async def _inflate(inflater: _Inflater, part: bytes, content: bytearray, most: int) -> None:
    """Bit by bit, as zlib copies what follows each of a thousand tiny members; and others have their turn between."""
    for begin in range(0, len(part), _BITE):
        if begin:
            await asyncio.sleep(0)
        rest = part[begin : begin + _BITE]
        while rest or inflater.has_more:
            found, rest = inflater.inflate(rest, min(most - len(content), _UNPACKED_BITE))
            content += found
            if len(content) >= most:
                return
            if inflater.has_more:
                await asyncio.sleep(0)


def _inflater(encoding: str) -> _Inflater | None:
    if encoding in ("gzip", "x-gzip"):
        return _Gzip(encoding)
    return _Deflate(encoding) if encoding == "deflate" else None


class _Inflater(ABC):
    """Bounded decompression of one body."""

    def __init__(self, name: str) -> None:
        self._name = name
        # None before the first byte and after the end.
        self._zlib: Any = None
        self._ended = False
        self._members = 0
        self.has_more = False
        """Whether there may be more content in what it was given."""

    def inflate(self, data: bytes, room: int) -> tuple[bytes, bytes]:
        """The content of the next piece, at most `room` bytes, and what of the piece is left for the next call."""
        content = b""
        while (data or self.has_more) and len(content) < room:
            if self._zlib is None:
                self._zlib, data = self._begin(data)
                if self._zlib is None:
                    self.has_more = False
                    return content, b""
                self._count_member()
            try:
                content += self._zlib.decompress(data, room - len(content))
            except zlib.error:
                raise BadContentEncoding(self._name) from None
            data = self._zlib.unused_data or self._zlib.unconsumed_tail
            self.has_more = len(content) == room
            if self._zlib.eof:
                self._zlib, self._ended, self.has_more = None, True, False
        return content, data

    def _count_member(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise TooManyGzipMembers(MOST_MEMBERS)

    def end(self) -> None:
        """There is no more. Raises BadContentEncoding if there should be."""
        if self._zlib is not None:
            raise BadContentEncoding(self._name)

    @abstractmethod
    def _begin(self, data: bytes) -> tuple[Any, bytes]:
        """A decompressor for what begins with `data`, and the data for it. None: it says nothing (yet)."""


class _Gzip(_Inflater):
    """Also several members in a row."""

    def _begin(self, data: bytes) -> tuple[Any, bytes]:
        if self._ended and not data.startswith(b"\x1f"):
            return None, data  # padding after the end
        return zlib.decompressobj(zlib.MAX_WBITS | 16), data


class _Deflate(_Inflater):
    """zlib as the standard has it, or the bare deflate that some servers send instead."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._first = b""

    def _begin(self, data: bytes) -> tuple[Any, bytes]:
        if self._ended:
            return None, data
        self._first += data
        if len(self._first) < 2:
            return None, data
        standard = self._first[0] & 0x0F == 8 and int.from_bytes(self._first[:2]) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if standard else -zlib.MAX_WBITS), self._first
