"""What a worker is made of. Built by worker, used by performing and finishing."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from jobs.running.runner import Runner
from scheduler.catalog import Catalog
from scheduler.gates import Gates
from scheduler.stores.runs import Runs
from scheduler.work.claiming import TicketClaimer
from scheduler.work.going import RunRegistry
from scheduler.work.leases import RunLeases
from scheduler.work.recording import ResultRecorder
from scheduler.work.telling import RunPublisher
from scheduler.work.waiting import InterruptibleSleep


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
