"""Bounded decompression of the bodies of HTTP responses, and why one cannot be decompressed. Used by jobs.responses."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import Any

from jobs.errors import JobsError

MAX_GZIP_MEMBERS = 1000
"""Members of a gzip body: each costs as much as ten thousand bytes of one member."""


class UndecodableBody(JobsError):
    """The body cannot be decompressed; the message is a clause about the response."""


class NotInEncoding(UndecodableBody):
    """The body is not in the encoding that its header names, or is incomplete."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"its body is not {encoding}, the encoding in its header")


class TooManyMembers(UndecodableBody):
    """The body has more than MAX_GZIP_MEMBERS gzip members."""

    def __init__(self) -> None:
        super().__init__(f"its body has more than {MAX_GZIP_MEMBERS:,} gzip members")


def make_inflater(encoding: str) -> Inflater | None:
    """Return an inflater for a Content-Encoding in lower case; None for one that is not known."""
    if encoding in ("gzip", "x-gzip"):
        return _GzipInflater(encoding)
    return _DeflateInflater(encoding) if encoding == "deflate" else None


class Inflater(ABC):
    """Bounded decompression of one body. Its methods raise UndecodableBody."""

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
                raise NotInEncoding(self._name) from None
            data = self._zlib.unused_data or self._zlib.unconsumed_tail
            self.has_pending = len(content) == room
            if self._zlib.eof:
                self._zlib, self._ended, self.has_pending = None, True, False
        return content, data

    def _count_member(self) -> None:
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise TooManyMembers

    def finish(self) -> None:
        """End the input."""
        if self._zlib is not None:
            raise NotInEncoding(self._name)

    @abstractmethod
    def _start_member(self, data: bytes) -> tuple[Any, bytes]:
        """Return a decompressor for the data, and the data for it. None: the data is padding, or not enough yet."""


class _GzipInflater(Inflater):
    """Also for several members in a row."""

    def _start_member(self, data: bytes) -> tuple[Any, bytes]:
        if self._ended and not data.startswith(b"\x1f"):
            return None, data  # padding after the end
        return zlib.decompressobj(zlib.MAX_WBITS | 16), data


class _DeflateInflater(Inflater):
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
