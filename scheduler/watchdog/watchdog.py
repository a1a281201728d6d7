"""The watchdog: makes reports, and publishes them to health and telemetry. Built by scheduler.app.

A report shows whether the scheduler does its work: when it last planned, which jobs are overdue, what waits in the
queue, and how fast the store answers. A part that cannot be read is unknown, and does not prevent the report.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from jobs.ports import Clock
from scheduler.dispatch.port import DispatchError, QueueDepthReader
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.dead_letters import count_dead_letters, count_open_runs
from scheduler.stores.findings import WatchdogReports
from scheduler.stores.port import Store, StoreError
from scheduler.watchdog.cpu_watch import CpuReport, CpuWatch, describe_starvation
from scheduler.watchdog.job_watch import JobWatch, StoreFailures
from scheduler.watchdog.report import WatchdogGauge, WatchdogReport, read_gauges
from scheduler.watchdog.rules import JOBS_PART, QUEUE_PART, health_parts, known_health_parts
from scheduler.worker.places import PlacesReport

_log = logging.getLogger("scheduler.watchdog")

CHECK_INTERVAL = 30.0
"""Seconds between two reports of the embedded host. The Functions host makes one at each tick."""
MAX_HISTORY_READS = 500
"""Histories that are read for one report; twice as many at a tick, which comes half as often."""
HEALTH_RECHECK_AFTER = timedelta(seconds=5)
"""After which health makes a new report, if the last one has unknown parts: they may be available again."""
GAUGE_INTERVAL = 60.0
"""Seconds between two publications of the gauges."""
PROBE_TIMEOUT = 10.0
"""Seconds for the store, and then for all other parts of a report: a tick must not wait much longer."""
STORE_UNAVAILABLE_MESSAGE = "runs wait because claims or results cannot be stored: see the health part store"
HEALTH_TIMEOUT = 1.5
"""Seconds for health to read the report, less than the timeout of a part of health."""

T = TypeVar("T")
LastTick = Callable[[], Awaitable[datetime | None]]
PublishGauges = Callable[[], Awaitable[None]]


class WatchdogListener(Protocol):
    """Telemetry as the watchdog uses it; both methods return at once."""

    def gauges(self, values: Iterable[tuple[WatchdogGauge, float]]) -> None:
        """Publish the values."""
        ...

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """Publish that a part of health is degraded, or well again."""
        ...


async def _no_tick() -> datetime | None:
    return None


async def _publish_nothing() -> None:
    """Do nothing."""


class Watchdog:
    """Makes a report at each interval or tick, and when health needs one.

    `is_shared`: one instance makes reports and all read them, so the newest is in the store. `places`: returns which
    jobs hold the places of this process.
    """

    def __init__(
        self,
        jobs: JobWatch,
        queue: QueueDepthReader,
        store: Store,
        listener: WatchdogListener,
        clock: Clock,
        *,
        is_shared: bool = False,
        places: Callable[[], PlacesReport | None] = lambda: None,
        failures: StoreFailures | None = None,
        publish_gauges: PublishGauges = _publish_nothing,
        cpu: CpuWatch | None = None,
    ) -> None:
        """`publish_gauges`: publishes the gauges of other parts, together with those of the watchdog. `cpu`: of this
        process; None if it executes no runs."""
        self._jobs = jobs
        self._failures = failures
        self._queue = queue
        self._store = store
        self._places = places
        self._cpu = cpu
        self._reports = WatchdogReports(store) if is_shared else None
        self._listener = listener
        self._publish_others = publish_gauges
        self._clock = clock
        self._last_tick: LastTick = _no_tick
        self._max_reads = 2 * MAX_HISTORY_READS if is_shared else MAX_HISTORY_READS
        self._newest: WatchdogReport | None = None
        self._report_lock = asyncio.Lock()
        self._gauges_published_at = float("-inf")
        self._unwell: set[str] = set()
        """The parts of health that were last published as degraded."""

    def set_tick_source(self, last_tick: LastTick) -> None:
        """Set the function that returns the last tick, once the host has its ticker. It may raise StoreError."""
        self._last_tick = last_tick

    async def run(self) -> None:
        """Make reports periodically until cancelled."""
        while True:
            await self._clock.sleep(CHECK_INTERVAL)
            await self.make_report()

    async def make_report(self) -> WatchdogReport:
        """Make a report of all parts and publish it. Parts that are unavailable are in its `unknown`."""
        async with self._report_lock:
            report = await self._collect()
            self._newest = report
            await self._store_report(report)
        await self._publish(report)
        return report

    async def latest_report(self) -> WatchdogReport:
        """Return the newest report with the current last tick and places; make the first one on request.

        Raises:
            StoreError: the report or the last tick cannot be read.
        """
        found = self._newest if self._reports is None else await self._read_stored(self._reports)
        if found is None:
            return await self.make_report()
        return replace(found, last_tick=await self._last_tick(), places=self._places(), cpu=self._read_cpu())

    def _read_cpu(self) -> CpuReport | None:
        return None if self._cpu is None else self._cpu.judge()

    def read_starvation(self) -> str:
        """Return the problem of a process that lacks CPU, with the advice; empty if it has its CPU."""
        return describe_starvation(self._read_cpu())

    def read_places(self) -> PlacesReport | None:
        """Return the places of this process; None if it executes no runs."""
        return self._places()

    async def health(self) -> Sequence[PartHealth]:
        """Return the parts `jobs` and `queue`, degraded at worst."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT):
                if self._needs_new_report():
                    await self.make_report()
                return self._with_store_advice(health_parts(await self.latest_report()))
        except (StoreError, TimeoutError):
            return (PartHealth(JOBS_PART, HealthStatus.DEGRADED, "unknown while the store is unavailable"),)

    def _needs_new_report(self) -> bool:
        newest = self._newest
        if newest is None or not newest.unknown or self._reports is not None:
            return False
        return self._clock.now() - newest.at >= HEALTH_RECHECK_AFTER

    async def _collect(self) -> WatchdogReport:
        unknown: dict[str, str] = {}

        async def known(name: str, read: Callable[[], Awaitable[T]]) -> T | None:
            """Return the answer, or None with the reason in `unknown`."""
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    return await read()
            except (StoreError, DispatchError) as error:
                unknown[name] = str(error)
            except TimeoutError:
                unknown[name] = f"no answer within {PROBE_TIMEOUT:g} s"
            return None

        # Alone: the other parts would slow down the answer that is measured.
        store_ms = await known("store", self._time_of_store)
        last_tick, jobs, queue, runs, letters = await asyncio.gather(
            known("ticks", self._last_tick),
            known(JOBS_PART, partial(self._jobs.check_jobs, self._max_reads)),
            known(QUEUE_PART, self._queue.read_depth),
            known("runs", partial(count_open_runs, self._store)),
            known("dead letters", partial(count_dead_letters, self._store)),
        )
        places, cpu = self._places(), self._read_cpu()
        return WatchdogReport(self._clock.now(), last_tick, jobs, queue, runs, letters, store_ms, places, unknown, cpu)

    async def _time_of_store(self) -> float:
        began = self._clock.monotonic()
        await self._store.ping()
        return round((self._clock.monotonic() - began) * 1000, 3)

    async def _store_report(self, report: WatchdogReport) -> None:
        if self._reports is None:
            return
        try:
            await self._reports.save(self._json.dump_json(report).decode())
        except StoreError as error:
            _log.warning("could not store the watchdog's report: %s; the next one replaces it", error)

    async def _read_stored(self, reports: WatchdogReports) -> WatchdogReport | None:
        text = await reports.load()
        try:
            return None if text is None else self._json.validate_json(text)
        except ValidationError:
            return None  # another version wrote it; the next report replaces it

    @cached_property
    def _json(self) -> TypeAdapter[WatchdogReport]:
        return TypeAdapter(WatchdogReport)

    async def _publish(self, report: WatchdogReport) -> None:
        now = self._clock.monotonic()
        # Two reports are never exactly a minute apart.
        if now - self._gauges_published_at >= GAUGE_INTERVAL - 1:
            self._gauges_published_at = now
            self._listener.gauges(read_gauges(report))
            await self._publish_others()
        for part in self._with_store_advice(known_health_parts(report)):
            self._publish_change(part)

    def _with_store_advice(self, parts: Sequence[PartHealth]) -> Sequence[PartHealth]:
        """Replace the message about the queue while the store accepts no claims: then tickets wait for the store."""
        if self._failures is None or self._failures.recent_error is None:
            return parts
        return [
            replace(part, message=STORE_UNAVAILABLE_MESSAGE)
            if part.name == QUEUE_PART and part.status is not HealthStatus.OK
            else part
            for part in parts
        ]

    def _publish_change(self, part: PartHealth) -> None:
        """Publish a part only when it changes between degraded and well, so that a long problem is logged once."""
        if part.status is HealthStatus.OK:
            if part.name in self._unwell:
                self._unwell.discard(part.name)
                self._listener.watchdog(part.name, f"{part.name}: well again", well=True)
        elif part.name not in self._unwell:
            self._unwell.add(part.name)
            self._listener.watchdog(part.name, f"{part.name}: {part.message}", well=False)
