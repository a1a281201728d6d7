"""Collect the body of a response up to a limit. Pure. Used by jobs.responses.reading and jobs.checks.http.requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobs.responses.inflating import Inflater, make_inflater

_COMPRESSED_SLACK = 64 * 1024
"""Compressed bytes beyond the limit that are read at most: empty blocks expand to nothing, without end."""

_COMPRESSED_STEP = 16 * 1024
"""Compressed bytes that are decompressed in one step."""

_DECOMPRESSED_STEP = 1024 * 1024
"""Bytes that one step produces at most."""

_PARTS_OF_STEP = 50
"""Parts that are added in one step: a read of the connection can have ten thousand chunks of one byte."""


class BoundedBody:
    """At most `limit` bytes of a body. `encoding`: the Content-Encoding; if it is not known, the body stays encoded.

    `add` and `end` raise jobs.responses.inflating.UndecodableBody.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self.is_truncated = False
        """Whether there was more than the limit; nothing is added any more."""
        self._limit = limit
        self._received = 0
        self._parts = 0
        self._content = bytearray()
        self._inflater = make_inflater(encoding.strip().lower()) if encoding else None

    def __len__(self) -> int:
        return len(self._content)

    @property
    def content(self) -> bytes:
        return bytes(self._content)

    def add(self, part: bytes) -> Iterable[None]:
        """Add a part of the body in steps of at most some milliseconds: the part is added when they are exhausted."""
        if self._inflater is not None:
            return self._inflate(self._inflater, part)
        self._content += part
        self._end_part(part)
        self._parts += 1
        return () if self._parts % _PARTS_OF_STEP else (None,)

    def end(self) -> None:
        """End the body."""
        if self._inflater is not None:
            self._inflater.finish()

    def _inflate(self, inflater: Inflater, part: bytes) -> Iterator[None]:
        # In pieces, because zlib copies what follows each tiny member.
        for begin in range(0, len(part), _COMPRESSED_STEP):
            if begin:
                yield
            rest = part[begin : begin + _COMPRESSED_STEP]
            while (rest or inflater.has_pending) and len(self._content) <= self._limit:
                room = min(self._limit + 1 - len(self._content), _DECOMPRESSED_STEP)
                found, rest = inflater.decompress(rest, room)
                self._content += found
                if inflater.has_pending:
                    yield
        self._end_part(part)

    def _end_part(self, part: bytes) -> None:
        self._received += len(part)
        if len(self._content) > self._limit or self._received > self._limit + _COMPRESSED_SLACK:
            del self._content[self._limit :]
            self.is_truncated = True
