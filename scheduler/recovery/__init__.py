"""What other processes left open: runs that nobody is at any more, and runs that were recorded but not followed up.

The embedded host recovers them beside its server and its ticks, at the start and then now and then. (In the Functions
host the queue delivers again.)
"""

from scheduler.recovery.owners import has_died
from scheduler.recovery.recovering import AGAIN_AFTER, BATCH, EVERY, UNTOLD_FOR, Recovery
from scheduler.recovery.sweeping import QUEUED_FOR

__all__ = ["AGAIN_AFTER", "BATCH", "EVERY", "QUEUED_FOR", "UNTOLD_FOR", "Recovery", "has_died"]
