"""The port through which the worker starts the jobs that depend on a finished run.

Called by scheduler.worker.publishing; implemented by scheduler.dependencies.trigger.
"""

from __future__ import annotations

from typing import Protocol

from jobs.runs import Run
from scheduler.stores.port import StoreError


class FollowUp(Protocol):
    def has_dependents(self, job: str) -> bool:
        """Return whether other jobs depend on runs of this job.

        Such runs are finished unacknowledged, and acknowledged after `start_dependents`, which is not called for other
        runs.
        """
        ...

    async def start_dependents(self, run: Run) -> None:
        """Start the jobs that depend on a recorded run. A repeated call for the same run has no further effect.

        Raises:
            StoreError, DispatchError: the run stays unacknowledged, and is followed up later.
        """
        ...


class DeferredFollowUp:
    """Follow-up in a process that does not know all jobs: a running server starts the dependents."""

    def has_dependents(self, job: str) -> bool:
        """Return True for every job, so that its runs are finished unacknowledged and the server finds them."""
        return True

    async def start_dependents(self, run: Run) -> None:
        """Raise StoreError always, so that the run stays unacknowledged."""
        raise StoreError("the job files have problems; a running server starts the dependents")


class NoFollowUp:
    """Follow-up where no job depends on another one."""

    def has_dependents(self, job: str) -> bool:
        return False

    async def start_dependents(self, run: Run) -> None:
        """See FollowUp.start_dependents."""
