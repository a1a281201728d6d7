"""Builds the worker with its runner and its gates, and the operations: what people and programs may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.checks.body_memory import BodyMemory
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.retry_budget import RetryBudget
from jobs.running.runner import Runner
from jobs.running.starvation import CpuFiles
from jobs.runs.events import NullListener
from scheduler.app.check_setup import USER_AGENT
from scheduler.app.health_probes import circuits_probe, heartbeats_probe
from scheduler.changes.tracking import HealthTracker
from scheduler.features.access.service import ApiKeyManager, SessionManager
from scheduler.features.changes.markers import DeploymentMarking
from scheduler.features.channels.service import ChannelTester, UndeliveredManager
from scheduler.features.circuits.service import CircuitControl
from scheduler.features.dead_letters.service import DeadLetterReplayer
from scheduler.features.heartbeats.service import PingReceiver
from scheduler.features.incidents.service import IncidentManager
from scheduler.features.jobs.service import Backfiller, DefinitionTester, JobPauser
from scheduler.features.runs.service import RunCanceller, RunStarter
from scheduler.features.secrets.service import SecretRefresher
from scheduler.features.stored_jobs.service import StoredJobEditor
from scheduler.features.stored_jobs.sets import JobSetApplier
from scheduler.features.suppressions.service import SilenceManager, WindowManager
from scheduler.gates import Gates, RemoteRuns, SlotLeases, gates_in_order
from scheduler.operations import Operations
from scheduler.processes.messages import Setup
from scheduler.processes.pool import ProcessPool, find_examples, limit_of
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.places import Shares
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies

if TYPE_CHECKING:
    from scheduler.app.program import Program


def build_worker(program: Program) -> Worker:
    settings, clock = program.settings, program.clock
    registry = RunRegistry(program.repositories.cancellations, clock)
    return Worker(
        WorkerDependencies(
            program.catalog,
            program.runs,
            _build_runner(program),
            program.listener,
            clock,
            owner=program.owner,
            concurrency=settings.concurrency,
            shares=Shares(settings.shares.job, settings.shares.host),
            registry=registry,
            gates=_build_gates(program, registry),
            dead_letters=program.repositories.dead_letters,
            follow_up=program.follow_up,
            states=program.states,
            alerts=program.alerting.evaluator,
            health=HealthTracker(program.repositories.health_histories, clock, program.redactor.redact),
            options=program.profile.find_worker_options(settings),
            on_submitted=program.activity.mark_submitted,
            on_started=program.activity.mark_started,
        )
    )


def _build_runner(program: Program) -> Runner:
    setup = program.check_setup
    circuits = CircuitBreakers(program.repositories.circuits)
    circuits.on_change = program.telemetry.metrics.circuit_changed
    program.health.add_probe("circuits", circuits_probe(circuits, program.clock))
    limits = program.settings.retry_budget
    budget = RetryBudget(limits.per_minute, limits.share)
    budget.on_denied = program.telemetry.metrics.retry_denied
    cpu_files = None
    if isinstance(program.clock, SystemClock):  # on another clock, the lack of CPU has another time
        cpu_files = CpuFiles()
        program.stack.callback(cpu_files.close)
    return Runner(
        setup.checks,
        circuits,
        program.listener,
        program.clock,
        program.redactor,
        budget=budget,
        bodies=BodyMemory(program.settings.targets.body_memory),
        prepare=setup.prepare_for_run(),
        judges=setup.judges,
        self_checks=program.self_checks,
        executor=program.process_pool,
        cpu_files=cpu_files,
    )


def build_process_pool(program: Program) -> ProcessPool | None:
    """Return the further processes, which make attempts; None: the program has only one."""
    limit = limit_of(program.profile.processes(program.settings))
    if limit == 1:
        return None
    setup, settings = program.check_setup, program.settings
    return ProcessPool(
        limit - 1,
        Setup(
            setup.guard,
            setup.bindings,
            setup.ca_files,
            user_agent=USER_AGENT,
            traces=settings.targets.traceparent,
            publishes_spans=settings.telemetry.spans != "none",
            body_memory=settings.targets.body_memory // (limit - 1),
            examples=find_examples(entry.job for entry in program.catalog),
            outbound=setup.outbound,
        ),
        setup.secrets,
        program.identity,
        program.redactor.redact,
        starts_on_load=program.profile.processes(settings) == "auto",
    )


def build_test_runner(program: Program) -> Runner:
    """Return a runner that publishes nothing and has its own retry budget."""
    setup = program.check_setup
    return Runner(
        setup.checks,
        CircuitBreakers(program.repositories.circuits),
        NullListener(),
        program.clock,
        program.redactor,
        bodies=BodyMemory(program.settings.targets.body_memory),
        prepare=lambda target: setup.checks.prepare((target,)),
        judges=setup.judges,
    )


def _build_gates(program: Program, registry: RunRegistry) -> Gates:
    runs, store, clock = program.runs, program.store, program.clock
    slots = SlotLeases(Slots(store, program.owner), clock)
    remote = None if program.is_only_worker else RemoteRuns(runs, slots, program.repositories.cancellations, clock)
    gates = gates_in_order(
        clock=clock,
        pauses=program.pauses,
        runs=runs,
        cancel_local=registry.cancel,
        slots=slots,
        remote=remote,
        max_running=program.settings.max_running,
    )
    gates.on_waited = program.telemetry.metrics.run_waited
    return gates


def build_operations(program: Program) -> Operations:
    catalog, runs, clock, audit = program.catalog, program.runs, program.clock, program.audit
    stored, worker, dispatch, alerting = program.repositories, program.worker, program.dispatch, program.alerting
    setup, committer = program.check_setup, program.stored_job_parts.committer
    request_pass, requested = alerting.runner.request_pass, program.telemetry.run_requested
    running = RunStarter(catalog, runs, dispatch, clock, audit, setup.prepare_for_run(), requested, worker.end_of)
    return Operations(
        runs=running,
        pauses=JobPauser(catalog, program.pauses, clock, audit, program.states),
        cancellations=RunCanceller(
            catalog, runs, running, stored.cancellations, worker.cancel, worker.publisher, clock, audit
        ),
        dead_letters=DeadLetterReplayer(catalog, stored.dead_letters, runs, dispatch, clock, audit),
        backfills=Backfiller(catalog, runs, stored.schedule_activations, dispatch, clock, audit),
        circuits=CircuitControl(program.circuits, stored.circuits, clock, audit),
        secrets=SecretRefresher(program.secret_monitor, audit),
        definition_tests=DefinitionTester(build_test_runner(program), clock, audit, catalog, runs, setup.bindings),
        pings=_build_ping_receiver(program, running),
        api_keys=ApiKeyManager(stored.api_keys, audit, clock),
        sessions=SessionManager(stored.sessions, audit, clock),
        stored_jobs=StoredJobEditor(stored.stored_jobs, committer),
        job_sets=JobSetApplier(committer, clock, program.definition_reviewer.review_stored),
        incidents=IncidentManager(catalog, stored.incident_log, alerting.changes, clock, audit),
        silences=SilenceManager(catalog, stored.silences, clock, audit, request_pass),
        windows=WindowManager(catalog, stored.requested_windows, clock, audit, request_pass),
        undelivered=UndeliveredManager(program.channels, stored.undelivered, clock, audit, alerting.notified.add),
        channel_tests=ChannelTester(catalog, stored.incident_log, alerting.channel_tester, audit),
        markers=DeploymentMarking(catalog, stored.markers, clock, audit),
    )


def _build_ping_receiver(program: Program, running: RunStarter) -> PingReceiver:
    setup, heartbeats = program.check_setup, program.repositories.heartbeats
    receiver = PingReceiver(
        program.catalog,
        setup.secrets,
        heartbeats,
        program.heartbeat_reader,
        program.pauses,
        running,
        program.redactor,
        program.clock,
        setup.bindings,
    )
    program.health.add_probe("heartbeats", heartbeats_probe(receiver))
    return receiver
