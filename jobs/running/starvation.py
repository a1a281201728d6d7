"""Measures how much CPU the process lacks: attempts meanwhile have no response times of their targets.

Created by jobs.running.runner. Sources, each optional: the delay of the event loop (jobs.running.clocks), the time for
which the thread of the loop waited on a run queue, the time that other machines took from this one, and the time for
which a limit of the cgroup stopped the process. Only Linux has the last three.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.running.clocks import LostTime

SAMPLE_INTERVAL = 0.05
"""Seconds between two samples, which all attempts share. A sample takes a few microseconds."""
SLOW_SAMPLE_INTERVAL = 1.0
"""Seconds between two readings of the files of the machine and the cgroup, which take up to 0.25 ms."""
MIN_LACK = 0.01
"""Seconds of lack that an attempt may have: response times vary by as much."""
LACK_SHARE = 0.1
"""Of the response time: the lack that an attempt may have."""
STARVED_SHARE = 0.2
"""Of the last sample: from this lack on, each attempt is starved, also one that is shorter than a sample."""

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since the start. `waited`: by the thread of the event loop; None where the system does not count it.

    `stolen`: of a processor. `throttled`: by the limit of the cgroup.
    """

    waited: float | None
    stolen: float
    throttled: float


class CpuFiles:
    """Reads the files of Linux. One that does not exist or has another form counts as zero."""

    def __init__(self, root: Path = Path("/"), processors: int | None = None) -> None:
        self._root = root
        self._processors = processors or os.cpu_count() or 1
        self._waits: int | None = None
        """The open file of the thread that reads first, which is the thread of the event loop."""
        self._has_waits = True
        self._cgroup: Path | None = None
        self._slow_at = float("-inf")
        self._stolen = self._throttled = 0.0

    def read(self, now: float) -> CpuTimes:
        """Return the times. `now`: monotonic seconds."""
        if now - self._slow_at >= SLOW_SAMPLE_INTERVAL:
            if self._cgroup is None:
                self._cgroup = self._find_cgroup()
            self._slow_at = now
            self._stolen = self._read_stolen()
            self._throttled = self._read_throttled()
        return CpuTimes(self._read_waits() if self._has_waits else None, self._stolen, self._throttled)

    def close(self) -> None:
        if self._waits is not None:
            os.close(self._waits)
            self._waits = None
        self._has_waits = False

    def _read_waits(self) -> float | None:
        try:
            if self._waits is None:
                self._waits = os.open(self._root / "proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._waits, 128, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            self.close()
            return None

    def _read_stolen(self) -> float:
        fields = self._text("proc/stat").partition("\n")[0].split()
        if fields[:1] != ["cpu"] or len(fields) < 9 or not fields[8].isdecimal():
            return self._stolen
        return int(fields[8]) / _TICKS / self._processors

    def _read_throttled(self) -> float:
        pairs = (line.split() for line in self._text(self._cgroup or "").splitlines())
        values = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
        if "throttled_usec" in values:
            return values["throttled_usec"] / 1e6
        return values["throttled_time"] / 1e9 if "throttled_time" in values else self._throttled

    def _find_cgroup(self) -> Path:
        """Return the file of version 2 or 1. In a container the path of the process may be that of the host."""
        base = Path("sys/fs/cgroup")
        for line in self._text("proc/self/cgroup").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if number != "0" and "cpu" not in controllers.split(","):
                continue
            folders = [base] if number == "0" else [base / "cpu", base / "cpu,cpuacct"]
            for folder in folders:
                for place in (folder / path.lstrip("/") / "cpu.stat", folder / "cpu.stat"):
                    if self._text(place):
                        return place
        return base / "cpu.stat"

    def _text(self, path: Path | str) -> str:
        try:
            with (self._root / path).open("rb") as file:
                return file.read(_READ_BYTES).decode("ascii", "replace")
        except OSError:
            return ""


@dataclass(frozen=True, slots=True)
class StarvationReading:
    """Totals since the start: seconds of lack and of measured time, the part that a limit of the cgroup caused, and
    attempts, of which `starved` lacked CPU."""

    lack_s: float
    throttled_s: float
    attempts: int
    starved: int


class StarvationMeter:
    """One of a process. `files` None: only the delay of the event loop counts."""

    def __init__(self, lost_time: LostTime, read: Callable[[], float], files: CpuFiles | None = None) -> None:
        """`read`: returns monotonic seconds."""
        self._lost_time = lost_time
        self._read = read
        self._files = files
        self._lack = 0.0
        self._share = 0.0
        """Of the last sample."""
        self._since = float("-inf")
        self._delay = 0.0
        self._times: CpuTimes | None = None
        self._attempts = self._starved = 0

    def total(self) -> float:
        """Return the seconds for which the process lacked CPU so far, at most SAMPLE_INTERVAL ago."""
        now = self._read()
        if now - self._since >= SAMPLE_INTERVAL:
            self._sample(now)
        return self._lack

    def is_starved(self, lack_before: float, response_ms: float) -> bool:
        """Return whether an attempt that ends now lacked CPU. `lack_before`: the total at its start."""
        lack = self.total() - lack_before
        self._attempts += 1
        if lack <= MIN_LACK and self._share <= STARVED_SHARE:
            return False
        if self._share <= STARVED_SHARE and lack <= LACK_SHARE * response_ms / 1000:
            return False
        self._starved += 1
        return True

    def reading(self) -> StarvationReading:
        """Return the totals as they are now."""
        self.total()
        throttled = 0.0 if self._times is None else self._times.throttled
        return StarvationReading(self._lack, throttled, self._attempts, self._starved)

    def _sample(self, now: float) -> None:
        delay, times = self._lost_time.delay(), None if self._files is None else self._files.read(now)
        span = now - self._since
        if self._since > float("-inf"):
            own = 0.0 if times is None or self._times is None else _lack_between(self._times, times)
            # Both measure the same lack: a loop that waits for CPU is late.
            lack = min(max(delay - self._delay, own, 0.0), span)
            self._lack += lack
            self._share = lack / span
        self._since, self._delay, self._times = now, delay, times


def _lack_between(before: CpuTimes, after: CpuTimes) -> float:
    # A throttled thread waits on its run queue, so its waits contain the throttling.
    if before.waited is None or after.waited is None:
        waited = after.throttled - before.throttled
    else:
        waited = after.waited - before.waited
    return max(waited, 0.0) + max(after.stolen - before.stolen, 0.0)
