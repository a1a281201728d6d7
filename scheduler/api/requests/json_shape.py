"""Limits the structure of a JSON body while it arrives, before a parser allocates objects for it. Pure.

Called by scheduler.api.requests.guard.
"""

from __future__ import annotations

import re
from typing import Final

MAX_JSON_DEPTH: Final = 64
"""Levels of arrays and objects."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)', re.DOTALL)
"""A string, also without its end, so that the time is linear. The group: a quotation mark if the string is complete."""
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENING = frozenset(b"[{")


class JsonShape:
    """Counts levels and members over the chunks of a body."""

    def __init__(self, max_members: int) -> None:
        self._max_members = max_members
        self._members = self._depth = 0
        self._unfinished = b""
        """The start of a string that continues in the next chunk, as short as possible."""

    def find_error(self, chunk: bytes) -> str:
        """Return why the body up to this chunk is rejected; empty if it is accepted. Invalid JSON is left to the
        parser."""
        structure = self._without_strings(chunk)
        self._members += structure.count(b":") + structure.count(b",")
        if self._members > self._max_members:
            return f"The JSON body has too many members and items: at most {self._max_members} are allowed."
        for bracket in structure.translate(None, _NOT_BRACKETS):
            self._depth += 1 if bracket in _OPENING else -1
            if self._depth > MAX_JSON_DEPTH:
                return f"The JSON body is nested too deeply: at most {MAX_JSON_DEPTH} levels are allowed."
        return ""

    def _without_strings(self, chunk: bytes) -> bytes:
        outside_and_ends = _STRING.split(self._unfinished + chunk)
        end = outside_and_ends[-2] if len(outside_and_ends) > 1 else b'"'
        self._unfinished = b"" if end == b'"' else b'"' + end
        return b"".join(outside_and_ends[::2])
