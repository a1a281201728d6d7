"""Measures what a ticket waits for between its due instant and the start of its run.

Called by scheduler.worker.batches and scheduler.worker.execution. The waits follow one another without a gap, so their
sum is the lateness. They are measured for each ticket, at the cost of a few readings of the clock, and computed only
for a run that started late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from jobs.ports import Clock
from jobs.problems import make_printable
from jobs.runs import Run, Ticket, Trigger
from jobs.runs.waits import MIN_WAIT_MS, StartWait, WaitReason, select_longest

CATCH_UP_LATENESS = timedelta(seconds=10)
"""A scheduled run that arrives so late is a caught-up run. The embedded tick plans younger instants as on time."""
MAX_DETAIL = 200
"""Characters of the detail of a wait."""
_MIN_LATENESS_S = MIN_WAIT_MS / 1000

_SENT_LATE = "its message was sent after its instant: planned late, or sent again after a wait"
_RECOVERED = "recovered from a process that ended"
_PARENT = "the run that started it was recorded"


@dataclass(frozen=True, slots=True)
class Arrival:
    """How tickets reached this process. `monotonic`: the seconds of the clock at `at`.

    `ready_at`: the instant since which this process runs tickets. `is_queued`: a message brought them, which was sent
    at `sent_at` (None: unknown). `is_recovered`: they were queued or claimed by a process that ended.
    """

    at: datetime
    monotonic: float
    ready_at: datetime
    is_queued: bool = False
    sent_at: datetime | None = None
    is_recovered: bool = False

    def list_waits(self, ticket: Ticket) -> Iterator[tuple[WaitReason, str, float]]:
        """Yield reason, detail and seconds of the waits of a ticket that arrived after its instant."""
        late = (self.at - ticket.due_at).total_seconds()
        if late <= 0:
            return
        if self.is_queued:
            sent = 0.0 if self.sent_at is None else (self.sent_at - ticket.due_at).total_seconds()
            before = min(max(sent, 0.0), late)
            yield WaitReason.QUEUE, _SENT_LATE, before
            yield WaitReason.QUEUE, "", late - before
        elif self.is_recovered:
            yield WaitReason.START_UP, _RECOVERED, late
        elif ticket.trigger is Trigger.SCHEDULE and self.at - ticket.due_at > CATCH_UP_LATENESS:
            yield WaitReason.CATCH_UP, "", late
        elif ticket.due_at < self.ready_at:
            yield WaitReason.START_UP, "", late
        elif ticket.trigger is Trigger.DEPENDENCY:
            yield WaitReason.GATE, _PARENT, late
        else:
            # The tick submits tickets before their instants, unless it wakes late.
            yield WaitReason.STARVED_CPU, "", late


class _Mark(NamedTuple):
    """The end of a wait, which began at the previous mark. `until`: monotonic seconds."""

    until: float
    reason: WaitReason
    detail: str


class WaitTimeline:
    """The waits of one ticket, in order."""

    __slots__ = ("_arrival", "_clock", "_marks")

    def __init__(self, clock: Clock, arrival: Arrival, marks: tuple[_Mark, ...] = ()) -> None:
        self._clock = clock
        self._arrival = arrival
        self._marks = list(marks)

    def fork(self) -> WaitTimeline:
        """Return a timeline that begins with the same waits."""
        return WaitTimeline(self._clock, self._arrival, tuple(self._marks))

    def end_wait(self, reason: WaitReason, detail: str = "") -> None:
        """Record that the ticket has waited for this since the end of its previous wait."""
        self._marks.append(_Mark(self._clock.monotonic(), reason, detail))

    def explain(self, ticket: Ticket, run: Run) -> tuple[StartWait, ...]:
        """Return the longest waits of the run, whose start ended the last wait; empty if it started in time.

        A backfill is requested for an instant of the past: it is not late.
        """
        late = (run.started_at - ticket.due_at).total_seconds()
        if late < _MIN_LATENESS_S or ticket.trigger is Trigger.BACKFILL or not self._marks:
            return ()
        # The due instant by the monotonic clock. If the wall clock was set meanwhile, the difference does not count.
        due = self._marks[-1].until - late
        # Two parts: up to the arrival in this process (or the due instant, if later), and the marks after it.
        early = max((ticket.due_at - self._arrival.at).total_seconds(), 0.0)
        begin = max(due, self._arrival.monotonic + early)
        seconds: dict[tuple[WaitReason, str], float] = {}
        for reason, detail, waited in self._arrival.list_waits(ticket):
            seconds[reason, detail] = min(waited, begin - due - sum(seconds.values()))
        for mark in self._marks:
            if mark.until > begin:
                key = mark.reason, mark.detail
                seconds[key] = seconds.get(key, 0.0) + mark.until - begin
                begin = mark.until
        return select_longest(
            [
                StartWait(reason, round(waited * 1000, 3), make_printable(detail, MAX_DETAIL))
                for (reason, detail), waited in seconds.items()
            ]
        )
