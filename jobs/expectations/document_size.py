"""How many values a JSON document has, before it is read: in memory each takes up to a hundred times its text.

Called by answer.py. Pure.
"""

from __future__ import annotations

import re

MOST_VALUES = 1_000_000
"""Values of a document. A million take 100 MiB."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SIGNS = (b",", b"[", b"{", b":")


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a document has more values than `most`; each key of an object counts as one."""
    if len(body) <= most or _signs_in(body) <= most:
        return False
    # Texts may hold any number of those signs. (In UTF-16 each sign of ASCII has a NUL beside it.)
    return _signs_in(_TEXT.sub(b"", body.replace(b"\0", b""))) > most


def _signs_in(text: bytes) -> int:
    return sum(map(text.count, _SIGNS))
