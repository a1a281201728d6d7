"""The list of a job's runs with its filters and pages. Called by scheduler.api.dashboard.jobs.job_page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Query

from jobs.problems import describe_wrong_choice, make_printable
from jobs.runs import Trigger
from scheduler.api.dashboard.jobs.chart_period import ChartPeriod
from scheduler.api.dependencies import parse_outcome
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.features.runs.queries import list_filtered_runs
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.stores.runs.repository import RUN_FILTERS, RunPage

RUNS_PER_PAGE: Final = 20
"""Runs listed on a page."""
OUTCOMES: Final = tuple(str(outcome) for outcome in RUN_FILTERS)
TRIGGERS: Final = tuple(str(trigger) for trigger in Trigger)
_MILLISECOND = timedelta(milliseconds=1)

OutcomeFilter = Annotated[str | None, Query(max_length=20)]
TriggerFilter = Annotated[str | None, Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """`query`: the parameters of the filters. `is_older`: it is not the first page."""

    page: RunPage
    outcome: str
    trigger: str
    query: Mapping[str, str]
    is_older: bool


async def read_run_list(
    queries: JobAndRunQueries,
    job: str,
    period: ChartPeriod,
    filters: tuple[str | None, str | None],
    continuation: str | None,
) -> ListedRuns:
    """Return the runs of the period, or the latest ones if it is the default. Raises InvalidRequest, StoreError."""
    outcome, trigger = parse_outcome(filters[0] or None), _parse_trigger(filters[1])
    due = ANY_TIME if period.is_default else TimeRange(period.since, period.until - _MILLISECOND)
    try:
        page = await list_filtered_runs(
            queries, job, outcome=outcome, trigger=trigger, due=due, limit=RUNS_PER_PAGE, continuation=continuation
        )
    except ValueError as error:
        message = make_printable(str(error), 200)
        raise InvalidRequest(InvalidInput(location="query.continuation", message=message)) from None
    query = {name: value for name, value in (("outcome", outcome), ("trigger", trigger)) if value}
    return ListedRuns(page, outcome or "", trigger or "", query, continuation is not None)


def _parse_trigger(trigger: str | None) -> str | None:
    if trigger and trigger not in TRIGGERS:
        message, hint = describe_wrong_choice(trigger, TRIGGERS)
        raise InvalidRequest(InvalidInput(location="query.trigger", message=message, hint=hint))
    return trigger or None
