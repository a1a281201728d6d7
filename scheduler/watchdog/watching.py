"""The watchdog itself: makes looks, keeps the newest, tells health and telemetry. Built by scheduler.app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from jobs.ports import Clock
from scheduler.dispatch.port import Depths, DispatchError
from scheduler.health import PartHealth, Status
from scheduler.stores.counts import dead_letters, open_runs
from scheduler.stores.port import Store, StoreError
from scheduler.stores.watch_reports import WatchReports
from scheduler.watchdog.jobs import JobWatch
from scheduler.watchdog.judging import JOBS, QUEUE, known_parts_of, parts_of
from scheduler.watchdog.report import Report
from scheduler.watchdog.trouble import StoreTrouble
from scheduler.work.places import PlacesReport

_log = logging.getLogger("scheduler.watchdog")

LOOK_EVERY = 30.0
"""Seconds between two looks of the embedded host. The Functions host makes one at each tick."""
MOST_JOBS = 500
"""Jobs whose history is read in one look; a look at a tick reads twice as many, as it comes half as often."""
AGAIN_AFTER = timedelta(seconds=5)
"""After which health looks again, where the newest look could not ask everything: what was away may be back."""
TELL_EVERY = 60.0
"""Seconds between two tellings of the numbers to telemetry."""
PATIENCE = 10.0
"""Seconds for the store, and then for all other parts of a look: a tick must not wait for it much longer."""
STORE_IS_DOWN = "runs wait, as the store takes no claims or no results: look at the part store"
HEALTH_PATIENCE = 1.5
"""Seconds for health to get the report, less than a part of health is given before it counts as down."""

T = TypeVar("T")
LastTick = Callable[[], Awaitable[datetime | None]]


class Listener(Protocol):
    """Telemetry, as the watchdog sees it; both return at once."""

    def gauges(self, values: Mapping[str, float]) -> None:
        """Numbers by the names in report.GAUGES."""
        ...

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """A part of health is no longer well, or is well again."""
        ...


async def _no_tick() -> datetime | None:
    return None


class Watchdog:
    """`shared`: looks are made by one instance and read by all, so the newest report is in the store. `places`: asks
    this process who holds the places."""

    def __init__(
        self,
        jobs: JobWatch,
        queue: Depths,
        store: Store,
        listener: Listener,
        clock: Clock,
        *,
        shared: bool = False,
        places: Callable[[], PlacesReport | None] = lambda: None,
        trouble: StoreTrouble | None = None,
    ) -> None:
        self._jobs = jobs
        self._trouble = trouble
        self._queue = queue
        self._store = store
        self._places = places
        self._reports = WatchReports(store) if shared else None
        self._listener = listener
        self._clock = clock
        self._last_tick: LastTick = _no_tick
        self._most = 2 * MOST_JOBS if shared else MOST_JOBS
        self._newest: Report | None = None
        self._looking = asyncio.Lock()
        self._told_at = float("-inf")
        self._unwell: set[str] = set()

    def ticks_from(self, last_tick: LastTick) -> None:
        """Where to ask for the last tick: known once the host has its ticks. May raise StoreError."""
        self._last_tick = last_tick

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> Report:
        """Look now, at everything, and tell. Never raises for what is away: the report says so."""
        async with self._looking:
            report = await self._look()
            self._newest = report
            await self._keep(report)
        self._tell(report)
        return report

    async def report(self) -> Report:
        """The newest look, with the last tick and the places as of now; the first one is made when it is asked for.

        Raises:
            StoreError: the report, or the last tick, is in a store that is away.
        """
        found = self._newest if self._reports is None else await self._kept(self._reports)
        if found is None:
            return await self.look()
        return replace(found, last_tick=await self._last_tick(), places=self._places())

    async def health(self) -> Sequence[PartHealth]:
        """The parts jobs and queue, at worst degraded."""
        try:
            async with asyncio.timeout(HEALTH_PATIENCE):
                if self._is_to_be_made_again():
                    await self.look()
                return self._advised(parts_of(await self.report()))
        except (StoreError, TimeoutError):
            return (PartHealth(JOBS, Status.DEGRADED, "whether jobs run is not known while the store is away"),)

    def _is_to_be_made_again(self) -> bool:
        newest = self._newest
        if newest is None or not newest.unknown or self._reports is not None:
            return False
        return self._clock.now() - newest.at >= AGAIN_AFTER

    async def _look(self) -> Report:
        unknown: dict[str, str] = {}

        async def known(name: str, asked: Awaitable[T]) -> T | None:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await asked
            except (StoreError, DispatchError) as error:
                unknown[name] = str(error)
            except TimeoutError:
                unknown[name] = f"no answer within {PATIENCE:g} s"
            return None

        store_ms = await known("store", self._time_of_store())
        last_tick, jobs, queue, runs, letters = await asyncio.gather(
            known("ticks", self._last_tick()),
            known(JOBS, self._jobs.look(self._most)),
            known(QUEUE, self._queue.depth()),
            known("runs", open_runs(self._store)),
            known("dead letters", dead_letters(self._store)),
        )
        places = self._places()
        return Report(self._clock.now(), last_tick, jobs, queue, runs, letters, store_ms, places, unknown)

    async def _time_of_store(self) -> float:
        began = self._clock.monotonic()
        await self._store.ping()
        return round((self._clock.monotonic() - began) * 1000, 3)

    async def _keep(self, report: Report) -> None:
        if self._reports is None:
            return
        try:
            await self._reports.put(self._json.dump_json(report).decode())
        except StoreError as error:
            _log.warning("the watchdog's report is not kept now: %s", error)

    async def _kept(self, reports: WatchReports) -> Report | None:
        text = await reports.get()
        try:
            return None if text is None else self._json.validate_json(text)
        except ValidationError:
            return None  # another version wrote it; the next look replaces it

    @cached_property
    def _json(self) -> TypeAdapter[Report]:
        return TypeAdapter(Report)

    def _tell(self, report: Report) -> None:
        now = self._clock.monotonic()
        # Two looks are never exactly a minute apart.
        if now - self._told_at >= TELL_EVERY - 1:
            self._told_at = now
            self._listener.gauges(report.gauges())
        for part in self._advised(known_parts_of(report)):
            self._tell_of(part)

    def _advised(self, parts: Sequence[PartHealth]) -> Sequence[PartHealth]:
        """While the store takes no claims, tickets wait for that reason, whatever the targets do."""
        if self._trouble is None or self._trouble.error is None:
            return parts
        return [
            replace(part, message=STORE_IS_DOWN) if part.name == QUEUE and part.status is not Status.OK else part
            for part in parts
        ]

    def _tell_of(self, part: PartHealth) -> None:
        """Only when it becomes unwell, and when it is well again: a long trouble is no long log."""
        if part.status is Status.OK:
            if part.name in self._unwell:
                self._unwell.discard(part.name)
                self._listener.watchdog(part.name, f"{part.name}: well again", well=True)
        elif part.name not in self._unwell:
            self._unwell.add(part.name)
            self._listener.watchdog(part.name, f"{part.name}: {part.message}", well=False)
