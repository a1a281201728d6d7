"""What people make the scheduler do. Called by the API and the CLI; every change goes through here, and is logged.

A file a group of changes; scheduler.app puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.operations.audit import Way
from scheduler.operations.backfilling import Backfill, Backfilling
from scheduler.operations.cancelling import Cancelling
from scheduler.operations.circuits import CircuitSteering
from scheduler.operations.errors import Conflict, NotDone, NotThere, Unusable
from scheduler.operations.pausing import Pausing
from scheduler.operations.pinging import Pinging
from scheduler.operations.refreshing import Refreshing
from scheduler.operations.replaying import Replayed, Replaying, Wanted
from scheduler.operations.running import Running

__all__ = [
    "Backfill",
    "Backfilling",
    "Cancelling",
    "CircuitSteering",
    "Conflict",
    "NotDone",
    "NotThere",
    "Operations",
    "Pausing",
    "Pinging",
    "Refreshing",
    "Replayed",
    "Replaying",
    "Running",
    "Unusable",
    "Wanted",
    "Way",
]


@dataclass(frozen=True, slots=True)
class Operations:
    running: Running
    pausing: Pausing
    cancelling: Cancelling
    replaying: Replaying
    backfilling: Backfilling
    circuits: CircuitSteering
    refreshing: Refreshing
    pinging: Pinging
