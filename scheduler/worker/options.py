"""Options of a worker. The hosts and the commands choose one set each.

Called by scheduler.worker.worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.worker.recorder import MAX_BACKLOG_BYTES


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Differences between the hosts.

    `max_wait`: seconds for which a ticket waits in the process for its gates; None: without limit.
    `result_delay`: seconds for which a result waits at most, to be written together with others.
    `is_only_process`: no other process reads from the store whether a run is in-flight.
    `retries_claims`: retry claims while the store is unavailable, because no queue delivers the ticket again.
    `acknowledges`, `acknowledge_delay`: see RunPublisher. `backlog_bytes`, `backlog_timeout`: see ResultRecorder.
    """

    max_wait: float | None = None
    result_delay: float = 0.05
    is_only_process: bool = True
    retries_claims: bool = True
    acknowledges: bool = True
    acknowledge_delay: float = 0.5
    backlog_bytes: int = 0
    backlog_timeout: float | None = None


COMMAND_OPTIONS = WorkerOptions()
"""A command waits for its runs and ends soon."""
EMBEDDED_OPTIONS = WorkerOptions(backlog_bytes=MAX_BACKLOG_BYTES)
REPLICA_OPTIONS = WorkerOptions(
    result_delay=3.0, is_only_process=False, acknowledge_delay=5.0, backlog_bytes=MAX_BACKLOG_BYTES
)
"""Of the embedded host on Azure Tables, where each request of the store costs and other processes may run jobs."""
FUNCTIONS_OPTIONS = WorkerOptions(
    max_wait=30.0,
    result_delay=3.0,
    is_only_process=False,
    retries_claims=False,
    acknowledges=False,
    backlog_bytes=MAX_BACKLOG_BYTES,
    backlog_timeout=120.0,
)
"""Each request of the store costs, and the queue delivers an unfinished ticket again. A result waits for as long as the
function may take in addition to its runs (host.json: functionTimeout). A run that is delivered again is run again or,
with `effect: once`, recorded as interrupted, although its target has answered."""
