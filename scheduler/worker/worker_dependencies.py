"""The dependencies of a worker. Built by scheduler.worker.worker.

Used by scheduler.worker.execution and scheduler.worker.finishing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.runs.events import RunListener
from scheduler.catalog.catalog import Catalog
from scheduler.dependencies.port import FollowUp, NoFollowUp
from scheduler.gates import Gates
from scheduler.stores.dead_letters.repository import DeadLetters
from scheduler.stores.runs.repository import Runs
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims.claimer import CLAIM_RETRY_WINDOW, TicketClaimer
from scheduler.worker.claims.leases import RunLeases
from scheduler.worker.concurrency.interruptible_sleep import InterruptibleSleep
from scheduler.worker.options import WorkerOptions
from scheduler.worker.publishing import RunPublisher
from scheduler.worker.results.recorder import ResultRecorder


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    catalog: Catalog
    runs: Runs
    runner: Runner
    clock: Clock
    gates: Gates
    registry: RunRegistry
    leases: RunLeases
    claimer: TicketClaimer
    recorder: ResultRecorder
    publisher: RunPublisher
    sleep: InterruptibleSleep


def build_worker_dependencies(
    catalog: Catalog,
    runs: Runs,
    runner: Runner,
    listener: RunListener,
    clock: Clock,
    *,
    owner: str,
    registry: RunRegistry,
    gates: Gates,
    dead_letters: DeadLetters,
    follow_up: FollowUp | None,
    options: WorkerOptions,
) -> WorkerDependencies:
    """Build what a worker shares with its parts. See Worker for the arguments."""
    leases = RunLeases(runs, clock, owner)
    retry_window = CLAIM_RETRY_WINDOW if options.retries_claims else timedelta()
    publisher = RunPublisher(listener, follow_up or NoFollowUp(), runs, acknowledges=options.acknowledges)
    return WorkerDependencies(
        catalog=catalog,
        runs=runs,
        runner=runner,
        clock=clock,
        gates=gates,
        registry=registry,
        leases=leases,
        claimer=TicketClaimer(catalog, runs, leases, registry, clock, retry_window=retry_window),
        recorder=ResultRecorder(
            runs,
            dead_letters,
            clock,
            max_delay=options.result_delay,
            backlog_bytes=options.backlog_bytes,
            backlog_timeout=options.backlog_timeout,
            on_backlogged=publisher.publish_telemetry_early,
        ),
        publisher=publisher,
        sleep=InterruptibleSleep(clock),
    )
