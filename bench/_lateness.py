"""What lateness measures: the jobs, the window, and how rows and arrivals are counted. Used by bench.lateness."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench._parts import percentile
from jobs.runs import Outcome, Run
from scheduler.stores.runs import Runs

_ROUNDING = 0.002
"""Seconds by which a recorded instant may miss the target's own clock."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Load:
    """`count` jobs each `every` seconds, spread over that time or all on one instant."""

    count: int
    every: int
    burst: bool

    def definitions(self, target: str) -> dict[str, Any]:
        return {
            _name(number): {
                "schedule": {"every": f"{self.every}s"} | self._offset(number),
                "check": {"url": f"{target}/{_name(number)}"},
            }
            for number in range(self.count)
        }

    def due(self, since: float, seconds: float) -> set[tuple[str, int]]:
        """Every job and due instant (Unix milliseconds) from `since`, a multiple of `every`, for so many seconds."""
        rounds = range(round(seconds) // self.every)
        return {
            (_name(number), round(since * 1000) + self._offset_ms(number) + step * self.every * 1000)
            for number in range(self.count)
            for step in rounds
        }

    def _offset(self, number: int) -> dict[str, str]:
        offset = self._offset_ms(number)
        return {"offset": f"{offset}ms"} if offset else {}

    def _offset_ms(self, number: int) -> int:
        return 0 if self.burst else number * self.every * 1000 // self.count


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of lateness, as recorded and as the target saw it, and what was lost or doubled."""

    recorded: Sequence[float]
    arrived: Sequence[float]
    runs: int
    unsuccessful: Mapping[str, int]
    """How many runs ended so, by outcome and reason."""
    doubled_rows: int
    doubled_arrivals: int
    """Requests at the target that no run tells of, or that are the second one of a run."""
    missing: int


def figures(due: set[tuple[str, int]], rows: Iterable[Run], arrivals: Mapping[str, Sequence[float]]) -> Figures:
    """`arrivals`: Unix seconds by path."""
    of_job: defaultdict[str, list[Run]] = defaultdict(list)
    for row in rows:
        of_job[row.job].append(row)
    counted = [row for found in of_job.values() for row in found if (row.job, _ms(row.due_at)) in due]
    times: Counter[tuple[str, int]] = Counter((row.job, _ms(row.due_at)) for row in counted)
    arrived, unexplained = [], 0
    for job, found in of_job.items():
        first, more = _match(found, sorted(arrivals.get(f"/{job}", ())))
        arrived += [(at - row.due_at.timestamp()) * 1000 for row, at in first if (job, _ms(row.due_at)) in due]
        unexplained += more
    return Figures(
        recorded=[row.lateness_ms for row in counted if row.outcome is not Outcome.SKIPPED],
        arrived=arrived,
        runs=len(counted),
        unsuccessful=Counter(
            f"{row.outcome}: {row.message}" for row in counted if row.outcome is not Outcome.SUCCEEDED
        ),
        doubled_rows=sum(number - 1 for number in times.values()),
        doubled_arrivals=unexplained,
        missing=len(due - times.keys()),
    )


def _match(rows: Sequence[Run], arrivals: Sequence[float]) -> tuple[list[tuple[Run, float]], int]:
    """The first arrival within each run's time, and how many arrivals are in nobody's or come second.

    What arrived before the first of the rows or after the last is passed over: history may not hold its run.
    """
    ran = sorted((row for row in rows if row.attempts), key=lambda row: row.started_at)
    if not ran:
        return [], 0
    begin, end = ran[0].started_at.timestamp() - _ROUNDING, ran[-1].finished_at.timestamp() + _ROUNDING
    left = [at for at in arrivals if begin <= at <= end]
    found = []
    for row in ran:
        inside = [at for at in left if _inside(row, at)]
        if inside:
            found.append((row, inside[0]))
    return found, len(left) - len(found)


def _inside(row: Run, at: float) -> bool:
    return row.started_at.timestamp() - _ROUNDING <= at <= row.finished_at.timestamp() + _ROUNDING


async def finished_runs(runs: Runs) -> list[Run]:
    """All of them."""
    found: list[Run] = []
    continuation = None
    while True:
        page = await runs.list(limit=_PAGE, continuation=continuation)
        found += [record.run for record in page.records if record.run is not None]
        continuation = page.continuation
        if continuation is None:
            return found


def summary(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 and the greatest value."""
    return percentile(values, 0.5), percentile(values, 0.99), max(values)


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def _name(number: int) -> str:
    return f"late-{number:05d}"
