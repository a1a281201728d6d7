"""What people make the scheduler do. Called by the API and the CLI; every change goes through here, and is logged.

A file a group of changes; scheduler.app puts them together. Import from the files: a command that reads needs the
errors alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.operations.backfilling import Backfiller
    from scheduler.operations.cancelling import RunCanceller
    from scheduler.operations.circuits import CircuitControl
    from scheduler.operations.pausing import JobPauser
    from scheduler.operations.pinging import PingReceiver
    from scheduler.operations.refreshing import SecretRefresher
    from scheduler.operations.replaying import DeadLetterReplayer
    from scheduler.operations.running import RunStarter


@dataclass(frozen=True, slots=True)
class Operations:
    runs: RunStarter
    pauses: JobPauser
    cancellations: RunCanceller
    dead_letters: DeadLetterReplayer
    backfills: Backfiller
    circuits: CircuitControl
    secrets: SecretRefresher
    pings: PingReceiver
