"""Builds the worker with its runner and its gates. Called by building."""

from __future__ import annotations

from jobs.checks.body_memory import BodyMemory
from jobs.ports import SelfChecks
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.retry_budget import RetryBudget
from jobs.running.runner import Runner
from jobs.runs.events import NullListener, RunListener
from scheduler.app.check_setup import CheckSetup
from scheduler.app.foundation import Foundation
from scheduler.app.health_probes import circuits_probe
from scheduler.changes.health_tracker import HealthTracker
from scheduler.dependencies.port import FollowUp
from scheduler.gates import Gates, RemoteRuns, SlotLeases, gates_in_order
from scheduler.stores.slots.repository import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.concurrency.places import Shares
from scheduler.worker.publishing import RunJudge
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies


def build_worker(
    foundation: Foundation,
    setup: CheckSetup,
    listener: RunListener,
    follow_up: FollowUp,
    alerts: RunJudge,
    self_checks: SelfChecks,
) -> Worker:
    """Return the worker. `listener` hears of its runs; `follow_up` starts what depends on them.

    `alerts`: judges finished runs by the alert rules.
    """
    settings, clock = foundation.settings, foundation.clock
    going = RunRegistry(foundation.repositories.cancellations, clock)
    return Worker(
        WorkerDependencies(
            foundation.catalog,
            foundation.runs,
            _build_runner(foundation, setup, listener, self_checks),
            listener,
            clock,
            owner=foundation.owner,
            concurrency=settings.concurrency,
            shares=Shares(settings.shares.job, settings.shares.host),
            registry=going,
            gates=_build_gates(foundation, going),
            dead_letters=foundation.repositories.dead_letters,
            follow_up=follow_up,
            states=foundation.states,
            alerts=alerts,
            health=HealthTracker(foundation.repositories.health_histories, clock),
            options=foundation.profile.worker_options,
            on_submitted=foundation.activity.mark_submitted,
            on_started=foundation.activity.mark_started,
        )
    )


def _build_runner(foundation: Foundation, setup: CheckSetup, listener: RunListener, self_checks: SelfChecks) -> Runner:
    circuits = CircuitBreakers(foundation.repositories.circuits)
    circuits.on_change = foundation.telemetry.metrics.circuit_changed
    foundation.health.add_probe("circuits", circuits_probe(circuits, foundation.clock))
    limits = foundation.settings.retry_budget
    budget = RetryBudget(limits.per_minute, limits.share)
    budget.on_denied = foundation.telemetry.metrics.retry_denied
    return Runner(
        setup.checks,
        circuits,
        listener,
        foundation.clock,
        foundation.redactor,
        budget=budget,
        bodies=BodyMemory(foundation.settings.targets.body_memory),
        prepare=setup.prepare_for_run(),
        judges=setup.judges,
        self_checks=self_checks,
    )


def build_test_runner(foundation: Foundation, setup: CheckSetup) -> Runner:
    """Return a runner that publishes nothing and has its own retry budget."""
    return Runner(
        setup.checks,
        CircuitBreakers(foundation.repositories.circuits),
        NullListener(),
        foundation.clock,
        foundation.redactor,
        bodies=BodyMemory(foundation.settings.targets.body_memory),
        prepare=lambda target: setup.checks.prepare((target,)),
        judges=setup.judges,
    )


def _build_gates(foundation: Foundation, going: RunRegistry) -> Gates:
    runs, store, clock = foundation.runs, foundation.store, foundation.clock
    slots = SlotLeases(Slots(store, foundation.owner), clock)
    elsewhere = (
        None
        if foundation.profile.is_only_worker
        else RemoteRuns(runs, slots, foundation.repositories.cancellations, clock)
    )
    gates = gates_in_order(
        clock=clock,
        pauses=foundation.pauses,
        runs=runs,
        cancel_local=going.cancel,
        slots=slots,
        remote=elsewhere,
        max_running=foundation.settings.max_running,
    )
    gates.on_waited = foundation.telemetry.metrics.run_waited
    return gates
