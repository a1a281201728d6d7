"""Decides which judgements run on the event loop: short ones, within a share of the loop's time.

Called by service.py. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

TRY_SECONDS = 0.005
"""CPU seconds of one judgement on the event loop."""
SHORT_SECONDS = 0.002
"""A job whose judgement took longer uses the process for LOOP_RETRY_SECONDS."""
RETRY_SECONDS = 600.0
"""How long such a job uses the process."""
SHARE = 0.1
"""Share of the event loop's time for all judgements on it."""
BURST_SECONDS = 0.1
"""Seconds that can be used in one burst: the share of one second."""

_MOST_REMEMBERED = 10_000


class AtOnce:
    """The time share of judgements on the event loop. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = BURST_SECONDS
        self._at = clock()
        self._elsewhere: OrderedDict[str, float] = OrderedDict()
        """Until when the judgements of a job run in the process."""

    def allows(self, job: str) -> bool:
        """Whether a judgement of this job can run on the event loop now."""
        now = self._clock()
        until = self._elsewhere.get(job)
        if until is not None and now < until:
            return False
        self._left = min(self._left + (now - self._at) * SHARE, BURST_SECONDS)
        self._at = now
        return self._left > 0

    def took(self, job: str, seconds: float) -> None:
        """Record the time of a judgement on the event loop."""
        self._left -= seconds
        if seconds > SHORT_SECONDS:
            self._remember(job)

    def took_elsewhere(self, job: str, seconds: float) -> None:
        """Record the time of a judgement in the process: a short one returns the job to the event loop."""
        if seconds > SHORT_SECONDS:
            self._remember(job)
        else:
            self._elsewhere.pop(job, None)

    def _remember(self, job: str) -> None:
        self._elsewhere[job] = self._clock() + RETRY_SECONDS
        self._elsewhere.move_to_end(job)
        if len(self._elsewhere) > _MOST_REMEMBERED:
            self._elsewhere.popitem(last=False)
