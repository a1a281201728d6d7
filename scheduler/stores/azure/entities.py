"""How rows look on the wire of Azure Tables: entities, and the body and the response of a transaction. Pure.

An entity has the row's body as text, or compressed in pieces if it is long, and the mark of its write.

Microsoft's client can write transactions as well. For a batch of runs it uses ten times the CPU, most of it to parse
the response as mail, so the body is written and read here. The request itself is sent by the client.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
describes both.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from scheduler.stores.port import MAX_BODY, Change, Delete, Etags, Insert, Replace, Row, StoreError

_MAX_PLAIN_BODY = 15_000
"""Characters: a text property holds 64 KiB of UTF-16."""
_PIECE_BYTES = 60_000
"""Bytes: a binary property holds 64 KiB."""
_MAX_ENTITY = 900_000
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
    if len(body) <= _MAX_PLAIN_BODY:
        return entity | {"Body": body}
    packed = zlib.compress(body.encode())
    if len(body) > MAX_BODY or len(packed) > _MAX_ENTITY:
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


BATCH_HEADERS = {
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "Content-Type": "multipart/mixed; boundary=batch_b",
    "Accept": "application/json",
}

# JSON contains no raw line breaks, so no body can contain a boundary.
_HEAD = "--batch_b\r\nContent-Type: multipart/mixed; boundary=changeset_c\r\n\r\n"
_PART = "--changeset_c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_ENTITY = (
    "DataServiceVersion: 3.0\r\nContent-Type: application/json\r\nAccept: application/json;odata=minimalmetadata\r\n"
)
_TAIL = "--changeset_c--\r\n--batch_b--\r\n"

_STATUS = re.compile(rb"^HTTP/1\.\d (\d{3})", re.MULTILINE)
_ETAG = re.compile(rb"^ETag: *(.*?)\r?$", re.MULTILINE | re.IGNORECASE)
_INDEX = re.compile(rb'"value" *: *"(\d+):')


@dataclass(frozen=True, slots=True)
class TransactionRefusal:
    """The service made nothing. `index`: of the operation that it rejected, if it names one."""

    status: int
    index: int | None = None


def format_operation(change: Change, entity: Mapping[str, Any], table_url: str) -> str:
    """Return one change of a transaction, which writes this entity to the table at `table_url`."""
    if isinstance(change, Insert):
        return (
            f"{_PART}POST {table_url} HTTP/1.1\r\n{_ENTITY}Prefer: return-no-content\r\n\r\n{_entity_json(entity)}\r\n"
        )
    keys = f"(PartitionKey='{entity['PartitionKey']}',RowKey='{entity['RowKey']}')"
    if isinstance(change, Delete):
        return f"{_PART}DELETE {table_url}{keys} HTTP/1.1\r\n{_ENTITY}If-Match: {change.etag or '*'}\r\n\r\n\r\n"
    fence = f"If-Match: {change.etag}\r\n" if isinstance(change, Replace) else ""
    return f"{_PART}PUT {table_url}{keys} HTTP/1.1\r\n{_ENTITY}{fence}\r\n{_entity_json(entity)}\r\n"


def format_body(operations: Sequence[str]) -> bytes:
    return (_HEAD + "".join(operations) + _TAIL).encode()


def parse_response(answer: bytes, operations: int) -> Etags | TransactionRefusal:
    """Parse the body of an accepted request (202). Etags in the order of the operations, "" for a delete."""
    parts = answer.split(b"--changesetresponse")[1:-1]
    statuses = [int(match[1]) for part in parts if (match := _STATUS.search(part))]
    if refused := [status for status in statuses if status >= 300]:
        match = _INDEX.search(answer)
        return TransactionRefusal(refused[0], int(match[1]) if match else None)
    if len(statuses) != operations:
        return TransactionRefusal(500)
    return tuple([match[1].decode() if (match := _ETAG.search(part)) else "" for part in parts])


def _entity_json(entity: Mapping[str, Any]) -> str:
    typed: dict[str, Any] = {}
    for name, value in entity.items():
        if isinstance(value, bytes):
            typed[f"{name}@odata.type"], typed[name] = "Edm.Binary", b64encode(value).decode()
        else:
            typed[name] = value
    return to_json(typed).decode()
