"""Measures what a ticket waits for between its due instant and the start of its run.

Called by scheduler.worker.batches and scheduler.worker.execution. The waits follow one another without a gap, so their
sum is the lateness. They are measured for each ticket, at the cost of a few readings of the clock, and computed only
for a run that started late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from jobs.ports import Clock
from jobs.problems import make_printable
from jobs.runs import Run, Ticket, Trigger
from jobs.runs.waits import MAX_WAITS, MIN_WAIT_MS, StartWait, WaitReason, select_longest

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


_Mark = tuple[float, WaitReason, str]
"""The end of a wait, which began at the previous mark, in monotonic seconds; its reason and detail."""


class WaitTimeline:
    """The waits of one ticket, in order."""

    __slots__ = ("_arrival", "_clock", "_marks", "_monotonic")

    def __init__(self, clock: Clock, arrival: Arrival, marks: Sequence[_Mark] = ()) -> None:
        self._clock, self._monotonic = clock, clock.monotonic
        self._arrival = arrival
        self._marks = [*marks]

    def fork(self) -> WaitTimeline:
        """Return a timeline that begins with the same waits."""
        return WaitTimeline(self._clock, self._arrival, self._marks)

    def end_wait(self, reason: WaitReason, detail: str = "") -> None:
        """Record that the ticket has waited for this since the end of its previous wait."""
        self._marks.append((self._monotonic(), reason, detail))

    def explain(self, ticket: Ticket, run: Run) -> tuple[StartWait, ...]:
        """Return the longest waits of the run, whose start ended the last wait; empty if it started in time.

        A backfill is requested for an instant of the past: it is not late.
        """
        late = (run.started_at - ticket.due_at).total_seconds()
        if late < _MIN_LATENESS_S or ticket.trigger is Trigger.BACKFILL or not self._marks:
            return ()
        # The due instant by the monotonic clock. If the wall clock was set meanwhile, the difference does not count.
        due = self._marks[-1][0] - late
        # Two parts: up to the arrival in this process (or the due instant, if later), and the marks after it.
        early = max((ticket.due_at - self._arrival.at).total_seconds(), 0.0)
        begin = max(due, self._arrival.monotonic + early)
        seconds: dict[tuple[WaitReason, str], float] = {}
        for reason, detail, waited in self._arrival.list_waits(ticket):
            seconds[reason, detail] = min(waited, begin - due - sum(seconds.values()))
        for until, reason, detail in self._marks:
            if until > begin:
                seconds[reason, detail] = seconds.get((reason, detail), 0.0) + until - begin
                begin = until
        if len(seconds) <= MAX_WAITS:  # more are merged, the short ones too
            seconds = {key: waited for key, waited in seconds.items() if waited >= _MIN_LATENESS_S}
        return select_longest(
            [
                StartWait(reason, round(waited * 1000, 3), _make_printable(detail))
                for (reason, detail), waited in seconds.items()
            ]
        )


@lru_cache(256)
def _make_printable(detail: str) -> str:
    """Return the detail for the row. Runs that wait together wait for the same."""
    return make_printable(detail, MAX_DETAIL)
