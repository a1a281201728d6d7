"""Finds the seconds in which more runs are due than one process can start. Pure.

Called by the commands `validate` and `plan`, for all jobs together: a single job shows nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from jobs.definition import JobDefinition
from jobs.formats import format_duration, format_instant
from jobs.schedules import Schedule, from_milliseconds

RUNS_PER_SECOND = 1000
"""Runs that one process starts in a second: measured, 10,000 jobs on one second took 10 s on one core."""
_WINDOW_MS = 3_600_000
"""The next hour. Most schedules meet at its start."""
_MAX_INSTANTS = 300_000
"""That are computed, about 0.3 s. The schedules with the most jobs come first."""
_MAX_CROWDS = 5


class CrowdedInstant(NamedTuple):
    """The fullest second of the next hour whose most common schedule is `schedule`. `seconds`: how many there are."""

    at_ms: int
    runs: int
    schedule: Schedule
    schedule_jobs: int
    seconds: int

    @property
    def message(self) -> str:
        """A sentence without a full stop."""
        at, late_s = format_instant(from_milliseconds(self.at_ms)), math.ceil(self.runs / RUNS_PER_SECOND)
        more = f", and too many in {self.seconds - 1} more seconds of that hour" if self.seconds > 1 else ""
        return (
            f"{self.runs} runs are due in the second of {at}{more}; one process starts about {RUNS_PER_SECOND} a "
            f"second, so the last one starts about {late_s} s late; {self.schedule_jobs} of them have the schedule "
            f"{self.schedule.text}"
        )

    @property
    def hint(self) -> str:
        """How to spread them."""
        # Twice the time that they take, so that the process has time for other work.
        jitter = format_duration(2 * math.ceil(self.runs / RUNS_PER_SECOND))
        return f"spread them: add jitter: {jitter} to the schedule (defaults), or give groups of jobs another offset"


def find_crowded_instants(jobs: Iterable[JobDefinition], now_ms: int) -> list[CrowdedInstant]:
    """Return the crowded seconds after `now_ms`, one for each most common schedule, the fullest first.

    `now_ms`: milliseconds since the epoch. Takes nothing for up to RUNS_PER_SECOND jobs.
    """
    schedules = Counter(job.schedule for job in jobs if job.enabled and job.schedule is not None)
    if schedules.total() <= RUNS_PER_SECOND:
        return []
    runs: Counter[int] = Counter()
    most: dict[int, Schedule] = {}
    budget = _MAX_INSTANTS
    for schedule, count in schedules.most_common():
        at = now_ms
        while budget > 0 and (due := schedule.next_after_ms(at)) is not None and due <= now_ms + _WINDOW_MS:
            at, budget = due, budget - 1
            runs[due // 1000] += count
            most.setdefault(due // 1000, schedule)  # the schedules with the most jobs come first
    fullest: dict[Schedule, int] = {}
    seconds: Counter[Schedule] = Counter()
    for second, number in runs.most_common():
        if number <= RUNS_PER_SECOND:
            break
        fullest.setdefault(most[second], second)
        seconds[most[second]] += 1
    return [
        CrowdedInstant(second * 1000, runs[second], schedule, schedules[schedule], seconds[schedule])
        for schedule, second in list(fullest.items())[:_MAX_CROWDS]
    ]
