"""Which judgements are tried on the event loop: those that are short, and only as long as all of them together are.

Called by service.py. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

TRY_SECONDS = 0.005
"""Of computing, that a judgement gets on the event loop."""
SHORT_SECONDS = 0.002
"""A job whose judgement took longer does not get a try there for a while."""
RETRY_SECONDS = 600.0
"""That while."""
SHARE = 0.1
"""Of the time of the event loop, for all tries together."""
BURST_SECONDS = 0.1
"""The share of a second: so much may be used at once."""

_MOST_REMEMBERED = 10_000


class AtOnce:
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = BURST_SECONDS
        self._at = clock()
        self._elsewhere: OrderedDict[str, float] = OrderedDict()
        """Until when the judgements of a job go to the process at once."""

    def allows(self, job: str) -> bool:
        """Whether a judgement of this job is tried on the event loop now."""
        now = self._clock()
        until = self._elsewhere.get(job)
        if until is not None and now < until:
            return False
        self._left = min(self._left + (now - self._at) * SHARE, BURST_SECONDS)
        self._at = now
        return self._left > 0

    def took(self, job: str, seconds: float) -> None:
        """Note what a try took."""
        self._left -= seconds
        if seconds > SHORT_SECONDS:
            self._remember(job)

    def took_elsewhere(self, job: str, seconds: float) -> None:
        """Note what the process needed: the next one is tried here again if that was little."""
        if seconds > SHORT_SECONDS:
            self._remember(job)
        else:
            self._elsewhere.pop(job, None)

    def _remember(self, job: str) -> None:
        self._elsewhere[job] = self._clock() + RETRY_SECONDS
        self._elsewhere.move_to_end(job)
        if len(self._elsewhere) > _MOST_REMEMBERED:
            self._elsewhere.popitem(last=False)
