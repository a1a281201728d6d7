"""Counts the values of a JSON document before it is parsed: each needs up to a hundred bytes of memory.

Called by answer.py. Pure.
"""

from __future__ import annotations

import re

MOST_JSON_VALUES = 1_000_000
"""Values of a document, without keys."""

_SEPARATORS = b",[{"
"""One of these precedes each value or its key."""
_OTHER_BYTES = bytes(code for code in range(256) if code not in b',[{"')
_QUOTED_TEXT = re.compile(rb'"[^"]*+"?')


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a document has more values than `most`."""
    if len(body) <= most or _count_separators(body) <= most:
        return False
    # Remove texts, which can contain these characters. (In UTF-16 each character has a NUL next to it.)
    bare = body.replace(b"\0", b"").replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHER_BYTES)
    return _count_separators(_QUOTED_TEXT.sub(b"", bare.replace(b'""', b""))) > most


def _count_separators(text: bytes) -> int:
    return sum(text.count(sign) for sign in _SEPARATORS)
