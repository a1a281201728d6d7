"""What a worker is made of. Built by worker, used by performing and finishing."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from jobs.running.runner import Runner
from scheduler.catalog import Catalog
from scheduler.gates import Gates
from scheduler.stores.runs import Runs
from scheduler.work.claiming import Claiming
from scheduler.work.going import Going
from scheduler.work.leases import Leases
from scheduler.work.recording import Recorder
from scheduler.work.telling import Telling
from scheduler.work.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Parts:
    catalog: Catalog
    runs: Runs
    runner: Runner
    clock: Clock
    gates: Gates
    going: Going
    leases: Leases
    claiming: Claiming
    recorder: Recorder
    telling: Telling
    waiting: Waiting
