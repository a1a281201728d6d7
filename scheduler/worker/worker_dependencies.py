"""The dependencies of a worker. Built by scheduler.worker.worker.

Used by scheduler.worker.execution and scheduler.worker.finishing.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from jobs.running.runner import Runner
from scheduler.catalog.catalog import Catalog
from scheduler.gates import Gates
from scheduler.stores.runs.repository import Runs
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims.claimer import TicketClaimer
from scheduler.worker.claims.leases import RunLeases
from scheduler.worker.interruptible_sleep import InterruptibleSleep
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
