"""The tree of stored jobs: a head, buckets of entries, and immutable versions; and the text of their rows. Pure.

Like a Git tree, it changes by the replacement of one row: a writer adds rows of versions and buckets that no reader
knows, then replaces the head, which names the buckets in force.

    head   {"generation": 7, "swept": 0, "buckets": {"03": key of the bucket's row}}    and "claim" during a change
    bucket {name: [number, key of the version's row, owner, definition as JSON text, or null]}
    version {"name", "number", "definition", "at", "by", "owner", "comment", "before": key of the version before it}

A deleted job has an entry whose version has no definition, so that its numbers continue if it is created again before a
sweep forgets it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.schedules import from_milliseconds
from scheduler.stores.port import Row
from scheduler.stores.rows import decode_json, encode_json

BUCKET_COUNT = 64
MAX_INLINE_BYTES = 400_000
"""Bytes of the definitions in a bucket's row; longer ones are read from the rows of their versions."""
BUCKET_KEY, VERSION_KEY = "b~", "v~"
"""Prefixes of the keys of rows."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """The latest version of a job. `text`: its definition as JSON; "" if it is not in memory yet.

    `owner`: the set that the job belongs to; empty for a job that was changed by hand.
    """

    name: str
    number: int
    row_key: str
    owner: str = ""
    text: str = ""
    is_deleted: bool = False

    @property
    def stamp(self) -> str:
        """The time of the change, and what makes it unique; in the order of time."""
        return self.row_key.rpartition("~")[2]

    @property
    def etag(self) -> str:
        """A strong validator of the definition, without quotes."""
        return f"v{self.number}-{self.stamp}"


@dataclass(frozen=True, slots=True)
class JobVersion:
    """`definition` None: the job was deleted. `by`: the id of a principal. `comment`: such as `restored version 3`."""

    name: str
    number: int
    definition: Mapping[str, Any] | None
    at: datetime
    by: str
    owner: str = ""
    comment: str = ""
    row_key: str = ""
    before: str = ""
    """The row's key of the version before it; empty for the first one."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """`buckets`: the row's key of each bucket that has entries. `swept`: how often unused rows were removed.

    `claim`: identifies the change that is about to replace this head, or is empty.
    """

    generation: int = 0
    buckets: Mapping[str, str] = field(default_factory=dict)
    swept: int = 0
    etag: str = ""
    claim: str = ""

    @property
    def digest(self) -> str:
        """Return a short text that identifies the content."""
        parts = [f"{bucket}={key}" for bucket, key in sorted(self.buckets.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def encode(self) -> str:
        body = {"generation": self.generation, "swept": self.swept, "buckets": dict(self.buckets)}
        return encode_json({**body, "claim": self.claim} if self.claim else body)

    @classmethod
    def decode(cls, row: Row) -> TreeHead:
        body = decode_json(row.body)
        return cls(int(body["generation"]), body["buckets"], int(body.get("swept", 0)), row.etag, body.get("claim", ""))


class JobTree:
    """All entries under one head. Immutable."""

    def __init__(
        self, head: TreeHead | None = None, buckets: Mapping[str, Mapping[str, StoredEntry]] | None = None
    ) -> None:
        self.head = head or TreeHead()
        self.buckets = buckets or {}

    def find(self, name: str) -> StoredEntry | None:
        """Return the entry, also of a deleted job."""
        return self.buckets.get(bucket_of(name), {}).get(name)

    def find_job(self, name: str) -> StoredEntry | None:
        """Return the entry of a job that is not deleted."""
        entry = self.find(name)
        return None if entry is None or entry.is_deleted else entry

    def with_entries(self, entries: Iterable[StoredEntry]) -> JobTree:
        """Return a tree that is not stored, with these entries in place of those of the same names."""
        buckets = {bucket: dict(known) for bucket, known in self.buckets.items()}
        for entry in entries:
            buckets.setdefault(bucket_of(entry.name), {})[entry.name] = entry
        return JobTree(self.head, buckets)

    def jobs(self) -> Iterator[StoredEntry]:
        """Yield the jobs that are not deleted, in no particular order."""
        for bucket in self.buckets.values():
            for entry in bucket.values():
                if not entry.is_deleted:
                    yield entry


def parse_stamp(stamp: str) -> datetime:
    """Return the time of a stamp, see StoredEntry.stamp."""
    return from_milliseconds(int(stamp.partition("-")[0]))


def bucket_of(name: str) -> str:
    """Return the bucket of a name, which is also the partition of its rows."""
    return f"{hashlib.sha256(name.encode()).digest()[0] % BUCKET_COUNT:02d}"


def version_prefix(name: str) -> str:
    """Return the start of the keys of a job's versions. A name contains no `~`."""
    return f"{VERSION_KEY}{name}~"


def version_key(name: str, number: int, stamp: str) -> str:
    return f"{version_prefix(name)}{number:08d}~{stamp}"


def parse_version_key(key: str) -> tuple[str, int]:
    """Return the job's name and the number of a version's row."""
    _, name, number, _ = key.split("~")
    return name, int(number)


def encode_bucket(entries: Mapping[str, StoredEntry]) -> str:
    """Return a bucket's row. The shortest definitions are part of it, up to MAX_INLINE_BYTES together."""
    inline = _choose_inline(entries.values())
    body = {
        name: [entry.number, entry.row_key, entry.owner, _inline_text(entry, inline)]
        for name, entry in sorted(entries.items())
    }
    return encode_json(body)


def _choose_inline(entries: Iterable[StoredEntry]) -> frozenset[str]:
    sizes = sorted((len(entry.text.encode()), entry.name) for entry in entries if entry.text)
    total, chosen = 0, set[str]()
    for size, name in sizes:
        total += size
        if total > MAX_INLINE_BYTES:
            break
        chosen.add(name)
    return frozenset(chosen)


def _inline_text(entry: StoredEntry, inline: frozenset[str]) -> str | bool | None:
    """Return the text, None if the version's row has it, or False for a deleted job."""
    if entry.is_deleted:
        return False
    return entry.text if entry.name in inline else None


def decode_bucket(row: Row) -> dict[str, StoredEntry]:
    return {
        name: StoredEntry(name, number, key, owner, text or "", text is False)
        for name, (number, key, owner, text) in decode_json(row.body).items()
    }


def decode_buckets(rows: Iterable[Row]) -> list[dict[str, StoredEntry]]:
    return [decode_bucket(row) for row in rows]


def encode_version(version: JobVersion) -> str:
    return encode_json(
        {
            "name": version.name,
            "number": version.number,
            "definition": version.definition,
            "at": version.at.isoformat(),
            "by": version.by,
            "owner": version.owner,
            "comment": version.comment,
            "before": version.before,
        }
    )


def decode_version(row: Row) -> JobVersion:
    body = decode_json(row.body)
    return JobVersion(
        name=body["name"],
        number=body["number"],
        definition=body["definition"],
        at=datetime.fromisoformat(body["at"]),
        by=body["by"],
        owner=body["owner"],
        comment=body["comment"],
        row_key=row.key,
        before=body["before"],
    )


@dataclass(frozen=True, slots=True)
class JobWrite:
    """The next version of a job. `definition` None deletes it."""

    name: str
    definition: Mapping[str, Any] | None
    owner: str = ""
    comment: str = ""

    def to_entry(self, tree: JobTree, row_key: str = "") -> StoredEntry:
        """Return the entry of a tree after this change."""
        number = next_number(tree.find(self.name))
        text = "" if self.definition is None else encode_json(self.definition)
        return StoredEntry(self.name, number, row_key, self.owner, text, self.definition is None)


def next_number(before: StoredEntry | None) -> int:
    """Return the number of the version that follows this entry; 1 for a new name."""
    return 1 if before is None else before.number + 1


def next_version(entry: StoredEntry | None, write: JobWrite, stamp: str, at: datetime, by: str) -> JobVersion:
    number = next_number(entry)
    return JobVersion(
        name=write.name,
        number=number,
        definition=write.definition,
        at=at,
        by=by,
        owner=write.owner,
        comment=write.comment,
        row_key=version_key(write.name, number, stamp),
        before="" if entry is None else entry.row_key,
    )
