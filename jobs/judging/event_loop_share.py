"""Decides which judgements run on the event loop: short ones, within a share of the loop's time.

Called by service.py. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

LOOP_TRY_SECONDS = 0.005
"""CPU seconds of one judgement on the event loop."""
SHORT_JUDGEMENT_SECONDS = 0.002
"""A job whose judgement took longer uses the process for LOOP_RETRY_SECONDS."""
LOOP_RETRY_SECONDS = 600.0
"""How long such a job uses the process."""
LOOP_TIME_SHARE = 0.1
"""Share of the event loop's time for all judgements on it."""
LOOP_BURST_SECONDS = 0.1
"""Seconds that can be used in one burst: the share of one second."""

_MOST_REMEMBERED_JOBS = 10_000


class EventLoopShare:
    """The time share of judgements on the event loop. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._remaining = LOOP_BURST_SECONDS
        self._at = clock()
        self._process_until: OrderedDict[str, float] = OrderedDict()
        """Until when the judgements of a job run in the process."""

    def can_judge(self, job: str) -> bool:
        """Whether a judgement of this job can run on the event loop now."""
        now = self._clock()
        until = self._process_until.get(job)
        if until is not None and now < until:
            return False
        self._remaining = min(self._remaining + (now - self._at) * LOOP_TIME_SHARE, LOOP_BURST_SECONDS)
        self._at = now
        return self._remaining > 0

    def record_on_loop(self, job: str, seconds: float) -> None:
        """Record the time of a judgement on the event loop."""
        self._remaining -= seconds
        if seconds > SHORT_JUDGEMENT_SECONDS:
            self._send_to_process(job)

    def record_in_process(self, job: str, seconds: float) -> None:
        """Record the time of a judgement in the process: a short one returns the job to the event loop."""
        if seconds > SHORT_JUDGEMENT_SECONDS:
            self._send_to_process(job)
        else:
            self._process_until.pop(job, None)

    def _send_to_process(self, job: str) -> None:
        self._process_until[job] = self._clock() + LOOP_RETRY_SECONDS
        self._process_until.move_to_end(job)
        if len(self._process_until) > _MOST_REMEMBERED_JOBS:
            self._process_until.popitem(last=False)
