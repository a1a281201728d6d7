"""Reads the state of objectives: budget, burn rates, time to exhaustion, and the statement of a month.

Called by scheduler.api and scheduler.cli.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.definition.job_alerts import NamedObjective, list_objectives
from jobs.incidents.suppression.spans import Span
from jobs.objectives import (
    BURN_WINDOWS,
    NO_COUNTS,
    PRESENT_WINDOW,
    BudgetStatus,
    ErrorBudget,
    SliCounts,
    burn_rate_of,
    describe_budget,
    find_window_begin,
    find_window_end,
)
from jobs.ports import Clock
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.limited import LimitedCatalog
from scheduler.errors import NotFound
from scheduler.features.statistics.periods import HOUR, hour_of
from scheduler.queries.objectives.measuring import MeasuredJob, ObjectiveMeasurer
from scheduler.stores.runs.keys import instant_before
from scheduler.stores.runs.repository import Runs


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """An objective now. `windows`: counts by window of a burn rate. `ends_at`: of the budget."""

    objective: NamedObjective
    since: datetime
    until: datetime
    budget: ErrorBudget
    jobs: tuple[MeasuredJob, ...]
    windows: Mapping[timedelta, SliCounts]
    ends_at: datetime
    is_complete: bool

    @property
    def excluded(self) -> SliCounts:
        return sum((each.excluded for each in self.jobs), NO_COUNTS)

    @property
    def excluded_seconds(self) -> float:
        """Return the sum over all jobs."""
        return sum(each.excluded_seconds for each in self.jobs)

    @property
    def burn_rates(self) -> Mapping[timedelta, float | None]:
        return {window: burn_rate_of(counts, self.budget.error_ratio) for window, counts in self.windows.items()}

    @property
    def present_burn_rate(self) -> float | None:
        return self.burn_rates.get(PRESENT_WINDOW)

    @property
    def status(self) -> BudgetStatus:
        return self.budget.find_status(self.present_burn_rate)

    @property
    def time_left(self) -> timedelta | None:
        """Return when the budget is exhausted at the present burn rate; None if never, or not before it is renewed."""
        left = self.budget.find_time_left(self.present_burn_rate, self.ends_at - self.since)
        is_renewed = self.ends_at > self.until
        return None if left is not None and is_renewed and self.until + left > self.ends_at else left

    @property
    def text(self) -> str:
        return describe_budget(self.budget, self.present_burn_rate, self.time_left, self.objective.definition.unit)


@dataclass(frozen=True, slots=True)
class ObjectiveStatement:
    """An objective in a calendar month in UTC, until now if it has not ended."""

    objective: NamedObjective
    month: str
    since: datetime
    until: datetime
    has_ended: bool
    jobs: tuple[MeasuredJob, ...]
    is_complete: bool

    @property
    def budget(self) -> ErrorBudget:
        return ErrorBudget(self.objective.definition.target, _sum_counts(self.jobs))

    @property
    def is_met(self) -> bool | None:
        """Return None if nothing counts."""
        attained = self.budget.attained
        return None if attained is None else self.budget.remaining >= 0


@dataclass(frozen=True, slots=True)
class ObjectivePage:
    objectives: Sequence[ObjectiveState]
    continuation: str | None


class ObjectiveReader:
    """`age`: retention of rollups in seconds; `run_age`: of runs. All methods that await raise StoreError."""

    def __init__(
        self, catalog: Catalog, runs: Runs, measurer: ObjectiveMeasurer, clock: Clock, age: float, run_age: float
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self.measurer = measurer
        self._clock = clock
        self._age = age
        self._run_age = run_age

    async def read_page(self, *, limit: int, after: str = "") -> ObjectivePage:
        """Return objectives by name, each with the burn rate of the last hour only."""
        rest = [each for each in self.list_objectives() if each.name > after]
        found = [await self._read(each, (PRESENT_WINDOW,)) for each in rest[:limit]]
        return ObjectivePage(found, rest[limit - 1].name if len(rest) > limit else None)

    async def read_state(self, name: str) -> ObjectiveState:
        """Return an objective with the burn rates of all windows. Raises NotFound."""
        return await self.read_objective(self._find(name))

    async def read_objective(self, objective: NamedObjective) -> ObjectiveState:
        """Return the same of one that `list_objectives` has returned."""
        return await self._read(objective, BURN_WINDOWS)

    async def read_statement(self, name: str, month: str, within: Span) -> ObjectiveStatement:
        """`within`: the month in UTC, which has started. Raises NotFound."""
        objective, now = self._find(name), self._clock.now()
        since, end = within.begin, within.end
        until = min(end, now)
        jobs = tuple(await self.measurer.measure(objective, Span(since, until)))
        is_complete = await self._is_complete(objective, since, jobs)
        return ObjectiveStatement(objective, month, since, until, end <= now, jobs, is_complete)

    def list_objectives(self) -> Sequence[NamedObjective]:
        """Return the objectives of the jobs in force, by name.

        For a caller that is limited to tags, one without a job of the caller does not exist.
        """
        snapshot = self._catalog.snapshot
        found = list_objectives((entry.job for entry in snapshot), snapshot.alerting)
        return [each for each in found if each.jobs] if isinstance(self._catalog, LimitedCatalog) else found

    def _find(self, name: str) -> NamedObjective:
        known = {each.name: each for each in self.list_objectives()}
        if name not in known:
            origin = ": a job has one if its definition has slo, others are in the section objectives of job files"
            near = did_you_mean(suggest_name(name, known))
            raise NotFound(f"there is no objective named {name!r}{near or origin}")
        return known[name]

    async def _read(self, objective: NamedObjective, windows: Sequence[timedelta]) -> ObjectiveState:
        now, window = self._clock.now(), objective.definition.window
        since = hour_of(find_window_begin(window, now))
        ends_at = find_window_end(window, now)
        jobs = tuple(await self.measurer.measure(objective, Span(since, now)))
        counts = await self.measurer.measure_windows(objective, now, windows)
        scale = max((ends_at - since) / (now - since), 1.0) if now > since else 1.0
        budget = ErrorBudget(objective.definition.target, _sum_counts(jobs), scale)
        is_complete = await self._is_complete(objective, since, jobs)
        return ObjectiveState(objective, since, now, budget, jobs, counts, ends_at, is_complete)

    async def _is_complete(self, objective: NamedObjective, since: datetime, jobs: Sequence[MeasuredJob]) -> bool:
        if not all(each.is_complete for each in jobs):
            return False
        if objective.definition.counts == "time":
            return True
        now = self._clock.now()
        if since < hour_of(instant_before(now, self._age)) - HOUR:
            return False
        oldest = instant_before(now, self._run_age)
        found = [await self._runs.find_rollups_complete_since(job, oldest) for job in objective.jobs[:100]]
        return all(each is None or each <= since for each in found)


def _sum_counts(jobs: Sequence[MeasuredJob]) -> SliCounts:
    return sum((each.counts for each in jobs), NO_COUNTS)
