"""What people make the scheduler do. Called by the API and the CLI; every change goes through here, and is logged.

A file a group of changes; scheduler.app puts them together. Import from the files: a command that reads needs the
errors alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.operations.backfills import Backfiller
    from scheduler.operations.cancellations import RunCanceller
    from scheduler.operations.circuits import CircuitControl
    from scheduler.operations.dead_letters import DeadLetterReplayer
    from scheduler.operations.pauses import JobPauser
    from scheduler.operations.pings import PingReceiver
    from scheduler.operations.runs import RunStarter
    from scheduler.operations.secrets import SecretRefresher


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
