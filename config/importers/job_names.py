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


def make_unique(name: str, used: Container[str], max_length: int = MAX_NAME_LENGTH) -> str:
    """Return the name, or the first of `name-2`, `name-3` that is not used."""
    unique, number = name, 1
    while unique in used:
        number += 1
        ending = f"-{number}"
        unique = name[: max_length - len(ending)].rstrip("-._") + ending
    return unique
