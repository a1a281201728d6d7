"""Builds the worker with its runner and its gates. Called by building."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.checks.body_memory import BodyMemory
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.retry_budget import RetryBudget
from jobs.running.runner import Runner
from jobs.runs.events import NullListener
from scheduler.app.health_probes import circuits_probe
from scheduler.changes.tracking import HealthTracker
from scheduler.gates import Gates, RemoteRuns, SlotLeases, gates_in_order
from scheduler.stores.slots.repository import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.concurrency.places import Shares
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies

if TYPE_CHECKING:
    from scheduler.app.program import Program


def build_worker(program: Program) -> Worker:
    settings, clock = program.settings, program.clock
    going = RunRegistry(program.repositories.cancellations, clock)
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
            registry=going,
            gates=_build_gates(program, going),
            dead_letters=program.repositories.dead_letters,
            follow_up=program.follow_up,
            states=program.states,
            alerts=program.alerting.evaluator,
            health=HealthTracker(program.repositories.health_histories, clock),
            options=program.profile.worker_options,
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


def _build_gates(program: Program, going: RunRegistry) -> Gates:
    runs, store, clock = program.runs, program.store, program.clock
    slots = SlotLeases(Slots(store, program.owner), clock)
    elsewhere = (
        None if program.profile.is_only_worker else RemoteRuns(runs, slots, program.repositories.cancellations, clock)
    )
    gates = gates_in_order(
        clock=clock,
        pauses=program.pauses,
        runs=runs,
        cancel_local=going.cancel,
        slots=slots,
        remote=elsewhere,
        max_running=program.settings.max_running,
    )
    gates.on_waited = program.telemetry.metrics.run_waited
    return gates
