"""What differs between the processes that have a worker. Chosen by the hosts and by the commands, used by worker."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.work.recording import LARGEST_BACKLOG


@dataclass(frozen=True, slots=True)
class Ways:
    """What differs between the hosts.

    `hold`: seconds for which a ticket waits in the process for what a gate names; None: as long as it takes.
    `linger`: seconds for which a result waits for others at the most, to be written together with them.
    `alone`: no other process looks at the store to see whether a run goes on.
    `retries`: claims are tried again while the store is away, as nobody delivers the ticket again.
    `settles`: see Telling. `backlog`, `backlog_for`: see Recorder.
    """

    hold: float | None = None
    linger: float = 0.05
    alone: bool = True
    retries: bool = True
    settles: bool = True
    backlog: int = 0
    backlog_for: float | None = None


COMMAND = Ways()
"""A command waits for its runs, and ends soon."""
EMBEDDED = Ways(backlog=LARGEST_BACKLOG)
FUNCTIONS = Ways(
    hold=30.0,
    linger=3.0,
    alone=False,
    retries=False,
    settles=False,
    backlog=LARGEST_BACKLOG,
    backlog_for=120.0,
)
"""Each request of its store costs, and the queue delivers again what is not performed to its end. A result waits for as
long as the function may take beside its runs (host.json: functionTimeout): a run that is delivered again is run again,
or, with `effect: once`, recorded as interrupted, though its target has answered."""
