"""Builds the reader of objectives. Called by scheduler.app."""

from __future__ import annotations

from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog
from scheduler.features.statistics.uptime import DowntimeReader
from scheduler.queries.alerting.exclusions import ExclusionReader
from scheduler.queries.objectives.measuring import ObjectiveMeasurer
from scheduler.queries.objectives.reader import ObjectiveReader
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs


def build_objective_reader(
    catalog: Catalog,
    runs: Runs,
    stored: Repositories,
    downtimes: DowntimeReader,
    clock: Clock,
    rollup_age: float,
    run_age: float,
) -> ObjectiveReader:
    """`rollup_age`, `run_age`: retention in seconds."""
    exclusions = ExclusionReader(catalog, stored.incident_log, stored.requested_windows)
    measurer = ObjectiveMeasurer(catalog, runs, downtimes, exclusions)
    return ObjectiveReader(catalog, runs, measurer, clock, rollup_age, run_age)
