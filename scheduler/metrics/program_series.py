"""The series of the whole program. Sources of scheduler.metrics.sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from observability.names import series
from scheduler.catalog.catalog import Catalog
from scheduler.metrics.families import Family
from scheduler.metrics.job_states import JobStateReader
from scheduler.metrics.selection import SeriesSelection
from scheduler.metrics.text import write_samples
from scheduler.stores.alerting.outbox import OutboxRows, UndeliveredRows
from scheduler.watchdog import Watchdog
from scheduler.watchdog.gauges import read_gauges

_MILLISECONDS = 1000


class BuildSource:
    def __init__(self, version: str) -> None:
        self._families = (Family(series.BUILD_INFO, write_samples(series.BUILD_INFO, [({"version": version}, 1)])),)

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        return self._families


class IncidentSource:
    """Follows the source of jobs, which reads the incidents."""

    def __init__(self, states: JobStateReader) -> None:
        self._states = states

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        engine = self._states.engine
        if is_limited or engine is None:
            return ()
        found = Counter(incident.severity for incident in engine.open)
        samples = [({"severity": severity}, count) for severity, count in sorted(found.items())]
        return (Family(series.INCIDENTS_OPEN, write_samples(series.INCIDENTS_OPEN, samples)),)


class NotificationSource:
    def __init__(self, outbox: OutboxRows, undelivered: UndeliveredRows) -> None:
        self._outbox = outbox
        self._undelivered = undelivered

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        if is_limited:
            return ()
        waiting = sum((await self._outbox.count_waiting()).values())
        given_up = sum((await self._undelivered.count()).values())
        return (
            Family(series.PENDING_NOTIFICATIONS, write_samples(series.PENDING_NOTIFICATIONS, [({}, waiting)])),
            Family(series.UNDELIVERED_NOTIFICATIONS, write_samples(series.UNDELIVERED_NOTIFICATIONS, [({}, given_up)])),
        )


class CircuitSource:
    """Circuits that jobs share. Follows the source of jobs, which reads the circuits of the selected jobs."""

    def __init__(self, selection: SeriesSelection, states: JobStateReader) -> None:
        self._selection = selection
        self._states = states

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        found: dict[str, bool] = {}
        for entry in self._selection.jobs:
            circuit = entry.job.circuit
            if entry.job.name in catalog and circuit is not None and circuit.group is not None:
                found[circuit.group] = self._states.is_circuit_open(entry.job.name)
        samples = [({"circuit": group}, is_open) for group, is_open in sorted(found.items())]
        return (Family(series.CIRCUIT_OPEN, write_samples(series.CIRCUIT_OPEN, samples)),)


class WatchdogSource:
    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        if is_limited:
            return ()
        families = []
        for gauge, value in read_gauges(await self._watchdog.latest_report()):
            of, factor = series.watchdog_series(gauge), _MILLISECONDS if gauge.unit == "ms" else 1
            families.append(Family(of, write_samples(of, [({}, value / factor)])))
        return families
