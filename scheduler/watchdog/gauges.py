"""The gauges of the watchdog, and those of alerting, rollups and running, once a minute.

The exporters and the table of docs/telemetry.md follow from the list of names, meanings and units. Those of the store
are the same in every process; circuits and the retry budget are those of the process that measures.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from jobs.ports import Clock
from jobs.running.runner import RunnerLoad
from scheduler.catalog.catalog import Catalog
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs
from scheduler.watchdog.report import Lateness, WatchdogReport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WatchdogGauge:
    """`unit`: `ms`, `s`, or empty for a count. `read` returns None if the report has no value."""

    name: str
    description: str
    unit: str
    read: Callable[[WatchdogReport], float | None]


def read_gauges(report: WatchdogReport) -> Sequence[tuple[WatchdogGauge, float]]:
    """Return the gauges that have a value in the report."""
    values = ((gauge, gauge.read(report)) for gauge in WATCHDOG_GAUGES)
    return [(gauge, float(value)) for gauge, value in values if value is not None]


def _read(part: T | None, read: Callable[[T], float | None]) -> float | None:
    return None if part is None else read(part)


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())


WATCHDOG_GAUGES = (
    WatchdogGauge("tick_gap", "Time since the last tick.", "s", lambda report: _seconds(report.last_tick, report.at)),
    WatchdogGauge(
        "late_jobs",
        "Jobs with a due instant that passed without a run.",
        "",
        lambda report: _read(report.jobs, lambda jobs: len(jobs.with_lateness(Lateness.LATE))),
    ),
    WatchdogGauge(
        "silent_jobs",
        "Jobs without a run for twice their interval.",
        "",
        lambda report: _read(report.jobs, lambda jobs: len(jobs.with_lateness(Lateness.SILENT))),
    ),
    WatchdogGauge(
        "queue_depth",
        "Tickets (embedded) or messages (Functions) that wait.",
        "",
        lambda report: _read(report.queue, lambda queue: queue.waiting_count),
    ),
    WatchdogGauge(
        "queue_age",
        "Time for which the oldest executable one has been waiting.",
        "s",
        lambda report: _read(report.queue, lambda queue: queue.oldest_s or 0.0),
    ),
    WatchdogGauge(
        "poison_depth",
        "Messages in the poison queue that are not dead letters yet.",
        "",
        lambda report: _read(report.queue, lambda queue: queue.poison_count),
    ),
    WatchdogGauge("dead_letters", "Stored dead letters.", "", lambda report: report.dead_letters),
    WatchdogGauge(
        "open_runs",
        "Queued and running runs.",
        "",
        lambda report: _read(report.open_runs, lambda runs: runs.count),
    ),
    WatchdogGauge(
        "oldest_run",
        "Time since the due instant of the oldest of them.",
        "s",
        lambda report: _read(report.open_runs, lambda runs: _seconds(runs.oldest_due_at, report.at) or 0.0),
    ),
    WatchdogGauge("store_time", "Duration of one write to the store.", "ms", lambda report: report.store_ms),
    WatchdogGauge(
        "places_used",
        "Slots of `concurrency` in use, in the process that measures.",
        "",
        lambda report: _read(report.places, lambda places: places.used),
    ),
    WatchdogGauge(
        "places_full",
        "Time without a free slot.",
        "s",
        lambda report: _read(report.places, lambda places: places.full_s),
    ),
)


_log = logging.getLogger("scheduler.watchdog")

_READ_TIMEOUT = 5.0
"""Seconds: a tick must not wait much longer."""


class ProgramGaugeListener(Protocol):
    """Telemetry as this module uses it; all methods return at once."""

    def process_gauges(self, *, open_circuits: int, retry_budget_use: float) -> None: ...

    def open_incidents(self, by_severity: Mapping[str, int]) -> None: ...

    def pending_notifications(self, by_channel_kind: Mapping[str, int]) -> None: ...

    def rollup_lag(self, seconds: float) -> None: ...


class ProgramGauges:
    """`open_incidents`: returns the open incidents by severity; None: not known yet."""

    def __init__(
        self,
        listener: ProgramGaugeListener,
        read_load: Callable[[], RunnerLoad],
        open_incidents: Callable[[], Mapping[str, int] | None],
        outbox: OutboxRows,
        runs: Runs,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._listener = listener
        self._read_load = read_load
        self._open_incidents = open_incidents
        self._outbox = outbox
        self._runs = runs
        self._catalog = catalog
        self._clock = clock

    async def publish(self) -> None:
        """Publish what can be read now. Raises nothing of the store: the next minute has another value."""
        load = self._read_load()
        self._listener.process_gauges(open_circuits=load.open_circuits, retry_budget_use=load.retry_budget_use)
        if (incidents := self._open_incidents()) is not None:
            # A severity without incidents has the value 0, so that a chart shows that the last one was resolved.
            known = dict.fromkeys(self._catalog.snapshot.alerting.severities, 0)
            self._listener.open_incidents({**known, **incidents})
        try:
            async with asyncio.timeout(_READ_TIMEOUT):
                self._listener.pending_notifications(await self._count_pending())
                lag = await self._runs.find_rollup_lag(self._clock.now())
                self._listener.rollup_lag(lag.total_seconds())
        except (StoreError, TimeoutError) as error:
            _log.debug("could not read gauges: %s; the next minute repeats it", error)

    async def _count_pending(self) -> Mapping[str, int]:
        channels = self._catalog.snapshot.alerting.channels
        pending = Counter(dict.fromkeys((channel.kind for channel in channels.values()), 0))
        for name, number in (await self._outbox.count_waiting()).items():
            pending[channels[name].kind if name in channels else UNDEFINED_CHANNEL_KIND] += number
        return pending


UNDEFINED_CHANNEL_KIND = "undefined"
"""The kind of a channel that the definitions in force do not have."""
