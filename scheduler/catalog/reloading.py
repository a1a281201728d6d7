"""Puts changed job files in force while the program runs. Created by scheduler.app.reloader_setup for both hosts.

Only a set without problems comes into force, as a whole. Otherwise the previous set stays in force, health reports the
cause, and all problems are logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from config.errors import ConfigurationError
from jobs.formats.instants import format_instant
from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.audit.change_log import log_change
from scheduler.audit.trail import AuditedChange, ChangeRecorder
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.health.report import HealthStatus, PartHealth
from scheduler.identity.caller import JOB_FILES_CALLER
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from config.job_files.reader import JobSet
    from config.job_files.sources import JobFileSource
    from jobs.definition import JobDefinition
    from jobs.targets import Target

_log = logging.getLogger("scheduler.catalog.reloading")

JOB_FILES_PART = "job_files"
SLOW_READ_THRESHOLD = 30.0
"""Seconds after which health reports that reading the files hangs, as a network share may."""
_MAX_NAMED = 5
"""Maximum number of jobs that a message names, and of problems in health."""


class JobReloader:
    def __init__(
        self,
        source: JobFileSource | None,
        catalog: Catalog,
        clock: Clock,
        audit: ChangeRecorder,
        check_jobs: Callable[[Iterable[JobDefinition]], None] = lambda jobs: None,
        prepare: Callable[[Iterable[Target]], None] = lambda targets: None,
        log_warnings: Callable[[JobSet], Awaitable[None]] | None = None,
    ) -> None:
        """`source`: None if the settings have no job files. `check_jobs`: called with the jobs that are new or changed.

        `prepare`: loads what the checks of these targets need, in a thread, before they are in force. `log_warnings`:
        logs the warnings of a set.
        """
        self._source = source
        self._catalog = catalog
        self._clock = clock
        self._audit = audit
        self._unrecorded: list[AuditedChange] = []
        self._is_delay_logged = False
        self._check_jobs = check_jobs
        self._prepare = prepare
        self._log_warnings = log_warnings
        self._last_read_at: float | None = None
        self._read_lock = asyncio.Lock()
        self._pending_reads: set[asyncio.Task[bool]] = set()
        self._problems: tuple[Problem, ...] = ()
        self._problems_since: datetime | None = None

    def record_start(self) -> None:
        """Let the first check record the set with which the process started."""
        jobs = self._catalog.snapshot
        summary = f"job set {jobs.digest} with {len(jobs)} jobs was loaded"
        after = {"digest": jobs.digest, "jobs": len(jobs)}
        self._unrecorded.append(AuditedChange("jobs.load", jobs.digest, summary, after=after))

    async def reload(self, *, max_age: float = 0.0) -> bool:
        """Put changed job files in force. Return whether jobs changed.

        `max_age`: skip the read if the last one was less than this many seconds ago.
        """
        if self._source is None:
            return False
        async with self._read_lock:
            now = self._clock.monotonic()
            if self._last_read_at is not None and now - self._last_read_at < max_age:
                return False
            self._last_read_at = now
            await self._record_reloads()
            try:
                if not await self._source.has_changed():
                    return False
                return await self._apply(await self._source.read())
            except ConfigurationError as error:
                self._reject(error.problems)
            except Exception as error:
                message = f"reading them failed with {type(error).__name__}, an error of the scheduler itself"
                if self._reject((Problem("", message, "the log has the details"),)):
                    _log.error(
                        "could not read the job files: unexpected error; the jobs in force do not change",
                        exc_info=error,
                    )
        return False

    async def reload_within(self, max_age: float, time_limit: float) -> None:
        """Start `reload` and wait at most `time_limit` seconds for it; it then continues in the background.

        So a slow share delays no run. While a read takes longer than that, later calls do not wait.
        """
        if self._last_read_at is not None:
            since = self._clock.monotonic() - self._last_read_at
            if since >= time_limit if self._read_lock.locked() else since < max_age:
                return
        look = asyncio.create_task(self.reload(max_age=max_age))
        self._pending_reads.add(look)
        look.add_done_callback(self._pending_reads.discard)
        await asyncio.wait({look}, timeout=time_limit)

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        for look in self._pending_reads:
            look.cancel()
        await asyncio.gather(*self._pending_reads, return_exceptions=True)

    async def run(self, on_change: Callable[[JobSnapshot], None]) -> None:
        """Read the files whenever they may have changed, until cancelled. `on_change` gets the previous set."""
        if self._source is None:
            return
        async for _ in self._source.change_hints():
            before = self._catalog.snapshot
            if await self.reload():
                on_change(before)

    async def health(self) -> Sequence[PartHealth]:
        """Report degraded while the jobs in force differ from the files."""
        if self._read_lock.locked() and self._last_read_at is not None:
            hangs_for = self._clock.monotonic() - self._last_read_at
            if hangs_for > SLOW_READ_THRESHOLD:
                message = f"no response from the job files for {hangs_for:.0f} s, the previous jobs stay in force"
                return (PartHealth(JOB_FILES_PART, HealthStatus.DEGRADED, f"{message}: check how they are mounted"),)
        if not self._problems or self._problems_since is None:
            return (PartHealth(JOB_FILES_PART, HealthStatus.OK),)
        listed = "; ".join(map(str, self._problems[:_MAX_NAMED]))
        more = len(self._problems) - _MAX_NAMED
        rest = f"; and {more} more, see the log" if more > 0 else ""
        message = (
            f"rejected since {format_instant(self._problems_since)}, the previous jobs stay in force: {listed}{rest}"
        )
        return (PartHealth(JOB_FILES_PART, HealthStatus.DEGRADED, message),)

    async def _apply(self, jobs: JobSet) -> bool:
        before = self._catalog.snapshot
        if not jobs.jobs and len(before):
            hint = "if this is intended, restart the scheduler; otherwise check that the folder is mounted"
            self._reject((Problem("", "no job files found, but jobs are in force", hint),))
            return False
        if self._log_warnings is not None:
            await self._log_warnings(jobs)
        if jobs.digest == before.digest:
            self._clear_problems()
            return False
        view = await asyncio.to_thread(build_snapshot, jobs, self._clock.now(), before)
        added, changed, removed = await asyncio.to_thread(_diff_names, before, view)
        await asyncio.to_thread(self._prepare, [entry.job.check for entry in view])
        self._catalog.replace(view)
        self._problems, self._problems_since = (), None
        changes = _describe_changes(added, changed, removed)
        _log.info("job files: %s; jobs in force: %d", changes, len(view))
        summary = f"job set {before.digest} was replaced by {view.digest} ({changes})"
        log_change(summary, JOB_FILES_CALLER)
        names = {"added": added, "changed": changed, "removed": removed}
        self._unrecorded.append(
            AuditedChange(
                "jobs.reload",
                view.digest,
                summary,
                (*added, *changed, *removed),
                before={"digest": before.digest},
                after={"digest": view.digest, **names},
            )
        )
        await self._record_reloads()
        self._check_jobs(view.get_job(name).job for name in (*added, *changed))
        return True

    async def _record_reloads(self) -> None:
        """Record what came into force, later if the store is unavailable: the files have changed already."""
        while self._unrecorded:
            try:
                await self._audit.record(JOB_FILES_CALLER, self._unrecorded[0])
            except StoreError as error:
                if not self._is_delay_logged:
                    _log.warning("could not record the job files in the audit trail: %s; retrying at each check", error)
                self._is_delay_logged = True
                return
            del self._unrecorded[0]
            self._is_delay_logged = False

    def _reject(self, problems: tuple[Problem, ...]) -> bool:
        """Record the problems. Return whether they differ from the previous ones."""
        if problems == self._problems:
            return False
        self._problems, self._problems_since = problems, self._problems_since or self._clock.now()
        number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        _log.warning(
            "the job files have %s; the previous jobs stay in force:\n%s", number, "\n".join(map(str, problems))
        )
        return True

    def _clear_problems(self) -> None:
        if self._problems:
            _log.info("job files: valid again and unchanged; jobs in force: %d", len(self._catalog))
        self._problems, self._problems_since = (), None


def build_snapshot(jobs: JobSet, now: datetime, previous: JobSnapshot | None = None) -> JobSnapshot:
    """Build the set. Entries that have not changed are reused, with what was computed from them."""

    def entries() -> Iterable[CatalogJob]:
        for job in jobs:
            known, origin = previous.find_job(job.name) if previous is not None else None, jobs.origins[job.name]
            if known is not None and known.origin == origin and (known.job is job or known.job == job):
                yield known
            else:
                yield CatalogJob(job, origin)

    return JobSnapshot(entries(), now, jobs.digest)


def _diff_names(before: JobSnapshot, view: JobSnapshot) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the jobs that were added, changed and removed."""
    names = view.names()
    added = [name for name in names if name not in before]
    changed = [name for name in names if name in before and before.get_job(name).job != view.get_job(name).job]
    return added, changed, [name for name in before.names() if name not in view]


def _describe_changes(added: list[str], changed: list[str], removed: list[str]) -> str:
    parts = [("added", added), ("changed", changed), ("removed", removed)]
    changes = [f"{len(names)} {word}: {_join_names(names)}" for word, names in parts if names]
    return ", ".join(changes) or "no job changed"


def _join_names(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
