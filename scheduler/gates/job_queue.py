"""The queue of a job's runs in this process: admitted runs, and waiting runs in order.

Called by scheduler.gates.overlap.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from jobs.definition import OverlapMode
from jobs.fast_frozen import fast_frozen
from jobs.runs import Ticket
from scheduler.gates.overlap_rules import OtherRuns


@fast_frozen(frozen=True, slots=True, order=True)
class QueuePosition:
    """A position in a queue: runs are ordered by due instant."""

    due_at: datetime
    run_id: str
    is_replay: bool = field(compare=False, default=False)

    @staticmethod
    def of_ticket(ticket: Ticket) -> QueuePosition:
        return QueuePosition(ticket.due_at, ticket.id, ticket.trigger.is_rerun)


@dataclass(slots=True)
class JobQueue:
    """The queue of one job."""

    admitted: dict[str, QueuePosition] = field(default_factory=dict)
    waiting: dict[str, QueuePosition] = field(default_factory=dict)
    accepted: dict[str, datetime] = field(default_factory=dict)
    """Since when the accepted runs of `waiting` wait."""

    def __bool__(self) -> bool:
        return bool(self.admitted or self.waiting)

    def run_ids(self) -> Collection[str]:
        return {*self.admitted, *self.waiting}

    def remove(self, run_id: str) -> bool:
        """Remove a run. Returns whether it was admitted."""
        self.waiting.pop(run_id, None)
        self.accepted.pop(run_id, None)
        return self.admitted.pop(run_id, None) is not None

    def waiting_in_order(self) -> list[str]:
        """Return the ids of the waiting runs."""
        return [place.run_id for place in sorted(self.waiting.values())]

    def other_runs(self, place: QueuePosition, mode: OverlapMode) -> OtherRuns:
        """Return the other runs that matter for this position.

        With `overlap: allow`, replays wait for replays alone. With `cancel_previous`, no run waits for a queued replay.
        """
        inside = [one for one in sorted(self.admitted.values()) if one.run_id != place.run_id]
        waiting = [one for one in sorted(self.waiting.values()) if one.run_id != place.run_id]
        ahead = [one for one in waiting if one < place]
        if mode == "allow":
            inside = [one for one in inside if one.is_replay]
        if mode == "cancel_previous" and not place.is_replay:
            ahead = [one for one in ahead if not one.is_replay]
        return OtherRuns(
            running=_ids(inside),
            waiting_before=_ids(ahead),
            waiting=_ids([one for one in waiting if not one.is_replay]),
            newer=_ids([one for one in sorted((*inside, *waiting)) if one > place and not one.is_replay]),
        )


def _ids(places: list[QueuePosition]) -> tuple[str, ...]:
    return tuple(place.run_id for place in places)
