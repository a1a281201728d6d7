"""The change of one stored job, and the version that it makes. Pure. Used by repository and scheduler.operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.stores.rows import encode_json
from scheduler.stores.stored_jobs.tree import JobTree, JobVersion, StoredEntry, version_key


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
