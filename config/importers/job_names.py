"""Names of imported jobs and secrets: stable, valid and unique. Used by import_context and secret_references."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

MAX_NAME_LENGTH = 100

_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "æ": "ae", "đ": "d", "ł": "l"})
_OTHER = re.compile(r"[^a-z0-9._]+")


def make_slug(text: str, fallback: str = "job", max_length: int = MAX_NAME_LENGTH) -> str:
    """Return a name from any text: lower case, letters of other scripts without their marks, `-` for all else."""
    lower = unicodedata.normalize("NFC", text).lower().translate(_SPELLED)
    plain = unicodedata.normalize("NFKD", lower).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", plain)[:max_length].strip("-._") or fallback


def make_unique(name: str, used: Container[str], max_length: int = MAX_NAME_LENGTH, *, first: int = 2) -> str:
    """Return the name, or the first of `name-2`, `name-3` that is not used. `first`: the number to begin with."""
    unique, number = name, first
    while unique in used:
        ending = f"-{number}"
        unique = name[: max_length - len(ending)].rstrip("-._") + ending
        number += 1
    return unique


class UniqueNames:
    """Names that are used, and how often each was added: thousands of equal names are numbered in one pass."""

    def __init__(self, max_length: int = MAX_NAME_LENGTH) -> None:
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._max_length = max_length

    def add(self, name: str) -> str:
        """Return the name, or a numbered one if it is used, and use it."""
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        unique = make_unique(name, self._used, self._max_length, first=max(count, 2))
        self._used.add(unique)
        return unique
