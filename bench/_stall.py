"""Stops a process for a while, and reports the effect on runs. Used by bench.lateness and tests."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.runs import Outcome, Run

NORMAL_MS = 1000.0
"""Lateness that counts as normal: far above what an idle machine shows, far below what a stall causes."""


@dataclass(frozen=True, slots=True)
class Stall:
    """`since`: Unix seconds."""

    pid: int
    since: float
    seconds: float

    @property
    def end(self) -> float:
        return self.since + self.seconds

    @contextmanager
    def made(self) -> Iterator[None]:
        """Stop the process at `since` and resume it at `end`, from a thread, within the block."""
        over = threading.Event()

        def stop_and_go_on() -> None:
            if over.wait(max(0.0, self.since - time.time())):
                return
            os.kill(self.pid, signal.SIGSTOP)
            try:
                over.wait(max(0.0, self.end - time.time()))
            finally:
                os.kill(self.pid, signal.SIGCONT)

        thread = threading.Thread(target=stop_and_go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def after_stall(stall: Stall, due: Iterable[tuple[str, int]], rows: Iterable[Run]) -> Mapping[str, float]:
    """How many due instants (job, Unix milliseconds) were late or skipped, and how long after the stall they ended.

    `recovered_s`: seconds from the end of the stall to the last due instant that was not run in time; 0 if they all
    lay before its end.
    """
    expected = set(due)
    runs = {(row.job, round(row.due_at.timestamp() * 1000)): row for row in rows}
    skipped = [at for job, at in expected if (row := runs.get((job, at))) and row.outcome is Outcome.SKIPPED]
    late = [at for job, at in expected if (row := runs.get((job, at))) and _is_late(row)]
    missing = [at for job, at in expected if (job, at) not in runs]
    last = max((*skipped, *late, *missing), default=0) / 1000
    return {"late": len(late), "skipped": len(skipped), "recovered_s": round(max(0.0, last - stall.end), 1)}


def _is_late(run: Run) -> bool:
    return run.outcome is not Outcome.SKIPPED and run.lateness_ms > NORMAL_MS
