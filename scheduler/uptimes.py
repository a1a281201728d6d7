"""How much of the time a job was up, from its kept runs: read by the API and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.ports import Clock
from jobs.runs import Outcome, Run
from jobs.uptime import Flip, Look, Month, Uptime, monthly_downtime, uptime_of
from scheduler.catalog import Catalog
from scheduler.stores.runs import Runs

MOST = 3000
"""Runs that are read, the newest ones: of a job of each ten seconds that is a third of a day."""
MONTHS = 3
_PAGE = 100
"""Runs read at a time: reading more of them at once would keep others waiting."""
_WINDOWS = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class Window:
    """The time before now. `whole`: the runs that were read go back as far."""

    name: str
    uptime: Uptime
    whole: bool


@dataclass(frozen=True, slots=True)
class JobUptime:
    """`since`: the first run that was read; None if there is none. `runs`: how many say something."""

    job: str
    since: datetime | None
    runs: int
    windows: Sequence[Window]
    months: Sequence[Month]


class Uptimes:
    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock

    async def of(self, job: str, zone: tzinfo = UTC) -> JobUptime:
        """Runs that were skipped or cancelled say nothing. Months are those of `zone`.

        Raises:
            UnknownJob: no job has that name.
            StoreError: history cannot be read.
        """
        self._catalog.get(job)
        now = self._clock.now()
        runs, is_all = await self._newest(job)
        since = runs[0].started_at if runs else None
        windows = [_window(name, now - span, runs, is_all) for name, span in _WINDOWS.items()]
        flips = [Flip(run.started_at, run.outcome.down) for run in runs]
        months = monthly_downtime(_changes(flips), now, MONTHS, zone, since=since or now)
        return JobUptime(job, since, len(runs), windows, months)

    async def _newest(self, job: str) -> tuple[list[Run], bool]:
        """Those that say something, oldest first, and whether that is all that is kept."""
        found: list[Run] = []
        read, continuation = 0, None
        while read < MOST:
            page = await self._runs.list(job=job, limit=_PAGE, continuation=continuation)
            read += len(page.records)
            found += [record.run for record in page.records if record.run is not None and _says(record.run)]
            continuation = page.continuation
            if continuation is None:
                break
        return sorted(found, key=lambda run: run.started_at), continuation is None


def _says(run: Run) -> bool:
    return run.outcome is Outcome.SUCCEEDED or run.outcome.down


def _window(name: str, begin: datetime, runs: Sequence[Run], is_all: bool) -> Window:
    looks = (
        Look("down") if run.outcome.down else Look("up", run.response_time_ms)
        for run in runs
        if run.started_at >= begin
    )
    return Window(name, uptime_of(looks), is_all or (bool(runs) and runs[0].started_at <= begin))


def _changes(flips: Sequence[Flip]) -> list[Flip]:
    """Those looks that differ from the one before; before the first one nothing is known, which counts as up."""
    changes: list[Flip] = []
    down = False
    for flip in flips:
        if flip.down != down:
            changes.append(flip)
            down = flip.down
    return changes
