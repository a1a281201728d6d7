"""What follows from a finished run, as the worker sees it: a port of its own, so that it knows nothing of dependencies.

Called by worker and queue_work; implemented by follow_up.
"""

from __future__ import annotations

from typing import Protocol

from jobs.runs import Run


class FollowUp(Protocol):
    def follows(self, job: str) -> bool:
        """Whether anything follows from runs of this job. If so, they are finished unsettled (see Runs.untold), and
        settled after `after`; for the others it is not called."""
        ...

    async def after(self, run: Run) -> None:
        """The run is recorded: start what follows. May be called again for the same run, and must do no harm then.

        Raises:
            StoreError, DispatchError: the run stays unsettled, and is followed up later.
        """
        ...


class NothingFollows:
    """No job depends on another one."""

    def follows(self, job: str) -> bool:
        """See FollowUp.follows."""
        return False

    async def after(self, run: Run) -> None:
        """See FollowUp.after."""
