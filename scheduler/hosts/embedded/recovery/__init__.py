"""Recovers runs that other processes left open: unfinished runs, and finished runs that were not acknowledged.

The embedded host recovers them in the background, at the start and then periodically. In the Functions host, the queue
delivers tickets again instead.
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
