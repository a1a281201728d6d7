"""Builds what watches the scheduler itself, and its page of metrics. Used by building."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.running.clocks import SystemClock
from scheduler.changes.announcing import ChangeAnnouncer
from scheduler.metrics.page import CACHED_SECONDS, MetricsPage, SourceParts, create_sources
from scheduler.stores.findings import Announcements
from scheduler.version import VERSION
from scheduler.watchdog import JobWatch, Watchdog
from scheduler.watchdog.cpu_watch import CpuWatch
from scheduler.watchdog.program_gauges import ProgramGauges
from scheduler.watchdog.self_watch import SELF_WATCH_PART, SelfWatch

if TYPE_CHECKING:
    from scheduler.app.program import Program


def build_watchdog(program: Program) -> Watchdog:
    clock = program.clock
    jobs = JobWatch(program.catalog, program.runs, program.pauses, program.activity, clock)
    # On another clock, the lack of CPU has another time.
    cpu = CpuWatch(program.worker.read_starvation, clock.monotonic) if isinstance(clock, SystemClock) else None
    watchdog = Watchdog(
        jobs,
        program.queue_depths,
        program.store,
        program.telemetry,
        clock,
        is_shared=program.profile.shares_queue or program.has_replicas,
        places=program.worker.place_usage,
        failures=program.failures,
        publish_gauges=_build_program_gauges(program).publish,
        cpu=cpu,
    )
    program.health.add_probe("watchdog", watchdog.health)
    return watchdog


def _build_program_gauges(program: Program) -> ProgramGauges:
    return ProgramGauges(
        program.telemetry.metrics,
        program.worker.runner_load,
        lambda: program.alerting.runner.open_by_severity,
        program.repositories.outbox_rows,
        program.runs,
        program.catalog,
        program.clock,
    )


def build_change_announcer(program: Program) -> ChangeAnnouncer:
    return ChangeAnnouncer(
        Announcements(program.store),
        program.repositories.markers,
        program.stored_job_parts.composer,
        program.telemetry.events,
        program.clock,
        program.settings.version or VERSION,
    )


def build_metrics_page(program: Program) -> MetricsPage:
    settings = program.settings
    parts = SourceParts(
        catalog=program.catalog,
        runs=program.runs,
        pauses=program.pauses,
        stored=program.repositories,
        circuits=program.circuits,
        watchdog=program.watchdog,
        states_of=program.states.states_of,
        objectives=program.objectives,
        rollup_age=settings.rollups.age,
        version=settings.version or VERSION,
        tags=settings.prometheus.tags,
        histograms=settings.prometheus.histograms,
        max_jobs=settings.prometheus.max_jobs,
        max_age=CACHED_SECONDS,
    )
    page = MetricsPage(create_sources(parts), program.clock, CACHED_SECONDS)
    program.stack.push_async_callback(page.aclose)
    return page


def build_self_watch(program: Program) -> SelfWatch:
    settings = program.settings.self_watch
    url = None if settings.url is None else settings.url.get_secret_value()
    watch = SelfWatch(
        url, settings.every, lambda: program.check_setup.checks["http"], program.health.report, program.clock
    )
    if url is not None:
        program.redactor.add_permanent(url)
        program.health.add_probe(SELF_WATCH_PART, watch.probe)
    return watch
