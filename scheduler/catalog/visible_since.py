"""Reads since when stored jobs have had a tag of a principal. Created by scheduler.queries.stored_jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from scheduler.identity.principal import Principal, Tags, written_tags
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.tree import StoredEntry, parse_stamp

if TYPE_CHECKING:
    from scheduler.catalog.composition import JobComposer


class VisibleFrom(NamedTuple):
    """`has_hidden_past`: the version before had other tags."""

    at: datetime
    has_hidden_past: bool


_Known = dict[str, tuple[str, VisibleFrom]]
"""By job: the key of its latest version, and since when it has been visible."""


class VisibleSince:
    """Caches what it has read: a version never changes."""

    def __init__(self, composer: JobComposer, stored: StoredJobs) -> None:
        self._composer = composer
        self._stored = stored
        self._known: dict[Tags, _Known] = {}

    async def read(self, principal: Principal) -> Mapping[str, VisibleFrom]:
        """Return the instant by job, as its retained versions tell. Raises StoreError."""
        entries = [
            one.entry
            for one in self._composer.sources.stored.values()
            if one.located is not None and principal.sees(one.located.job.tags)
        ]
        known = self._known.get(principal.tags, {})
        found = {entry.name: (entry.row_key, await self._read(entry, principal, known)) for entry in entries}
        self._known[principal.tags] = found
        return {name: since for name, (_, since) in found.items()}

    async def _read(self, entry: StoredEntry, principal: Principal, known: _Known) -> VisibleFrom:
        if known.get(entry.name, ("",))[0] == entry.row_key:
            return known[entry.name][1]
        since = parse_stamp(entry.stamp)
        for version in await self._stored.list_versions(entry) if entry.number > 1 else ():
            if version.definition is not None and not principal.sees(written_tags(version.definition)):
                return VisibleFrom(since, has_hidden_past=True)
            since = version.at
        return VisibleFrom(since, has_hidden_past=False)
