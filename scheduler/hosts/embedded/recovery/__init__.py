"""What other processes left open: runs that nobody is at any more, and runs that were recorded but not followed up.

The embedded host recovers them beside its server and its ticks, at the start and then now and then. (In the Functions
host the queue delivers again.)
"""

from scheduler.hosts.embedded.recovery.owners import has_died
from scheduler.hosts.embedded.recovery.recovery import (
    RECOVERY_BATCH_SIZE,
    SWEEP_INTERVAL,
    SWEEP_RETRY_INTERVAL,
    UNPUBLISHED_AFTER,
    RunRecovery,
)
from scheduler.hosts.embedded.recovery.sweep import ABANDONED_QUEUED_AFTER

__all__ = [
    "ABANDONED_QUEUED_AFTER",
    "RECOVERY_BATCH_SIZE",
    "SWEEP_INTERVAL",
    "SWEEP_RETRY_INTERVAL",
    "UNPUBLISHED_AFTER",
    "RunRecovery",
    "has_died",
]
