"""The entries of the audit trail as a hash chain. Pure.

An entry is one line of canonical JSON: sorted keys, no spaces, ASCII. Its `hash` is the SHA-256 of the line without
`hash`, its `prev` the hash of the entry before it. Used by scheduler.stores.audit.log and scheduler.audit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "0" * 64
"""The `prev` of the first entry."""
RETENTION_ACTION: Final = "trail.prune"
"""The action of the entry that the retention leaves: `after.through` and `after.hash` of the last deleted entry."""


class EntryDamaged(ValueError):
    """The line is not an entry, or its content does not match its hash."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last entry. `sequence` 0: the chain is empty."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`fields`: all of the line, `seq`, `prev` and `hash` among them."""

    sequence: int
    previous_hash: str
    hash: str
    line: str
    fields: Mapping[str, Any]


def canonical_json(value: Any) -> str:
    """Return the only JSON of a value. Raises ValueError, TypeError: it is not a value of JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal_entry(content: Mapping[str, Any], head: ChainHead) -> AuditEntry:
    """Return the entry that follows `head`."""
    fields = {**content, "seq": head.sequence + 1, "prev": head.hash}
    digest = _digest(canonical_json(fields))
    fields["hash"] = digest
    return AuditEntry(head.sequence + 1, head.hash, digest, canonical_json(fields), fields)


def parse_entry(line: str) -> AuditEntry:
    """Return the entry. Raises EntryDamaged."""
    try:
        fields = json.loads(line)
        is_canonical = isinstance(fields, dict) and canonical_json(fields) == line
    except (ValueError, RecursionError) as error:
        raise EntryDamaged("it is not valid JSON") from error
    if not is_canonical:
        raise EntryDamaged("it is not in canonical form")
    sequence, previous, digest = (fields.get(key) for key in ("seq", "prev", "hash"))
    if type(sequence) is not int or not isinstance(previous, str) or not isinstance(digest, str):
        raise EntryDamaged("it has no seq, prev or hash")
    if _digest(canonical_json({key: value for key, value in fields.items() if key != "hash"})) != digest:
        raise EntryDamaged("its content does not match its hash")
    return AuditEntry(sequence, previous, digest, line, fields)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return _digest(canonical_json(value))
