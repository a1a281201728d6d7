"""What differs between the processes that have a worker. Chosen by the hosts and by the commands, used by worker."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.worker.results.recorder import MAX_BACKLOG_BYTES


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What differs between the hosts.

    `hold`: seconds for which a ticket waits in the process for what a gate names; None: as long as it takes.
    `linger`: seconds for which a result waits for others at the most, to be written together with them.
    `alone`: no other process looks at the store to see whether a run goes on.
    `retries`: claims are tried again while the store is away, as nobody delivers the ticket again.
    `settles`: see Telling. `backlog`, `backlog_timeout`: see Recorder.
    """

    max_wait: float | None = None
    result_delay: float = 0.05
    is_only_process: bool = True
    retries_claims: bool = True
    acknowledges: bool = True
    backlog_bytes: int = 0
    backlog_timeout: float | None = None


COMMAND_OPTIONS = WorkerOptions()
"""A command waits for its runs, and ends soon."""
EMBEDDED_OPTIONS = WorkerOptions(backlog_bytes=MAX_BACKLOG_BYTES)
FUNCTIONS_OPTIONS = WorkerOptions(
    max_wait=30.0,
    result_delay=3.0,
    is_only_process=False,
    retries_claims=False,
    acknowledges=False,
    backlog_bytes=MAX_BACKLOG_BYTES,
    backlog_timeout=120.0,
)
"""Each request of its store costs, and the queue delivers again what is not performed to its end. A result waits for as
long as the function may take beside its runs (host.json: functionTimeout): a run that is delivered again is run again,
or, with `effect: once`, recorded as interrupted, though its target has answered."""
