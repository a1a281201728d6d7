"""Predicts how runs wait for the slots of concurrency groups: a simulation of their queues. Pure.

Called by scheduler.queries.forecast.load_reader. Runs acquire slots in the order of their due instants, as in
scheduler.gates.slots, and last as long as their 95th percentile; a run that waits longer than the group allows is
skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace, merge
from typing import Final

from jobs.formats.durations import format_duration
from jobs.policies.groups import ConcurrencyGroup
from scheduler.queries.forecast.counting import DueJob, ForecastCounts
from scheduler.queries.forecast.durations import RunDuration
from scheduler.queries.forecast.grid import ForecastGrid
from scheduler.queries.forecast.upcoming import iterate_runs

MAX_SIMULATED: Final = 20_000
"""Runs of a group; a tenth of a second."""
MAX_SIMULATED_OF_ALL: Final = 100_000
"""Runs of all groups of a forecast."""
MAX_CAUSES: Final = 5
"""Jobs named as the cause."""
_YIELD_EVERY: Final = 100
_STEPS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600)
"""Seconds to which a proposed jitter is rounded up."""


@dataclass(slots=True)
class GroupContention:
    """The prediction for a group. `jobs`: those that are due; `unknown`: of these, those without a finished run, which
    are not included.

    `peak`: most runs that would be in-flight without a limit. `waits`: runs that wait, `skipped`: of these, longer than
    the group allows. `cells`: with a peak above the limit, and this peak. `together`: most runs due at one instant.
    `simulated_until`: milliseconds.
    """

    group: ConcurrencyGroup
    jobs: int
    unknown: int
    runs: int = 0
    peak: int = 0
    waits: int = 0
    skipped: int = 0
    longest_wait_ms: float = 0.0
    busy_ms: float = 0.0
    together: int = 0
    together_ms: float = 0.0
    cells: dict[int, int] = field(default_factory=dict)
    waits_of_jobs: Counter[str] = field(default_factory=Counter)
    simulated_until: int = 0

    @property
    def is_contended(self) -> bool:
        return self.waits > 0

    @property
    def causes(self) -> Sequence[str]:
        """The jobs that wait most often."""
        return [name for name, _ in self.waits_of_jobs.most_common(MAX_CAUSES)]

    def list_cells(self) -> Sequence[tuple[int, int]]:
        """Return the contended cells with their peaks, the highest first."""
        return sorted(self.cells.items(), key=lambda each: (-each[1], each[0]))

    def suggest(self, since: int) -> str:
        """Say what to change. `since`: the begin of the simulation in milliseconds."""
        if not self.waits:
            return ""
        mean = self.busy_ms / max(1, self.simulated_until - since)
        if mean > self.group.limit:
            return f"The runs need {mean:.1f} slots on average: raise the limit, or run the jobs less often."
        if self.together > self.group.limit:
            needed = self.together_ms / 1000 / self.group.limit
            spread = next((step for step in _STEPS if step >= needed), _STEPS[-1])
            return (
                f"{self.together} runs are due at the same instant: spread them with a jitter of "
                f"{format_duration(spread)} or with offsets, or raise the limit to {self.peak}."
            )
        return f"Runs overlap: move the schedules of these jobs apart, or raise the limit to {self.peak}."


def find_contention(
    counts: ForecastCounts, durations: Mapping[str, RunDuration]
) -> Generator[None, None, Sequence[GroupContention]]:
    """Return the prediction for each group with a due job: those with skipped and waiting runs first."""
    members: dict[str, list[DueJob]] = {}
    for due in counts.due:
        if due.job.concurrency_group is not None and due.runs:
            members.setdefault(due.job.concurrency_group.name, []).append(due)
    left, found = MAX_SIMULATED_OF_ALL, []
    for _, jobs in sorted(members.items()):
        known = [(due, durations[due.job.name].milliseconds) for due in jobs if due.job.name in durations]
        group = jobs[0].job.concurrency_group
        assert group is not None  # only such jobs were added
        contention = GroupContention(group, len(jobs), len(jobs) - len(known))
        yield from _simulate(contention, known, counts.grid, min(MAX_SIMULATED, left))
        left -= contention.runs
        found.append(contention)
    return sorted(found, key=lambda each: (-each.skipped, -each.waits, -each.peak, each.group.name))


def _simulate(
    found: GroupContention, jobs: Sequence[tuple[DueJob, float]], grid: ForecastGrid, most: int
) -> Generator[None, None, None]:
    slots = [0.0] * found.group.limit
    in_flight: list[float] = []
    place, previous, together, together_ms = 0, 0, 0, 0.0
    found.simulated_until = grid.edges[-1]
    for at, name, length in merge(*(_iterate(due, length, grid) for due, length in jobs)):
        if found.runs == most:
            found.simulated_until = at
            return
        while grid.edges[place + 1] <= at:
            place += 1
        together, together_ms = (together + 1, together_ms + length) if at == previous else (1, length)
        previous = at
        if together > found.together:
            found.together, found.together_ms = together, together_ms
        while in_flight and in_flight[0] <= at:
            heappop(in_flight)
        heappush(in_flight, at + length)
        _add_run(found, grid.cell_of_span[place], len(in_flight), length)
        _acquire(found, slots, at, name, length)
        if not found.runs % _YIELD_EVERY:
            yield


def _iterate(due: DueJob, length: float, grid: ForecastGrid) -> Iterator[tuple[int, str, float]]:
    for at in iterate_runs(due, grid.edges[0], grid.edges[-1]):
        yield at, due.job.name, length


def _add_run(found: GroupContention, cell: int, in_flight: int, length: float) -> None:
    found.runs += 1
    found.busy_ms += length
    found.peak = max(found.peak, in_flight)
    if in_flight > found.group.limit:
        found.cells[cell] = max(found.cells.get(cell, 0), in_flight)


def _acquire(found: GroupContention, slots: list[float], at: int, name: str, length: float) -> None:
    """`slots`: a heap of the instants at which each slot is free."""
    wait = max(0.0, slots[0] - at)
    if wait:
        found.waits += 1
        found.waits_of_jobs[name] += 1
        found.longest_wait_ms = max(found.longest_wait_ms, min(wait, 1000 * found.group.wait))
    if wait > 1000 * found.group.wait:
        found.skipped += 1
    else:
        heapreplace(slots, at + wait + length)
