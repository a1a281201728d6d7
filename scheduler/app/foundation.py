"""The parts that all others are built on: log, telemetry, identity, store and the jobs in force. Opened by building."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

from config.identity import AppIdentity
from config.loading import Configuration
from config.settings.model import Settings
from jobs.policies.telemetry import TelemetryPolicy
from jobs.ports import Clock
from jobs.redaction import Redactor
from observability.building import build_telemetry
from observability.logs.setup import configure_logging
from observability.telemetry import Telemetry
from scheduler.app.adapters import describe_store_location, find_file_check, open_store
from scheduler.app.definitions.stored_jobs import StoredJobParts, open_stored_jobs
from scheduler.app.early_telemetry import EarlyTelemetry
from scheduler.app.health_probes import configuration_probe, store_probe, telemetry_probe
from scheduler.app.profile import HostProfile
from scheduler.app.reporting.own_reports import build_own_reports
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.composition import build_snapshot
from scheduler.changes.tracker import StateTracker
from scheduler.health.report import Health
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import RowNames, Runs
from scheduler.version import VERSION
from scheduler.watchdog import RunActivity, StoreFailures, TrackedRuns

TELEMETRY_CLOSE_TIMEOUT = 1.0
"""Seconds for the last telemetry to leave at the end."""


@dataclass(frozen=True, slots=True)
class Foundation:
    profile: HostProfile
    configuration: Configuration
    settings: Settings
    """With the program's version, unless the configuration has another one."""
    stack: AsyncExitStack
    """Closes in reverse whatever is pushed on it."""
    clock: Clock
    redactor: Redactor
    health: Health
    telemetry: Telemetry
    catalog: Catalog
    stored_jobs: StoredJobParts
    identity: AppIdentity
    store: Store
    trouble: StoreFailures
    activity: RunActivity
    owner: str
    """Marks the claims of this process, and of no other one that has the same pid on another day or host."""
    repositories: Repositories
    runs: Runs
    pauses: Pauses
    states: StateTracker
    audit: StoredAuditTrail


async def open_foundation(
    configuration: Configuration,
    profile: HostProfile,
    clock: Clock,
    stack: AsyncExitStack,
    started: EarlyTelemetry | None,
) -> Foundation:
    """Open the parts; the stack closes them. `started`: telemetry of the host, which stays open. Raises StoreError."""
    settings = with_version(configuration.settings)
    redactor = Redactor() if started is None else started.redactor
    open_log(profile, settings, redactor, stack)
    catalog, health = Catalog(build_snapshot(configuration.jobs, clock.now())), Health()
    telemetry = _open_telemetry(settings, redactor, stack) if started is None else started.telemetry
    _watch_telemetry(telemetry, catalog, health, configuration, redactor)
    identity = AppIdentity(settings, clock=clock)
    stack.push_async_callback(identity.aclose)
    trouble, activity, owner = StoreFailures(clock.monotonic), RunActivity(clock), _name_process()
    store = await _open_store(settings, profile, identity, stack, health, trouble)
    runs = TrackedRuns(store, activity, failures=trouble, names=_name_rows(profile, settings, owner))
    repositories, pauses = Repositories(store), Pauses(store, clock.monotonic)
    audit = StoredAuditTrail(repositories.audit_log, clock, redactor)
    return Foundation(
        profile=profile,
        configuration=configuration,
        settings=settings,
        stack=stack,
        clock=clock,
        redactor=redactor,
        health=health,
        telemetry=telemetry,
        catalog=catalog,
        identity=identity,
        store=store,
        trouble=trouble,
        activity=activity,
        owner=owner,
        repositories=repositories,
        runs=runs,
        pauses=pauses,
        states=StateTracker(repositories.changes, clock),
        audit=audit,
        stored_jobs=await open_stored_jobs(
            configuration, catalog, repositories, runs, pauses, clock, audit, health, stack
        ),
    )


def _name_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _name_rows(profile: HostProfile, settings: Settings, owner: str) -> RowNames:
    # Any process that shares the queue may get the message of what this one queues.
    return RowNames("" if profile.shares_queue else owner, owner[-6:] if settings.uses_azure_storage else "")


def with_version(settings: Settings) -> Settings:
    """Return the settings with the program's version, unless they have another one."""
    return settings.model_copy(update={"version": settings.version or VERSION})


def open_log(profile: HostProfile, settings: Settings, redactor: Redactor, stack: AsyncExitStack) -> None:
    """Set up logging, before anything logs."""
    log = configure_logging(
        level=profile.log_level(settings),
        format=settings.log.format,
        runs=settings.log.runs,
        redactor=redactor,
        stream=profile.log_stream(),
    )
    stack.push_async_callback(log.aclose)


def _watch_telemetry(
    telemetry: Telemetry, catalog: Catalog, health: Health, configuration: Configuration, redactor: Redactor
) -> None:
    telemetry.use_policies(lambda job: _telemetry_policy(catalog, job))
    health.add_probe("telemetry", telemetry_probe(telemetry))
    health.add_probe("configuration", configuration_probe(configuration.settings))
    health.own_reports = build_own_reports(telemetry, configuration.loaded, redactor)


def _open_telemetry(settings: Settings, redactor: Redactor, stack: AsyncExitStack) -> Telemetry:
    telemetry = build_telemetry(settings, redactor)
    telemetry.start()
    stack.push_async_callback(telemetry.aclose, TELEMETRY_CLOSE_TIMEOUT)
    return telemetry


def _telemetry_policy(catalog: Catalog, job: str) -> TelemetryPolicy | None:
    entry = catalog.find_job(job)
    return None if entry is None else entry.job.telemetry


async def _open_store(
    settings: Settings,
    profile: HostProfile,
    identity: AppIdentity,
    stack: AsyncExitStack,
    health: Health,
    trouble: StoreFailures,
) -> Store:
    store = await open_store(settings, identity, owns_file=profile.owns_store_file)
    stack.push_async_callback(store.aclose)
    check = find_file_check(store)
    damage = (lambda: "") if check is None else lambda: check.damage
    health.add_probe("store", store_probe(store, describe_store_location(settings), trouble, damage))
    return store
