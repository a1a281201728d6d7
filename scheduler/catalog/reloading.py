"""Puts changed job files in force while the program runs. Created by scheduler.app.job_sources for both hosts.

Only a set without problems comes into force, as a whole. Otherwise the previous set stays in force, health reports the
cause, and all problems are logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from config.errors import ConfigurationError
from jobs.formats import format_instant
from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.audit.trail import AuditedChange, ChangeRecorder, log_change
from scheduler.catalog.composition import JobComposer
from scheduler.health import HealthStatus, PartHealth
from scheduler.identity.principal import JOB_FILES_CALLER
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from config.job_files.reader import JobSet
    from config.job_files.sources import JobFileSource


class BackgroundReads:
    """Reads that continue in the background when their caller does not wait any longer."""

    def __init__(self) -> None:
        self._reads: set[asyncio.Task[Any]] = set()

    @property
    def is_pending(self) -> bool:
        return bool(self._reads)

    async def start(self, read: Coroutine[Any, Any, Any], time_limit: float) -> None:
        """Start a read and wait at most `time_limit` seconds for it."""
        task = asyncio.create_task(read)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)
        await asyncio.wait({task}, timeout=time_limit)

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        for task in self._reads:
            task.cancel()
        await asyncio.gather(*self._reads, return_exceptions=True)


_log = logging.getLogger("scheduler.catalog.reloading")

JOB_FILES_PART = "job_files"
SLOW_READ_THRESHOLD = 30.0
"""Seconds after which health reports that reading the files hangs, as a network share may."""
_MAX_NAMED = 5
"""Maximum number of problems in health."""


class JobReloader:
    """Reads the job files again when they may have changed, and puts valid ones in force."""

    def __init__(
        self,
        source: JobFileSource | None,
        composer: JobComposer,
        clock: Clock,
        audit: ChangeRecorder,
        log_warnings: Callable[[JobSet], Awaitable[None]] | None = None,
    ) -> None:
        """`source`: None if the settings have no job files. `log_warnings`: logs the warnings of a set."""
        self._source = source
        self._composer = composer
        self._clock = clock
        self._audit = audit
        self._unrecorded: list[AuditedChange] = []
        self._is_delay_logged = False
        self._log_warnings = log_warnings
        self._last_read_at: float | None = None
        self._read_lock = asyncio.Lock()
        self._background_reads = BackgroundReads()
        self._problems: tuple[Problem, ...] = ()
        self._problems_since: datetime | None = None

    def record_start(self) -> None:
        """Let the first check record the set with which the process started."""
        jobs = self._composer.sources.files
        summary = f"job set {jobs.digest} was loaded; jobs: {len(jobs)}"
        after = {"digest": jobs.digest, "jobs": len(jobs)}
        self._unrecorded.append(AuditedChange("jobs.load", jobs.digest, summary, after=after))

    async def reload(self, *, max_age: float = 0.0, is_requested: bool = False) -> bool:
        """Put changed job files in force. Return whether jobs changed.

        `max_age`: skip the read if the last one was less than this many seconds ago. `is_requested`: read the files
        even if they seem unchanged, and log the result in any case.
        """
        if self._source is None:
            if is_requested:
                _log.info("job files: the settings name none; nothing to read")
            return False
        async with self._read_lock:
            now = self._clock.monotonic()
            if self._last_read_at is not None and now - self._last_read_at < max_age:
                return False
            self._last_read_at = now
            await self._record_reloads()
            try:
                if not is_requested and not await self._source.has_changed():
                    return False
                return await self._apply(await self._source.read(), is_requested)
            except ConfigurationError as error:
                self._reject(error.problems, is_requested)
            except Exception as error:
                message = f"reading them failed with {type(error).__name__}, an error of the scheduler itself"
                if self._reject((Problem("", message, "the log has the details"),), is_requested):
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
        await self._background_reads.start(self.reload(max_age=max_age), time_limit)

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        await self._background_reads.aclose()

    async def run(self) -> None:
        """Read the files whenever they may have changed, until cancelled."""
        if self._source is None:
            return
        async for _ in self._source.change_hints():
            await self.reload()

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

    async def _apply(self, jobs: JobSet, is_requested: bool) -> bool:
        files = self._composer.sources.files
        if not jobs.jobs and len(files):
            hint = "if this is intended, restart the scheduler; otherwise check that the folder is mounted"
            self._reject((Problem("", "no job files found, but jobs are in force", hint),), is_requested)
            return False
        if self._log_warnings is not None:
            await self._log_warnings(jobs)
        if jobs.digest == files.digest:
            self._clear_problems(is_requested)
            return False
        change = await self._composer.replace_files(jobs)
        self._problems, self._problems_since = (), None
        _log.info("job files: %s; jobs in force: %d", change, self._composer.count)
        summary = f"job set {files.digest} was replaced by {jobs.digest} ({change})"
        log_change(summary, JOB_FILES_CALLER)
        names = {"added": change.added, "changed": change.changed, "removed": change.removed}
        self._unrecorded.append(
            AuditedChange(
                "jobs.reload",
                jobs.digest,
                summary,
                (*change.added, *change.changed, *change.removed),
                before={"digest": files.digest},
                after={"digest": jobs.digest, **names},
            )
        )
        await self._record_reloads()
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

    def _reject(self, problems: tuple[Problem, ...], is_requested: bool) -> bool:
        """Record the problems. Return whether they were logged: known ones are logged at a request only."""
        if problems == self._problems and not is_requested:
            return False
        self._problems, self._problems_since = problems, self._problems_since or self._clock.now()
        number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        _log.warning(
            "the job files have %s; the previous jobs stay in force:\n%s", number, "\n".join(map(str, problems))
        )
        return True

    def _clear_problems(self, is_requested: bool) -> None:
        if self._problems:
            _log.info("job files: valid again and unchanged; jobs in force: %d", self._composer.count)
        elif is_requested:
            _log.info("job files: unchanged; jobs in force: %d", self._composer.count)
        self._problems, self._problems_since = (), None
