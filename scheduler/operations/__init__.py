"""What people make the scheduler do. Called by the API and the CLI; every change goes through here, and is logged.

A file a group of changes; scheduler.app puts them together. Import from the files: a command that reads needs the
errors alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.operations.backfilling import Backfilling
    from scheduler.operations.cancelling import Cancelling
    from scheduler.operations.circuits import CircuitSteering
    from scheduler.operations.pausing import Pausing
    from scheduler.operations.pinging import Pinging
    from scheduler.operations.refreshing import Refreshing
    from scheduler.operations.replaying import Replaying
    from scheduler.operations.running import Running


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
