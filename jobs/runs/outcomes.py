"""The cause of a run, and how it ended."""

from __future__ import annotations

from enum import StrEnum


class Trigger(StrEnum):
    """The cause of a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    DEPENDENCY = "dependency"
    REPLAY = "replay"
    """A dead-lettered run is executed again."""
    BACKFILL = "backfill"
    """A past due instant is run later. Its result describes the target now, not at that instant."""

    @property
    def is_rerun(self) -> bool:
        """Whether an operator requested the run for a past instant: it waits for other runs and is never skipped."""
        return self is Trigger.REPLAY or self is Trigger.BACKFILL


class Outcome(StrEnum):
    """How a run ended. The `down` outcomes count against the target."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def down(self) -> bool:
        """Whether the target counts as down. Includes rejected runs: an open circuit must never hide an outage."""
        return self in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED)
