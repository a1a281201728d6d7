"""The queues of this process: runs that wait in order, and of a job also the admitted runs.

Called by scheduler.gates.overlap and scheduler.gates.slots.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
class WaitingQueue:
    """Runs that wait, and since when those wait that are accepted."""

    waiting: dict[str, QueuePosition] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)

    def waiting_in_order(self) -> tuple[str, ...]:
        """Return the ids of the waiting runs."""
        return ids_in_order(self.waiting.values())

    def remove_waiting(self, run_id: str) -> None:
        self.waiting.pop(run_id, None)
        self.since.pop(run_id, None)


@dataclass(slots=True)
class JobQueue(WaitingQueue):
    """The queue of one job."""

    admitted: dict[str, QueuePosition] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.admitted or self.waiting)

    def run_ids(self) -> Collection[str]:
        return {*self.admitted, *self.waiting}

    def remove(self, run_id: str) -> bool:
        """Remove a run. Returns whether it was admitted."""
        self.remove_waiting(run_id)
        return self.admitted.pop(run_id, None) is not None

    def other_runs(self, place: QueuePosition, mode: OverlapMode) -> OtherRuns:
        """Return the other runs that matter for this position.

        With `overlap: allow`, replays wait for replays alone. With `cancel_previous`, no run waits for a queued replay.
        """
        inside = [one for one in self.admitted.values() if one.run_id != place.run_id]
        waiting = [one for one in self.waiting.values() if one.run_id != place.run_id]
        ahead = [one for one in waiting if one < place]
        if mode == "allow":
            inside = [one for one in inside if one.is_replay]
        if mode == "cancel_previous" and not place.is_replay:
            ahead = [one for one in ahead if not one.is_replay]
        return OtherRuns(
            running=ids_in_order(inside),
            waiting_before=ids_in_order(ahead),
            waiting=ids_in_order(one for one in waiting if not one.is_replay),
            newer=ids_in_order(one for one in (*inside, *waiting) if one > place and not one.is_replay),
        )


def ids_in_order(positions: Iterable[QueuePosition]) -> tuple[str, ...]:
    return tuple(position.run_id for position in sorted(positions))
