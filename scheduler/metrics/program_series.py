"""The series of the whole program and of objectives.

A page reads at most MAX_REFRESHED objectives again, the oldest values first: with more, values are older.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.definition.job_alerts import NamedObjective
from jobs.formats import format_duration
from jobs.objectives import SliCounts, error_ratio_of
from observability.names import series
from observability.names.metrics import MetricSeries
from scheduler.catalog.catalog import Catalog
from scheduler.features.objectives.queries import ObjectiveCounters, ObjectiveReader, ObjectiveState
from scheduler.metrics.families import Family, SeriesSelection, write_samples
from scheduler.metrics.job_facts import JobStateReader
from scheduler.stores.alerting.outbox import OutboxRows, UndeliveredRows
from scheduler.watchdog import Watchdog
from scheduler.watchdog.report import read_gauges

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


MAX_REFRESHED = 50
VALUES_AGE = timedelta(seconds=10)

_Samples = list[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """`counters`: None for an objective that counts time."""

    state: ObjectiveState
    counters: SliCounts | None


class ObjectiveSource:
    """Follows the source of jobs: the objective of a job without series has none either."""

    def __init__(self, selection: SeriesSelection, reader: ObjectiveReader, counters: ObjectiveCounters) -> None:
        self._selection = selection
        self._reader = reader
        self._counters = counters
        self._measured: dict[str, _Measured] = {}

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource. A caller that is limited gets the objectives of single jobs."""
        jobs = self._selection.jobs
        objectives = [each for each in self._reader.list_objectives() if not each.job or each.job in jobs]
        await self._refresh(objectives, now)
        seen = (each for each in objectives if not is_limited or _is_shown(each, catalog))
        return _make_families(self._measured[each.name] for each in seen if each.name in self._measured)

    async def _refresh(self, objectives: Sequence[NamedObjective], now: datetime) -> None:
        known = {each.name: each for each in objectives}
        self._counters.retain_only(set(known))
        self._measured = {
            name: each for name, each in self._measured.items() if known.get(name) == each.state.objective
        }
        for objective in sorted(objectives, key=self._last_read)[:MAX_REFRESHED]:
            measured = self._measured.get(objective.name)
            if measured is None or not timedelta() <= now - measured.state.until < VALUES_AGE:
                counts_runs = objective.definition.counts == "runs"
                self._measured[objective.name] = _Measured(
                    await self._reader.read_objective(objective),
                    await self._counters.read(objective, now) if counts_runs else None,
                )

    def _last_read(self, objective: NamedObjective) -> float:
        measured = self._measured.get(objective.name)
        return 0.0 if measured is None else measured.state.until.timestamp()


def _is_shown(objective: NamedObjective, catalog: Catalog) -> bool:
    return bool(objective.job) and objective.job in catalog and not catalog.has_hidden_past(objective.job)


def _make_families(measured: Iterable[_Measured]) -> Sequence[Family]:
    found: dict[MetricSeries, _Samples] = {}
    for each in measured:
        state, counters = each.state, each.counters
        labels = {"slo": state.objective.name, series.JOB_NAME: state.objective.job}
        target = round(1 - error_ratio_of(state.budget.target), 9)
        found.setdefault(series.SLO_TARGET, []).append((labels, target))
        if counters is not None:
            found.setdefault(series.SLO_VALID_RUNS, []).append((labels, counters.valid))
            found.setdefault(series.SLO_BAD_RUNS, []).append((labels, counters.bad))
        if state.budget.remaining_ratio is not None:
            found.setdefault(series.SLO_REMAINING, []).append((labels, state.budget.remaining_ratio))
        for window, rate in state.burn_rates.items():
            if rate is not None:
                named = {**labels, "window": format_duration(window.total_seconds())}
                found.setdefault(series.SLO_BURN_RATE, []).append((named, rate))
    return [Family(each, write_samples(each, samples)) for each, samples in found.items()]
