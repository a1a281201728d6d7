"""Removes debug information and symbol tables from shared libraries, as `strip` does. Used by tools.image.assemble.

Only what the loader maps into memory stays: an image needs no binutils for it, and the result depends on the file
alone. The loader uses program headers, so the table of sections goes, too.
"""

from __future__ import annotations

import struct

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_PROGRAM_TABLE = struct.Struct("<Q")
_PROGRAM_COUNTS = struct.Struct("<HH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_AT_PROGRAM_TABLE, _AT_SECTION_TABLE, _AT_PROGRAM_COUNTS, _AT_SECTION_COUNTS = 32, 40, 54, 60
_MANY_SEGMENTS = 0xFFFF
"""The number of segments is in a section then."""


def strip_library(data: bytes) -> bytes:
    """Return the file without what is not loaded; unchanged if it is not a 64-bit ELF file of known form."""
    if not data.startswith(_ELF64_LITTLE_ENDIAN):
        return data
    (start,) = _PROGRAM_TABLE.unpack_from(data, _AT_PROGRAM_TABLE)
    size, number = _PROGRAM_COUNTS.unpack_from(data, _AT_PROGRAM_COUNTS)
    if size != _SEGMENT.size or number in (0, _MANY_SEGMENTS):
        return data
    segments = (_SEGMENT.unpack_from(data, start + index * size) for index in range(number))
    end = max(start + number * size, *(offset + length for _, _, offset, _, _, length, _, _ in segments))
    if end > len(data):
        return data
    stripped = bytearray(data[:end])
    struct.pack_into("<Q", stripped, _AT_SECTION_TABLE, 0)
    struct.pack_into("<HH", stripped, _AT_SECTION_COUNTS, 0, 0)
    return bytes(stripped)
