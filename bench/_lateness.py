"""What lateness measures: the jobs, the window, and how rows and arrivals are counted. Used by bench.lateness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench._parts import percentile
from jobs.runs import Outcome, Run
from scheduler.stores.runs.repository import Runs

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
    """Further runs of a job at an instant that has one."""
    doubled_arrivals: int
    """Further requests of a run that has already sent one."""
    missing: int
    """Due instants without a finished run."""


def figures(due: set[tuple[str, int]], rows: Iterable[Run], arrivals: Mapping[str, Sequence[float]]) -> Figures:
    """`arrivals`: Unix seconds by run id."""
    counted = [row for row in rows if (row.job, _ms(row.due_at)) in due]
    times = Counter((row.job, _ms(row.due_at)) for row in counted)
    observed = {row.id: arrivals[row.id] for row in counted if row.id in arrivals}
    return Figures(
        recorded=[row.lateness_ms for row in counted if row.outcome is not Outcome.SKIPPED],
        arrived=[(min(observed[row.id]) - row.due_at.timestamp()) * 1000 for row in counted if row.id in observed],
        runs=len(counted),
        unsuccessful=Counter(
            f"{row.outcome}: {row.message}" for row in counted if row.outcome is not Outcome.SUCCEEDED
        ),
        doubled_rows=sum(number - 1 for number in times.values()),
        doubled_arrivals=sum(len(found) - 1 for found in observed.values()),
        missing=len(due - times.keys()),
    )


async def finished_runs(runs: Runs) -> list[Run]:
    """All of them."""
    found: list[Run] = []
    continuation = None
    while True:
        page = await runs.list_page(limit=_PAGE, continuation=continuation)
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
