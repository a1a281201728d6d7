"""The documents of this package: their kinds, tags, and the keys of items of their lists. Used by its other modules."""

from __future__ import annotations

import re
import zlib

from observability.generation.core.document import GeneratedDocument, ItemKey, Json
from observability.generation.core.portfolio import Portfolio
from observability.generation.datadog.queries import scope_tags

DASHBOARD, MONITOR, OBJECTIVE = "dashboard", "monitor", "slo"
"""Kinds of documents."""

ITEM_KEYS: tuple[ItemKey, ...] = (("definition", "title"), ("name",), ("timeframe",), ("title",))
ID_TAG = "generated_id"
_NOT_IN_FILE_NAMES = re.compile(r"[^a-z0-9._-]+")


def make_document(kind: str, key: str, value: Json) -> GeneratedDocument:
    """Return the document with this key, which is the name of its file."""
    return GeneratedDocument(f"{kind}s/{key}.json", value, kind, ITEM_KEYS)


def make_key(*parts: str) -> str:
    """Return a text for file names and tags: another one for other parts, whatever characters they contain."""
    plain = _NOT_IN_FILE_NAMES.sub("-", "-".join(parts).lower())
    if plain == "-".join(parts):
        return plain[:100]
    return f"{plain[:80]}-{zlib.crc32('/'.join(parts).encode()):08x}"


def make_tags(key: str, portfolio: Portfolio, *more: str) -> list[str]:
    """Return the tags of a monitor or SLO, sorted. `generated_id` finds it again."""
    return sorted({*scope_tags(portfolio), f"{ID_TAG}:{make_id(key, portfolio)}", "generated:scheduler", *more})


def make_id(key: str, portfolio: Portfolio) -> str:
    """Return what identifies a document among those of all deployments of an organisation."""
    place = zlib.crc32(" ".join(scope_tags(portfolio)).encode())
    return f"{key}-{place:08x}"
