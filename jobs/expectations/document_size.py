"""How many values a JSON document has, before it is read: in memory each takes up to a hundred bytes.

Called by answer.py. Pure.
"""

from __future__ import annotations

import re

MOST_VALUES = 1_000_000
"""Values of a document, keys not counted."""

_SIGNS = b",[{"
"""One stands before each value, but for those of keys: these have the comma or the bracket of their pair."""
_OTHERS = bytes(code for code in range(256) if code not in b',[{"')
_TEXT = re.compile(rb'"[^"]*+"?')


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a document has more values than `most`."""
    if len(body) <= most or _signs_in(body) <= most:
        return False
    # Texts may hold any number of those signs, so they are taken out. (In UTF-16 a sign has a NUL beside it.)
    bare = body.replace(b"\0", b"").replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)
    return _signs_in(_TEXT.sub(b"", bare.replace(b'""', b""))) > most


def _signs_in(text: bytes) -> int:
    return sum(text.count(sign) for sign in _SIGNS)
