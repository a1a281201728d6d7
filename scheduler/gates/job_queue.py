"""The queues of this process, in order: waiting runs, admitted runs of a job, rules of `overlap`. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile
from typing import Literal

from jobs.definition import OverlapMode
from jobs.fast_frozen import fast_frozen
from jobs.runs import Ticket


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """Ids of the other runs of the job, each group oldest first."""

    running: tuple[str, ...] = ()
    """Started, or claimed by another process for an earlier instant, so possibly started."""
    waiting_before: tuple[str, ...] = ()
    """Waiting runs that were due before."""
    waiting: tuple[str, ...] = ()
    """Waiting runs except replays."""
    newer: tuple[str, ...] = ()
    """Due later, and started or waiting."""


@dataclass(frozen=True, slots=True)
class OverlapDecision:
    """`to_cancel`: runs to cancel for this run, which waits until they are finished. `subject`: see Wait."""

    kind: Literal["go", "skip", "wait"]
    reason: str = ""
    to_cancel: tuple[str, ...] = ()
    cancelled_by: str = ""
    """The source of a cancellation, such as `by run ID`: the run is then recorded as cancelled."""
    subject: str = field(default="", compare=False)


GO_DECISION = OverlapDecision("go")


def decide_overlap(
    mode: OverlapMode, others: OtherRuns, *, is_replay: bool, is_accepted: bool = False
) -> OverlapDecision:
    """Decide about a run. `is_accepted`: it waits already and stays in the queue. A replay is never skipped."""
    if mode == "cancel_previous" and not is_replay:
        return _newest_wins(others)
    before = (*others.running, *others.waiting_before)
    if mode == "skip" and not is_replay:
        before = others.running
    if not before:
        return GO_DECISION
    if is_replay or mode == "allow":
        return OverlapDecision("wait", f"run {before[0]} of its job is running", subject=f"run {before[0]}")
    if mode == "skip":
        return OverlapDecision("skip", f"the previous run ({before[0]}) was still running (overlap: skip)")
    if mode == "buffer_one" and not is_accepted:
        occupied = tuple(dict.fromkeys((*others.running, *others.waiting)))
        if len(occupied) > 1:
            both = f"the previous run ({occupied[0]}) was still running, and another run ({occupied[1]}) waits for it"
            return OverlapDecision("skip", f"{both} (overlap: buffer_one)")
    return OverlapDecision(
        "wait", f"the previous run ({before[0]}) is running (overlap: {mode})", subject=f"run {before[0]}"
    )


def _newest_wins(others: OtherRuns) -> OverlapDecision:
    if others.newer:
        newest = others.newer[-1]
        return OverlapDecision("skip", f"a newer run ({newest}) replaced it", cancelled_by=cancelled_by_run(newest))
    before = (*others.running, *others.waiting_before)
    if not before:
        return GO_DECISION
    return OverlapDecision(
        "wait",
        f"the previous run ({before[0]}) is being cancelled (overlap: cancel_previous)",
        before,
        subject=f"run {before[0]}",
    )


def cancelled_by_run(run_id: str) -> str:
    """Return how a reason names this run as the source of a cancellation."""
    return f"by run {run_id} (overlap: cancel_previous)"


@fast_frozen(frozen=True, slots=True, order=True)
class QueuePosition:
    """A position in a queue: runs are ordered by due instant."""

    due_at: datetime
    run_id: str
    is_replay: bool = field(compare=False, default=False)

    @staticmethod
    def of_ticket(ticket: Ticket) -> QueuePosition:
        return QueuePosition(ticket.due_at, ticket.id, ticket.trigger.is_rerun)


MAX_WAITING_NAMED = 2
"""Waiting runs by which a decision is made and explained, unless the newest run replaces all others."""


@dataclass(slots=True)
class WaitingQueue:
    """Runs that wait, and since when those wait that are accepted. Changed by its methods only."""

    waiting: dict[str, QueuePosition] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)
    _order: list[tuple[datetime, str]] = field(default_factory=list)
    """Due instants and ids of the waiting runs, sorted: no run reads all others."""

    def add_waiting(self, ticket: Ticket) -> None:
        if ticket.id not in self.waiting:
            self.waiting[ticket.id] = QueuePosition.of_ticket(ticket)
            insort(self._order, (ticket.due_at, ticket.id))

    def first_waiting(self) -> str:
        """Return the id of the first waiting run; "" without one."""
        return self._order[0][1] if self._order else ""

    def waiting_in_order(self) -> Iterator[QueuePosition]:
        """Yield the waiting runs. The queue must not change meanwhile."""
        return (self.waiting[run_id] for _, run_id in self._order)

    def remove_waiting(self, run_id: str) -> None:
        if (position := self.waiting.pop(run_id, None)) is not None:
            del self._order[bisect_left(self._order, (position.due_at, run_id))]
        if self.since:
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
        """Return the other runs that matter for this position: of waiting ones, the first MAX_WAITING_NAMED.

        With `overlap: allow`, replays wait for replays alone. With `cancel_previous`, no run waits for a queued replay,
        and all waiting runs matter.
        """
        inside = [position for position in self.admitted.values() if position.run_id != place.run_id]
        if mode == "allow":
            inside = [position for position in inside if position.is_replay]
        if mode == "cancel_previous":
            return self._runs_to_replace(place, inside)
        ahead = takewhile(lambda position: position < place, self.waiting_in_order())
        others = (
            position
            for position in self.waiting_in_order()
            if position.run_id != place.run_id and not position.is_replay
        )
        return OtherRuns(
            running=ids_in_order(inside),
            waiting_before=tuple(position.run_id for position in islice(ahead, MAX_WAITING_NAMED)),
            waiting=tuple(position.run_id for position in islice(others, MAX_WAITING_NAMED)),
        )

    def _runs_to_replace(self, place: QueuePosition, inside: list[QueuePosition]) -> OtherRuns:
        waiting = [position for position in self.waiting.values() if position.run_id != place.run_id]
        ahead = [position for position in waiting if position < place and (place.is_replay or not position.is_replay)]
        return OtherRuns(
            running=ids_in_order(inside),
            waiting_before=ids_in_order(ahead),
            waiting=ids_in_order(position for position in waiting if not position.is_replay),
            newer=ids_in_order(other for other in (*inside, *waiting) if other > place and not other.is_replay),
        )


def ids_in_order(positions: Iterable[QueuePosition]) -> tuple[str, ...]:
    return tuple(position.run_id for position in sorted(positions))
