"""Opens the parts of the program that every process has, in order, and closes them in reverse.

Each host adds the parts that only it has: see scheduler.hosts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from config.loading import Configuration
from jobs.ports import Clock
from jobs.running.clocks import SystemClock
from jobs.runs.events import ListenerGroup, RunListener
from scheduler.alerting.alerting import Alerting
from scheduler.app.alerting.operations import build_alerting_operations, build_alerting_queries
from scheduler.app.alerting_setup import build_alerting, build_self_checks
from scheduler.app.authentication_setup import build_authentication
from scheduler.app.check_setup import CheckSetup, build_heartbeat_reader
from scheduler.app.definitions.review import ProgramDefinitionReviewer
from scheduler.app.early_telemetry import EarlyTelemetry
from scheduler.app.foundation import Foundation, open_foundation
from scheduler.app.health_probes import heartbeats_probe, secrets_probe
from scheduler.app.profile import HostProfile
from scheduler.app.program import Program
from scheduler.app.watch_setup import build_change_announcer, build_metrics_page, build_self_watch, build_watchdog
from scheduler.app.worker_setup import build_test_runner, build_worker
from scheduler.audit.upkeep import AuditUpkeep
from scheduler.changes.upkeep import StateUpkeep
from scheduler.dependencies.port import DeferredFollowUp, FollowUp
from scheduler.dependencies.trigger import DependencyTrigger
from scheduler.dispatch.port import Dispatch
from scheduler.operations import Operations
from scheduler.operations.api_keys import ApiKeyManager
from scheduler.operations.backfills import Backfiller
from scheduler.operations.cancellations import RunCanceller
from scheduler.operations.circuits import CircuitControl
from scheduler.operations.dead_letters import DeadLetterReplayer
from scheduler.operations.definition_tests import DefinitionTester
from scheduler.operations.markers import DeploymentMarking
from scheduler.operations.pauses import JobPauser
from scheduler.operations.pings import PingReceiver
from scheduler.operations.runs import RunStarter
from scheduler.operations.secrets import SecretRefresher
from scheduler.operations.stored_jobs.editing import StoredJobEditor
from scheduler.operations.stored_jobs.sets import JobSetApplier
from scheduler.queries.audit import AuditQueries
from scheduler.queries.changes import ChangeQueries
from scheduler.queries.circuits import CircuitQueries
from scheduler.queries.heartbeat_reader import HeartbeatReader
from scheduler.queries.heartbeats import HeartbeatQueries
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.queries.statistics.reader import StatsReader
from scheduler.queries.uptime import UptimeReader
from scheduler.rate_limits.limiter import RateLimits
from scheduler.rate_limits.quota import RateLimitRules
from scheduler.secrets.monitor import SecretMonitor
from scheduler.watchdog import Watchdog
from scheduler.worker.worker import Worker


@asynccontextmanager
async def open_program(
    configuration: Configuration,
    profile: HostProfile,
    *,
    clock: Clock | None = None,
    listener: RunListener | None = None,
    telemetry: EarlyTelemetry | None = None,
) -> AsyncIterator[Program]:
    """Open every part in order; leaving closes them in reverse. `listener` hears of runs, in addition to telemetry.

    `telemetry`: what the host has started before; it stays open. Without it the program opens and closes its own.

    Raises:
        StoreError, DispatchError: state or queue cannot be opened; the message names what to check.
    """
    async with AsyncExitStack() as stack:
        foundation = await open_foundation(configuration, profile, clock or SystemClock(), stack, telemetry)
        yield await _build_program(foundation, listener)


async def _build_program(foundation: Foundation, listener: RunListener | None) -> Program:
    catalog, clock, telemetry = foundation.catalog, foundation.clock, foundation.telemetry
    listener_group: RunListener = telemetry if listener is None else ListenerGroup(telemetry, listener)
    beats = build_heartbeat_reader(foundation)
    setup = CheckSetup(foundation, beats)
    secret_watch = _build_secret_monitor(foundation, setup)
    # What follows from a run goes back to the worker that has performed it, which is made below.
    dispatch, depths = await foundation.profile.open_queue(foundation, lambda ticket: worker.submit(ticket))
    self_checks = build_self_checks(foundation, setup)
    alerting = build_alerting(foundation, setup, self_checks, secret_watch)
    follow_up = _build_follow_up(foundation, dispatch, listener_group)
    worker = build_worker(foundation, setup, listener_group, follow_up, alerting.evaluator, self_checks)
    board = CircuitQueries(catalog, foundation.repositories.circuits, clock)
    operations = _build_operations(foundation, setup, worker, dispatch, secret_watch, board, beats, alerting)
    watchdog = build_watchdog(foundation, depths, worker, alerting)
    parts = _Parts(setup, dispatch, worker, operations, watchdog, secret_watch, board, beats, alerting)
    return _assemble_program(foundation, parts)


class _Parts(NamedTuple):
    """What is built above the foundation, each part of those before it."""

    setup: CheckSetup
    dispatch: Dispatch
    worker: Worker
    operations: Operations
    watchdog: Watchdog
    secret_monitor: SecretMonitor
    circuits: CircuitQueries
    beats: HeartbeatReader
    alerting: Alerting


def _assemble_program(foundation: Foundation, parts: _Parts) -> Program:
    catalog, clock, runs, pauses = foundation.catalog, foundation.clock, foundation.runs, foundation.pauses
    stored, ages = foundation.repositories, (foundation.settings.rollups.age, foundation.settings.retention.age)
    return Program(
        settings=foundation.settings,
        catalog=catalog,
        clock=clock,
        identity=foundation.identity,
        store=foundation.store,
        owner=foundation.owner,
        runs=runs,
        cursors=stored.cursors,
        schedule_activations=stored.schedule_activations,
        pauses=pauses,
        dead_letters=stored.dead_letters,
        check_setup=parts.setup,
        dispatch=parts.dispatch,
        worker=parts.worker,
        audit=foundation.audit,
        audit_queries=AuditQueries(catalog, stored.audit_log),
        audit_upkeep=_build_audit_upkeep(foundation),
        changes=stored.changes,
        change_queries=ChangeQueries(catalog, stored.changes, stored.health_histories),
        state_upkeep=_build_state_upkeep(foundation),
        change_announcer=build_change_announcer(foundation),
        operations=parts.operations,
        queries=JobAndRunQueries(catalog, runs, pauses, stored.dead_letters, clock, foundation.states.states_of),
        health=foundation.health,
        watchdog=parts.watchdog,
        metrics=build_metrics_page(foundation, parts.circuits, parts.watchdog),
        secret_monitor=parts.secret_monitor,
        circuits=parts.circuits,
        alerting=parts.alerting,
        alerting_queries=build_alerting_queries(foundation, parts.alerting),
        definitions=_build_definition_reviewer(foundation, parts.setup),
        stored_jobs=foundation.stored_jobs,
        heartbeats=HeartbeatQueries(catalog, stored.heartbeats, parts.beats, pauses, clock),
        uptimes=UptimeReader(catalog, runs, clock, *ages),
        stats=StatsReader(catalog, runs, clock, *ages),
        rate_limits=_build_rate_limits(foundation),
        idempotency=stored.idempotency,
        telemetry=foundation.telemetry,
        authentication=build_authentication(foundation),
        self_watch=build_self_watch(foundation, parts.setup),
    )


def _build_rate_limits(foundation: Foundation) -> RateLimits:
    """SQLite has one process, which counts in memory. Processes that share a store count in it."""
    settings = foundation.settings
    rules = RateLimitRules(**settings.rate_limits.model_dump())
    return RateLimits(rules, foundation.clock, foundation.store if settings.uses_azure_storage else None)


def _build_state_upkeep(foundation: Foundation) -> StateUpkeep:
    is_complete = not foundation.configuration.problems
    return StateUpkeep(
        foundation.catalog, foundation.pauses, foundation.states, foundation.clock, is_complete=is_complete
    )


def _build_definition_reviewer(foundation: Foundation, setup: CheckSetup) -> ProgramDefinitionReviewer:
    default_schedule = foundation.settings.default_schedule
    return ProgramDefinitionReviewer(setup.secrets, setup.guard, setup.bindings, default_schedule)


def _build_secret_monitor(foundation: Foundation, setup: CheckSetup) -> SecretMonitor:
    monitor = SecretMonitor(
        foundation.store, setup.secrets, foundation.catalog, foundation.telemetry, foundation.clock, setup.bindings
    )
    foundation.health.add_probe("secrets", secrets_probe(setup.secrets, foundation.identity, monitor))
    return monitor


def _build_follow_up(foundation: Foundation, dispatch: Dispatch, listener_group: RunListener) -> FollowUp:
    """Without all jobs it is unknown which of them depend on a run."""
    if foundation.configuration.problems:
        return DeferredFollowUp()
    stored = foundation.catalog, foundation.runs, foundation.pauses
    return DependencyTrigger(*stored, dispatch, listener_group, foundation.clock, foundation.states.record_run)


def _build_operations(
    foundation: Foundation,
    setup: CheckSetup,
    worker: Worker,
    dispatch: Dispatch,
    secret_watch: SecretMonitor,
    board: CircuitQueries,
    beats: HeartbeatReader,
    alerting: Alerting,
) -> Operations:
    catalog, clock, runs, audit = foundation.catalog, foundation.clock, foundation.runs, foundation.audit
    pauses, repositories = foundation.pauses, foundation.repositories
    requested = foundation.telemetry.run_requested
    running = RunStarter(catalog, runs, dispatch, clock, audit, setup.prepare_for_run(), requested, worker.end_of)
    secrets, bindings = setup.secrets, setup.bindings
    pinging = PingReceiver(
        catalog, secrets, repositories.heartbeats, beats, pauses, running, foundation.redactor, clock, bindings
    )
    foundation.health.add_probe("heartbeats", heartbeats_probe(pinging))
    return Operations(
        runs=running,
        pauses=JobPauser(catalog, pauses, clock, audit, foundation.states),
        cancellations=RunCanceller(
            catalog, runs, running, repositories.cancellations, worker.cancel, worker.publisher, clock, audit
        ),
        dead_letters=DeadLetterReplayer(catalog, repositories.dead_letters, runs, dispatch, clock, audit),
        backfills=Backfiller(catalog, runs, repositories.schedule_activations, dispatch, clock, audit),
        circuits=CircuitControl(board, repositories.circuits, clock, audit),
        secrets=SecretRefresher(secret_watch, audit),
        definition_tests=DefinitionTester(build_test_runner(foundation, setup), clock, audit, catalog, runs, bindings),
        pings=pinging,
        stored_jobs=StoredJobEditor(repositories.stored_jobs, foundation.stored_jobs.committer),
        job_sets=JobSetApplier(
            foundation.stored_jobs.committer, clock, _build_definition_reviewer(foundation, setup).review_stored
        ),
        api_keys=ApiKeyManager(foundation.repositories.api_keys, foundation.audit, clock),
        markers=DeploymentMarking(catalog, repositories.markers, clock, audit),
        **build_alerting_operations(foundation, alerting),
    )


def _build_audit_upkeep(foundation: Foundation) -> AuditUpkeep:
    return AuditUpkeep(
        foundation.audit,
        foundation.repositories.audit_log,
        foundation.repositories.cursors,
        foundation.clock,
        foundation.telemetry.audit_head,
        foundation.settings.audit.age,
    )
