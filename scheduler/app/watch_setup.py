"""Builds what watches the scheduler itself, and its page of metrics. Used by building."""

from __future__ import annotations

from scheduler.alerting.alerting import Alerting
from scheduler.app.check_setup import CheckSetup
from scheduler.app.foundation import Foundation
from scheduler.changes.announcing import ChangeAnnouncer
from scheduler.dispatch.port import QueueDepthReader
from scheduler.metrics.page import CACHED_SECONDS, MetricsPage
from scheduler.metrics.sources import SourceParts, create_sources
from scheduler.queries.alerting.downtime import DowntimeReader
from scheduler.queries.circuits import CircuitQueries
from scheduler.queries.objectives.building import build_objective_reader
from scheduler.stores.announcements import Announcements
from scheduler.version import VERSION
from scheduler.watchdog import JobWatch, Watchdog
from scheduler.watchdog.program_gauges import ProgramGauges
from scheduler.watchdog.self_watch import SELF_WATCH_PART, SelfWatch
from scheduler.worker.worker import Worker


def build_watchdog(foundation: Foundation, depths: QueueDepthReader, worker: Worker, alerting: Alerting) -> Watchdog:
    jobs = JobWatch(foundation.catalog, foundation.runs, foundation.pauses, foundation.activity, foundation.clock)
    watchdog = Watchdog(
        jobs,
        depths,
        foundation.store,
        foundation.telemetry,
        foundation.clock,
        is_shared=foundation.profile.shares_queue,
        places=worker.place_usage,
        failures=foundation.trouble,
        publish_gauges=_build_program_gauges(foundation, worker, alerting).publish,
    )
    foundation.health.add_probe("watchdog", watchdog.health)
    return watchdog


def _build_program_gauges(foundation: Foundation, worker: Worker, alerting: Alerting) -> ProgramGauges:
    return ProgramGauges(
        foundation.telemetry.metrics,
        worker.runner_load,
        lambda: alerting.runner.open_by_severity,
        foundation.repositories.outbox_rows,
        foundation.runs,
        foundation.catalog,
        foundation.clock,
    )


def build_change_announcer(foundation: Foundation) -> ChangeAnnouncer:
    return ChangeAnnouncer(
        Announcements(foundation.store),
        foundation.repositories.markers,
        foundation.stored_jobs.composer,
        foundation.telemetry.events,
        foundation.clock,
        foundation.settings.version or VERSION,
    )


def build_metrics_page(foundation: Foundation, circuits: CircuitQueries, watchdog: Watchdog) -> MetricsPage:
    settings = foundation.settings
    catalog, stored, clock = foundation.catalog, foundation.repositories, foundation.clock
    downtimes = DowntimeReader(
        catalog, stored.incident_log, stored.changes, stored.requested_windows, clock, settings.alerting.age
    )
    ages = settings.rollups.age, settings.retention.age
    parts = SourceParts(
        catalog=foundation.catalog,
        runs=foundation.runs,
        pauses=foundation.pauses,
        stored=foundation.repositories,
        circuits=circuits,
        watchdog=watchdog,
        states_of=foundation.states.states_of,
        objectives=build_objective_reader(catalog, foundation.runs, stored, downtimes, clock, *ages),
        rollup_age=settings.rollups.age,
        version=settings.version or VERSION,
        tags=settings.prometheus.tags,
        histograms=settings.prometheus.histograms,
        max_jobs=settings.prometheus.max_jobs,
        max_age=CACHED_SECONDS,
    )
    page = MetricsPage(create_sources(parts), foundation.clock, CACHED_SECONDS)
    foundation.stack.push_async_callback(page.aclose)
    return page


def build_self_watch(foundation: Foundation, setup: CheckSetup) -> SelfWatch:
    settings = foundation.settings.self_watch
    url = None if settings.url is None else settings.url.get_secret_value()
    watch = SelfWatch(url, settings.every, lambda: setup.checks["http"], foundation.health.report, foundation.clock)
    if url is not None:
        foundation.redactor.add_permanent(url)
        foundation.health.add_probe(SELF_WATCH_PART, watch.probe)
    return watch
