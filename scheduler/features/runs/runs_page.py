"""The page /api/dashboard/runs: the runs of all jobs, the newest first, below how they ended over time. Read-only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from jobs.formats import format_iso_instant
from jobs.runs import Outcome
from scheduler.api.dashboard.rendering.axes import Tick, TimeAxis
from scheduler.api.dashboard.rendering.filters import (
    PAGE_SIZE,
    FilterText,
    PeriodDep,
    PeriodFilter,
    find_job_error,
    is_job_name,
    keep_filters,
    offer_jobs,
)
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import RUNS_PATH, run_page_path
from scheduler.api.dashboard.rendering.preferences import find_preferences, make_link
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep, parse_choice
from scheduler.features.jobs.selection import NAME_FILTER, InvalidFilter, JobSelection, match_jobs, parse_selection
from scheduler.features.statistics.periods import HOUR, hour_of
from scheduler.features.statistics.sums import RunSeries, SeriesPoint
from scheduler.services import Services
from scheduler.stores.runs.pages import FIRST_FINISHED, RunPage
from scheduler.stores.runs.repository import RUN_FILTERS, RunRecord, RunState
from scheduler.stores.runs.rollups.tally import Tally

MAX_OPEN: Final = 100
"""Runs of each state that are listed as not finished."""
MAX_HISTOGRAM: Final = timedelta(days=90)
DEFAULT_HISTOGRAM: Final = timedelta(days=1)
MAX_WAIT_S: Final = 0.5
"""Seconds that a request waits for the counts of thousands of jobs. A later one has them."""
_MINUTE, _MILLISECOND = timedelta(minutes=1), timedelta(milliseconds=1)
_MIN_BLOCK: Final = 4.0
"""Percent of the height: one failure among thousands of runs is visible."""
_DURATION_QUANTILE: Final = 0.95
_OPEN: Final = (RunState.RUNNING, RunState.QUEUED)

router = ApiRouter(in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class RunFilters:
    """The filters of the address. `error`: what is wrong with one of them, else empty."""

    job: str
    tag: str
    outcome: str
    period: PeriodFilter
    selection: JobSelection
    error: str

    @property
    def is_job(self) -> bool:
        """Whether they select one job by its name."""
        return is_job_name(self.job)

    @property
    def query(self) -> dict[str, str]:
        period = self.period
        return keep_filters(job=self.job, tag=self.tag, outcome=self.outcome, since=period.since, until=period.until)

    @property
    def api_query(self) -> dict[str, str]:
        job = {"job" if self.is_job else "name": self.job}
        return keep_filters(**job, tag=self.tag, outcome=self.outcome) | self.period.api_query

    def without(self, *names: str, **changes: str) -> dict[str, str]:
        """Return the query of a link with other values of some filters."""
        return {name: value for name, value in self.query.items() if name not in names} | changes


@router.read(RUNS_PATH)
async def show_runs(
    request: Request,
    uses: ServicesDep,
    period: PeriodDep,
    job: FilterText = "",
    tag: FilterText = "",
    outcome: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of runs. A filter that is invalid is named, and nothing is listed. `job`: also the id of a run."""
    if "@" in job and await uses.queries.find_run(job.strip()) is not None:
        return RedirectResponse(make_link(request)(run_page_path(job.strip())), HTTPStatus.SEE_OTHER)
    filters = _parse_filters(uses, job.strip(), tag.strip(), outcome, period)
    open_runs, found, error = await _read_runs(uses, filters, continuation or None)
    now = uses.clock.now().astimezone(find_preferences(request).zone)
    series = None if error else await _read_series(uses, filters, now)
    return await respond(
        request,
        uses,
        "operations/runs.html",
        page="runs",
        path_of_page=RUNS_PATH,
        filters=filters,
        outcomes=RUN_FILTERS,
        counts={} if series is None else _count_outcomes(series),
        names=offer_jobs(uses.queries),
        open_runs=open_runs,
        runs=found,
        longest_ms=_find_longest(found.records),
        histogram=None if series is None else draw_histogram(series, now),
        error=error,
        is_first=not continuation,
    )


def _parse_filters(uses: Services, job: str, tag: str, outcome: str, period: PeriodFilter) -> RunFilters:
    chosen, error, selection = parse_choice("outcome", outcome, ("", *RUN_FILTERS)), period.error, JobSelection()
    if not error and job and not is_job_name(job) and re.fullmatch(NAME_FILTER, job, re.ASCII) is None:
        is_id = "@" in job
        error = (
            f"There is no run {job!r}: retention may have removed it." if is_id else find_job_error(uses.queries, job)
        )
    elif not error:
        try:
            selection = parse_selection(names=[job] if job else [], tags=[tag] if tag else [])
        except InvalidFilter as invalid:
            error = f"{invalid.message}: {invalid.hint}"
    return RunFilters(job, tag, chosen, period, selection, error)


async def _read_runs(
    uses: Services, filters: RunFilters, continuation: str | None
) -> tuple[Sequence[RunRecord], RunPage, str]:
    """Return the runs that have not finished, a page of those that have, and what is wrong with a filter.

    With a filter by state, the page has the runs in that state.
    """
    if filters.error:
        return (), RunPage((), None), filters.error

    async def read(outcome: str | None, limit: int, continuation: str | None = None) -> RunPage:
        return await uses.queries.list_runs(
            job=filters.job if filters.is_job else None,
            matches_job=match_jobs(uses.queries.current_jobs(), filters.selection),
            outcome=outcome,
            due=filters.period.period,
            limit=limit,
            continuation=continuation,
        )

    if continuation is None and not filters.is_job and not filters.outcome:
        *pages, found = await asyncio.gather(
            *(read(state, MAX_OPEN) for state in _OPEN), read(None, PAGE_SIZE, FIRST_FINISHED)
        )
        finished = {record.ticket.id for record in found.records}
        return [each for page in pages for each in page.records if each.ticket.id not in finished], found, ""
    found = await read(filters.outcome or None, PAGE_SIZE, continuation)
    if filters.outcome in _OPEN:
        return (), found, ""
    # A deleted job can still have runs.
    error = find_job_error(uses.queries, filters.job) if filters.is_job and not found.records else ""
    ended = tuple(each for each in found.records if each.run is not None)
    return [each for each in found.records if each.run is None], RunPage(ended, found.continuation), error


async def _read_series(uses: Services, filters: RunFilters, now: datetime) -> RunSeries | None:
    """Return the counts of the runs over time; None without a job, and while they are read."""
    matches, names = match_jobs(uses.queries.current_jobs(), filters.selection), uses.queries.job_names()
    jobs = names if matches is None else [name for name in names if matches(name)]
    since, until = _find_ends(filters.period, now)
    if not jobs or since >= until:
        return None
    try:
        async with asyncio.timeout(MAX_WAIT_S):
            return await uses.stats.read_outcomes(jobs, since, until)
    except TimeoutError:
        return None


def _find_ends(period: PeriodFilter, now: datetime) -> tuple[datetime, datetime]:
    """Return the time that the histogram covers, in full minutes: the period, else the last 24 hours."""
    chosen = period.period
    current = hour_of(now) + HOUR if chosen.since is None else now.astimezone(UTC) + _MINUTE
    until = min(current, chosen.until + _MINUTE - _MILLISECOND) if chosen.until is not None else current
    until = until.replace(second=0, microsecond=0)
    since = until - DEFAULT_HISTOGRAM if chosen.since is None else chosen.since.replace(second=0, microsecond=0)
    return max(since, until - MAX_HISTOGRAM), until


def _count_outcomes(series: RunSeries) -> Mapping[Outcome, int]:
    return {outcome: sum(point.tally.count(outcome) for point in series.points) for outcome in Outcome}


def _find_longest(records: Sequence[RunRecord]) -> float:
    """Return the milliseconds of the longest bar: of few runs that took much longer, the bar is cut."""
    durations = sorted(each.run.duration_ms for each in records if each.run is not None and each.run.attempts)
    return durations[int(_DURATION_QUANTILE * (len(durations) - 1))] if durations else 0.0


@dataclass(frozen=True, slots=True)
class HistogramBlock:
    """`kind`: `up`, `degraded`, `unknown`, `other` or `down`. `top` and `height` in percent."""

    kind: str
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """A span of time. `place` and `width` in percent; `text`: its time and its counts; `query`: its ends."""

    place: float
    width: float
    blocks: Sequence[HistogramBlock]
    text: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OutcomeHistogram:
    """`label`: what it shows, in a sentence. `most`: runs of the highest bar."""

    bars: Sequence[HistogramBar]
    ticks: Sequence[Tick]
    label: str
    most: int


def draw_histogram(series: RunSeries, now: datetime) -> OutcomeHistogram | None:
    """Return the bars of a series in the time zone of `now`; None without a run."""
    most = max((point.tally.runs for point in series.points), default=0)
    if not most:
        return None
    axis = TimeAxis(series.points[0].start, series.points[-1].start + series.span, now.tzinfo or UTC)
    bars = [_draw_bar(point, series.span, axis, most) for point in series.points]
    counts = _describe_counts(series.total)
    label = f"Runs from {axis.format(axis.since)} to {axis.format(axis.until)}: {counts}"
    return OutcomeHistogram(bars, axis.ticks, label, most)


def _draw_bar(point: SeriesPoint, span: timedelta, axis: TimeAxis, most: int) -> HistogramBar:
    place, end = axis.place(point.start), point.start + span
    tally = point.tally
    good = tally.count(Outcome.SUCCEEDED)
    counts = {"up": good - tally.degraded, "degraded": tally.degraded, "unknown": tally.unknown}
    others = tally.runs - good - tally.down - tally.unknown
    blocks = list(stack_blocks(counts | {"other": others, "down": tally.down}, most))
    local = end.astimezone(axis.zone)
    text = f"{axis.format(point.start)} to {local:%H:%M}: {_describe_counts(tally)}"
    ends = {"from": point.start, "to": end - _MILLISECOND}
    query = {name: format_iso_instant(at, precise=name == "to") for name, at in ends.items()}
    return HistogramBar(place, round(axis.place(end) - place, 3), blocks, text, query)


def stack_blocks(counts: Mapping[str, int], most: int) -> Iterator[HistogramBlock]:
    """Yield the blocks from the lower edge on. `most`: runs of the highest bar."""
    heights = {kind: max(100 * count / most, _MIN_BLOCK) for kind, count in counts.items() if count}
    factor = 100 / max(100.0, sum(heights.values()))
    top = 100.0
    for kind, height in heights.items():
        top -= height * factor
        yield HistogramBlock(kind, round(max(top, 0.0), 2), round(height * factor, 2))


def _describe_counts(tally: Tally) -> str:
    """Return `120 runs, 3 failed, 1 timed out`; `no run`."""
    if not tally.runs:
        return "no run"
    counts = {outcome.replace("_", " "): tally.count(outcome) for outcome in Outcome}
    counts |= {"succeeded": 0, "skipped": tally.count(Outcome.SKIPPED) - tally.unknown}
    counts |= {"unknown": tally.unknown, "degraded": tally.degraded}
    shown = [f"{count:,} {word}" for word, count in counts.items() if count]
    return ", ".join([f"{tally.runs:,} {'run' if tally.runs == 1 else 'runs'}", *shown])
