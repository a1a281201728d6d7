"""Why a run was skipped, rejected, denied or cancelled, or waits: a code for programs, next to the sentence.

Made by the gates, the planner and the runner; stored with the run, and shown by the API as `reason`.
"""

from __future__ import annotations

from enum import StrEnum

from jobs.fast_frozen import fast_frozen


class ReasonCode(StrEnum):
    """A new reason is a member here. The values are stored: add, never rename."""

    JOB_DISABLED = "job_disabled"
    JOB_PAUSED = "job_paused"
    JOB_CHANGED = "job_changed"
    """The definition in force does not have this run."""
    JOB_REMOVED = "job_removed"
    MISSED = "missed"
    """It fell due while no scheduler ran, and `catch_up` does not repeat it."""
    OVERLAP = "overlap"
    """Another run of its job had not ended."""
    DEPENDENCY = "dependency"
    """A job that it depends on has not run as required."""
    NO_SLOT = "no_slot"
    """Its concurrency group, or `max_running`, was full."""
    NO_CAPACITY = "no_capacity"
    """Its process runs as much as it may."""
    OUT_OF_RESOURCES = "out_of_resources"
    """The machine lacked memory, files or threads for it."""
    BLIND = "blind"
    """The scheduler could not reach anything, so the failure does not describe the target."""
    PENDING = "pending"
    """The target cannot be judged yet."""
    STORE_UNAVAILABLE = "store_unavailable"
    """It could not be claimed."""
    IN_PROGRESS = "in_progress"
    """The same run, or another replay of its job, is in progress."""
    CIRCUIT_OPEN = "circuit_open"
    TARGET_DENIED = "target_denied"
    """The rules for targets, secrets or tokens do not allow its request."""
    CANCELLED = "cancelled"
    """A user, or a newer run of its job, requested its end."""
    SHUTDOWN = "shutdown"
    """Its process stopped."""
    INTERRUPTED = "interrupted"
    """Its process died."""


@fast_frozen(frozen=True, slots=True)
class Reason:
    """`message`: one sentence, without a full stop where it is a clause of others."""

    code: ReasonCode
    message: str

    def __str__(self) -> str:
        return self.message
