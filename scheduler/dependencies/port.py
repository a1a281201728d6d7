"""What follows from a finished run, as the worker sees it: a port of its own, so that it knows nothing of dependencies.

Called by worker and queue_work; implemented by follow_up.
"""

from __future__ import annotations

from typing import Protocol

from jobs.runs import Run
from scheduler.stores.port import StoreError


class FollowUp(Protocol):
    def has_dependents(self, job: str) -> bool:
        """Whether anything follows from runs of this job. If so, they are finished unsettled (see Runs.untold), and
        settled after `after`; for the others it is not called."""
        ...

    async def start_dependents(self, run: Run) -> None:
        """The run is recorded: start what follows. May be called again for the same run, and must do no harm then.

        Raises:
            StoreError, DispatchError: the run stays unsettled, and is followed up later.
        """
        ...


class DeferredFollowUp:
    """Follow-up of a process that does not know all jobs: a running server, which does, starts what follows."""

    def has_dependents(self, job: str) -> bool:
        """Return True for every job, so that its runs are finished unsettled and the server finds them."""
        return True

    async def start_dependents(self, run: Run) -> None:
        """Start nothing. Raises StoreError always, so that the run stays unsettled."""
        raise StoreError("the job files have problems; a running server starts it")


class NoFollowUp:
    """No job depends on another one."""

    def has_dependents(self, job: str) -> bool:
        """See FollowUp.follows."""
        return False

    async def start_dependents(self, run: Run) -> None:
        """See FollowUp.after."""
