"""Decides whether this process lacks CPU for so long that the user must know. Called by watchdog.

Lateness, timeouts and long response times of a starved process look like a full `concurrency` or like slow targets.
More concurrency would make it worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.formats import format_count
from jobs.running.starvation import StarvationReading

MIN_SPAN = 30.0
"""Seconds that a judgement is about at least."""
OPEN_SHARE = 0.2
"""Of the time, or of the attempts: from this lack on, the process is starved."""
CLOSE_SHARE = 0.1
"""Below this lack it is not starved any more."""
MIN_ATTEMPTS = 20
"""With fewer attempts, their share shows nothing."""
_THROTTLED_SHARE = 0.05
"""Of the time: from then on the limit of the cgroup is the cause."""


@dataclass(frozen=True, slots=True)
class CpuReport:
    """Of this process, for the last `span_s` seconds. `lack_share` and `throttled_share`: of this time, from 0 to 1.

    `starved_attempts`: of `attempts`, those whose response time is unreliable.
    """

    is_starved: bool
    span_s: float
    lack_share: float
    throttled_share: float
    attempts: int
    starved_attempts: int


class CpuWatch:
    """`read`: returns the totals of this process. `monotonic`: in seconds."""

    def __init__(self, read: Callable[[], StarvationReading], monotonic: Callable[[], float]) -> None:
        self._read = read
        self._monotonic = monotonic
        self._before: tuple[float, StarvationReading] | None = None
        self._newest: CpuReport | None = None

    @property
    def newest(self) -> CpuReport | None:
        """The newest judgement; None before the first span has ended."""
        return self._newest

    def judge(self) -> CpuReport | None:
        """Judge the time since the last judgement if it is long enough, and return the newest judgement."""
        now, reading = self._monotonic(), self._read()
        if self._before is None:
            self._before = now, reading
            return None
        since, before = self._before
        if (span := now - since) < MIN_SPAN:
            return self._newest
        self._before = now, reading
        attempts, starved = reading.attempts - before.attempts, reading.starved - before.starved
        lack = min((reading.lack_s - before.lack_s) / span, 1.0)
        limit = CLOSE_SHARE if self._newest is not None and self._newest.is_starved else OPEN_SHARE
        is_starved = lack > limit or (attempts >= MIN_ATTEMPTS and starved > limit * attempts)
        throttled = max(reading.throttled_s - before.throttled_s, 0.0) / span
        self._newest = CpuReport(is_starved, round(span, 3), round(lack, 3), round(throttled, 3), attempts, starved)
        return self._newest


def describe_starvation(cpu: CpuReport | None) -> str:
    """Return the problem and the advice without a full stop; empty if the process has its CPU."""
    if cpu is None or not cpu.is_starved:
        return ""
    if cpu.throttled_share > _THROTTLED_SHARE:
        advice = "the CPU limit of the container stops it: raise the limit (cpu.max), "
    else:
        advice = "give the process more CPU, "
    return (
        f"the scheduler lacks CPU: for {cpu.lack_share:.0%} of the last {cpu.span_s:.0f} s it could not run, "
        f"{cpu.starved_attempts} of {format_count(cpu.attempts, 'attempt')} had no reliable response time; "
        f"{advice}spread the schedules (jitter, offset), or run more processes; more concurrency does not help"
    )
