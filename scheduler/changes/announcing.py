"""Announces new versions of the program and other jobs, each once for all processes. Called by both hosts.

Created by scheduler.app.watch_setup. A process that ends between storing and announcing announces nothing: at most
once is what a marker in a chart needs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from jobs.ports import Clock
from scheduler.catalog.catalog import JobSnapshot
from scheduler.catalog.composition import JobComposer, SetChange
from scheduler.identity.principal import PROGRAM_PRINCIPAL
from scheduler.stores.findings import Announcements
from scheduler.stores.markers import DeploymentMarker, DeploymentMarkers, create_marker_id
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.changes")

_VERSION, _JOB_SET = "version", "job-set"


class AnnouncementListener(Protocol):
    """Telemetry as this module uses it; both methods return at once."""

    def deployed(self, previous: str) -> None: ...

    def job_set_changed(
        self, digest: str, stored_version: int, jobs: int, counts: tuple[int, int, int] | None
    ) -> None: ...


class ChangeAnnouncer:
    """`version`: of the program. A new one is also marked in the charts of all jobs."""

    def __init__(
        self,
        announcements: Announcements,
        markers: DeploymentMarkers,
        composer: JobComposer,
        listener: AnnouncementListener,
        clock: Clock,
        version: str,
    ) -> None:
        self._announcements = announcements
        self._markers = markers
        self._clock = clock
        self._composer = composer
        self._listener = listener
        self._version = version
        self._is_version_announced = False
        self._unstored: DeploymentMarker | None = None
        self._announced: JobSnapshot | None = None
        self._changes: list[SetChange] = []
        composer.listeners.append(self._note_change)

    async def tick(self) -> None:
        """Announce what is new. After a failure of the store the next tick repeats it."""
        try:
            if not self._is_version_announced:
                previous = await self._announcements.replace(_VERSION, self._version)
                self._is_version_announced = True
                if previous is not None:
                    self._listener.deployed(previous)
                    self._unstored = self._create_marker(previous)
            if self._unstored is not None:
                await self._markers.put(self._unstored)
                self._unstored = None
            await self._announce_jobs()
        except StoreError as error:
            _log.warning("could not announce a change: %s; the next tick retries", error)

    def _create_marker(self, previous: str) -> DeploymentMarker:
        now = self._clock.now()
        text = f"version {self._version} of the scheduler" + (f" replaced {previous}" if previous else "")
        return DeploymentMarker(create_marker_id(now), now, text, author=PROGRAM_PRINCIPAL.id)

    async def _announce_jobs(self) -> None:
        jobs, stored_version = self._composer.snapshot, self._composer.sources.tree.head.generation
        if jobs is self._announced:
            return
        changes = tuple(self._changes)
        previous = await self._announcements.replace(_JOB_SET, jobs.digest, stored_version)
        self._announced, self._changes = jobs, self._changes[len(changes) :]
        if previous:
            counts = _count_jobs(changes) if changes else None
            self._listener.job_set_changed(jobs.digest, stored_version, len(jobs), counts)

    def _note_change(self, before: JobSnapshot) -> None:
        self._changes.append(self._composer.latest_change)


def _count_jobs(changes: Iterable[SetChange]) -> tuple[int, int, int]:
    """Return the numbers of added, changed and removed jobs."""
    added = changed = removed = 0
    for each in changes:
        added, changed, removed = added + len(each.added), changed + len(each.changed), removed + len(each.removed)
    return added, changed, removed
