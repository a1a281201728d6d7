"""The results of claims. Used by runs.repository, and by the callers that claim and finish runs through it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.formats.instants import format_instant
from jobs.runs import Run, Ticket
from scheduler.stores.port import StoreError
from scheduler.stores.runs.codec import RunRecord


class ClaimLost(StoreError):
    """Another owner has the run; nothing was stored."""

    def __init__(self, run_id: str, owner: str) -> None:
        super().__init__(f"run {run_id} is no longer claimed by {owner}: its lease ended and another owner has the run")


@fast_frozen(frozen=True, slots=True)
class Claim:
    """The right to perform a run until the lease ends, and to finish it. `is_takeover`: from an owner that died."""

    ticket: Ticket
    owner: str
    lease_until: datetime
    etag: str
    is_takeover: bool = False


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """The run is finished, or another owner (or an earlier claim of the same owner) is performing it."""

    record: RunRecord

    @property
    def retry_at(self) -> datetime | None:
        """When the lease ends, and the run can be claimed; None if it is finished."""
        return self.record.lease_until

    def __str__(self) -> str:
        if self.record.run is not None:
            return f"it is finished ({self.record.run.outcome})"
        if self.retry_at is None:
            return "it is finished"
        return f"{self.record.owner} has claimed it until {format_instant(self.retry_at)}"


@fast_frozen(frozen=True, slots=True)
class RunResult:
    """The result of a claimed run. Not `acknowledged`: a follow-up is pending, see Runs.acknowledge."""

    claim: Claim
    run: Run
    acknowledged: bool = True


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is queued (no lease; an owner intends to run it) or running. Its lease may have ended."""

    run_id: str
    job: str
    due_at: datetime
    owner: str = ""
    lease_until: datetime | None = None
