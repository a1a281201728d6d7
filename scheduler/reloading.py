"""Puts changed job files in force while the program runs. Made by scheduler.app, used by both hosts.

Only a set without any problem is put in force, at once and as a whole; otherwise the last one stays, health says why,
and the log has all problems once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from config.errors import ConfigurationError
from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.catalog import Catalog, Entry, View
from scheduler.health import PartHealth, Status
from scheduler.operations.audit import Way, audit

if TYPE_CHECKING:
    from config.job_files import JobSet
    from config.reload import Source
    from jobs.definition import JobDefinition
    from jobs.targets import Target

_log = logging.getLogger("scheduler.reloading")

PART = "job_files"
LONGEST_LOOK = 30.0
"""Seconds after which a look at the files is taken to hang, as a share may."""
_NAMED = 5
"""Jobs that a sentence names, and problems that health tells."""


class Reloading:
    def __init__(
        self,
        source: Source | None,
        catalog: Catalog,
        clock: Clock,
        look_at: Callable[[Iterable[JobDefinition]], None] = lambda jobs: None,
        prepare: Callable[[Iterable[Target]], None] = lambda targets: None,
        warn: Callable[[JobSet], Awaitable[None]] | None = None,
    ) -> None:
        """`source`: None if the settings name no place of jobs. `look_at`: told of the jobs that are new or changed.
        `prepare`: loads what checks of these targets need, in a thread, before they are in force. `warn`: logs what is
        hardly meant in a set that is taken."""
        self._source = source
        self._catalog = catalog
        self._clock = clock
        self._look_at = look_at
        self._prepare = prepare
        self._warn = warn
        self._looked_at: float | None = None
        self._looking = asyncio.Lock()
        self._going_on: set[asyncio.Task[bool]] = set()
        self._problems: tuple[Problem, ...] = ()
        self._since: datetime | None = None

    async def look(self, *, unless_within: float = 0.0) -> bool:
        """Put in force what is different by now. Returns whether something is.

        `unless_within`: seconds for which an earlier look counts.
        """
        if self._source is None:
            return False
        async with self._looking:
            now = self._clock.monotonic()
            if self._looked_at is not None and now - self._looked_at < unless_within:
                return False
            self._looked_at = now
            try:
                if not await self._source.changed():
                    return False
                return await self._take(await self._source.read())
            except ConfigurationError as error:
                self._refuse(error.problems)
            except Exception as error:
                message = f"the program itself failed with {type(error).__name__} while it looked at them"
                if self._refuse((Problem("", message, "the log has the details"),)):
                    _log.error("looking for changed job files broke", exc_info=error)
        return False

    async def look_briefly(self, unless_within: float, patience: float) -> None:
        """Look, and wait for it at most `patience` seconds; then it goes on beside, as no run is to be late for a place
        that is slow or away. Who comes while one takes longer than that does not wait at all."""
        if self._looked_at is not None:
            since = self._clock.monotonic() - self._looked_at
            if since >= patience if self._looking.locked() else since < unless_within:
                return
        look = asyncio.create_task(self.look(unless_within=unless_within))
        self._going_on.add(look)
        look.add_done_callback(self._going_on.discard)
        await asyncio.wait({look}, timeout=patience)

    async def aclose(self) -> None:
        """End what goes on."""
        for look in self._going_on:
            look.cancel()
        await asyncio.gather(*self._going_on, return_exceptions=True)

    async def run(self, changed: Callable[[View], None]) -> None:
        """Look whenever it is worth it, until cancelled. `changed` is told at once of what is no longer in force."""
        if self._source is None:
            return
        async for _ in self._source.hints():
            before = self._catalog.view
            if await self.look():
                changed(before)

    async def health(self) -> Sequence[PartHealth]:
        """Degraded while other jobs are in force than the files have."""
        if self._looking.locked() and self._looked_at is not None:
            hangs_for = self._clock.monotonic() - self._looked_at
            if hangs_for > LONGEST_LOOK:
                message = f"the place of job files does not answer for {hangs_for:.0f} s, the jobs from before go on"
                return (PartHealth(PART, Status.DEGRADED, f"{message}: look at how it is mounted"),)
        if not self._problems:
            return (PartHealth(PART, Status.OK),)
        told = "; ".join(map(str, self._problems[:_NAMED]))
        more = len(self._problems) - _NAMED
        rest = f"; and {more} more, see the log" if more > 0 else ""
        message = f"since {self._since:%Y-%m-%d %H:%M:%S}Z not put in force, the jobs from before go on: {told}{rest}"
        return (PartHealth(PART, Status.DEGRADED, message),)

    async def _take(self, jobs: JobSet) -> bool:
        before = self._catalog.view
        if not jobs.jobs and len(before):
            hint = "if that is meant, restart the program; otherwise look whether the place is mounted"
            self._refuse((Problem("", "there are no job files any more", hint),))
            return False
        if self._warn is not None:
            await self._warn(jobs)
        if jobs.digest == before.digest:
            self._is_well()
            return False
        view = await asyncio.to_thread(view_of, jobs, self._clock.now(), before)
        added, changed, removed = await asyncio.to_thread(_differences, before, view)
        await asyncio.to_thread(self._prepare, [entry.job.check for entry in view])
        self._catalog.replace(view)
        self._problems, self._since = (), None
        told = _told(added, changed, removed)
        _log.info("job files: %s; jobs in force: %d", told, len(view))
        audit(f"set {before.digest} of the jobs was replaced by {view.digest} ({told})", Way.FILES)
        self._look_at(view.get(name).job for name in (*added, *changed))
        return True

    def _refuse(self, problems: tuple[Problem, ...]) -> bool:
        """Whether these are others than the last time."""
        if problems == self._problems:
            return False
        self._problems, self._since = problems, self._since or self._clock.now()
        number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        _log.warning(
            "the job files have %s, so the jobs from before stay in force:\n%s", number, "\n".join(map(str, problems))
        )
        return True

    def _is_well(self) -> None:
        if self._problems:
            _log.info("job files: as they were before; jobs in force: %d", len(self._catalog))
        self._problems, self._since = (), None


def view_of(jobs: JobSet, now: datetime, before: View | None = None) -> View:
    """The set as a view. Entries that are the same as before are handed on, with what was worked out of them."""

    def entries() -> Iterable[Entry]:
        for job in jobs:
            known, origin = before.find(job.name) if before is not None else None, jobs.origins[job.name]
            if known is not None and known.origin == origin and (known.job is job or known.job == job):
                yield known
            else:
                yield Entry(job, origin)

    return View(entries(), now, jobs.digest)


def _differences(before: View, view: View) -> tuple[list[str], list[str], list[str]]:
    """The names of jobs that were added, changed and removed."""
    names = view.names()
    added = [name for name in names if name not in before]
    changed = [name for name in names if name in before and before.get(name).job != view.get(name).job]
    return added, changed, [name for name in before.names() if name not in view]


def _told(added: list[str], changed: list[str], removed: list[str]) -> str:
    parts = [("added", added), ("changed", changed), ("removed", removed)]
    told = [f"{len(names)} {word}: {_named(names)}" for word, names in parts if names]
    return ", ".join(told) or "the same jobs"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
