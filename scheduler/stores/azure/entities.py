"""Converts a row to an entity of Azure Tables and back. Pure; used by azure.store and azure.transactions.

An entity has the row's body as text, or compressed in pieces if it is long, and the mark of its write.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from scheduler.stores.port import LARGEST_BODY, Row, StoreError

_LONGEST_PLAIN_BODY = 15_000
"""Characters: a text property holds 64 KiB of UTF-16."""
_PIECE_BYTES = 60_000
"""Bytes: a binary property holds 64 KiB."""
_LARGEST_ENTITY = 900_000
"""Bytes of all pieces: an entity holds 1 MiB."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._@~-]")
_ESCAPED = re.compile(r"!([0-9a-f]+)!")


def azure_table_name(prefix: str, table: str) -> str:
    """Return the name without underscores: Azure allows letters and digits only."""
    return prefix + table.replace("_", "")


def escape_key(key: str) -> str:
    r"""Return a key without `/ \\ # ?`, control characters and others that URLs or queries misread: `a/b` becomes
    `a!2f!b`.
    """
    return _UNSAFE.sub(lambda found: f"!{ord(found[0]):x}!", key)


def unescape_key(key: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


def to_entity(partition: str, key: str, body: str, mark: str) -> dict[str, Any]:
    """Raises StoreError if the body is too large."""
    entity: dict[str, Any] = {"PartitionKey": escape_key(partition), "RowKey": escape_key(key), "Mark": mark}
    if len(body) <= _LONGEST_PLAIN_BODY:
        return entity | {"Body": body}
    packed = zlib.compress(body.encode())
    if len(body) > LARGEST_BODY or len(packed) > _LARGEST_ENTITY:
        raise StoreError(f"row {partition!r}, {key!r} has {len(body)} characters, more than a store can hold")
    pieces = range(0, len(packed), _PIECE_BYTES)
    return entity | {f"Body{number}": packed[start : start + _PIECE_BYTES] for number, start in enumerate(pieces)}


def to_row(entity: Mapping[str, Any], etag: str) -> Row:
    return Row(unescape_key(entity["PartitionKey"]), unescape_key(entity["RowKey"]), _body(entity), etag)


def _body(entity: Mapping[str, Any]) -> str:
    if "Body0" not in entity:
        return str(entity.get("Body", ""))
    pieces: list[bytes] = []
    while (piece := entity.get(f"Body{len(pieces)}")) is not None:
        pieces.append(piece)
    return zlib.decompress(b"".join(pieces)).decode()
