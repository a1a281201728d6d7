"""A plan as Markdown for a pull request, with the load before and after it. Pure.

The load is computed as the schedule page of the dashboard does, for the next 24 h; pauses and windows are not
considered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobs.formats import describe_milliseconds, format_count, write_definition
from jobs.schedules import to_milliseconds
from jobs.warnings.instants import CrowdedInstant, find_crowded_instants
from scheduler.features.delivery.markdown import cell, code, details, fenced, format_in_zone, join_sections, table
from scheduler.features.forecast.counting import ForecastCounts, count_due
from scheduler.features.forecast.grid import CounterFactory, ForecastGrid, ForecastRange, create_grid
from scheduler.features.forecast.load import GroupContention, compute_load, find_contention
from scheduler.features.forecast.schedule_changes import SuspensionFinder
from scheduler.features.jobs.definitions import written_definition
from scheduler.turns import finish_at_once

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.features.delivery.port import AlertReplay
    from scheduler.features.forecast.load import RunDuration
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan

LOAD_RANGE: Final = ForecastRange.DAY
_RANGE_MARGIN: Final = timedelta(hours=1)
MAX_FIELDS: Final = 200
"""Changed fields in the table."""
MAX_JOBS: Final = 50
"""Jobs with their definitions or next runs."""
MAX_MESSAGES: Final = 50
_DIGITS: Final = 10
"""Below this number, a rate is shown with a fraction."""


class Peak(NamedTuple):
    """The highest value of a cell of ten minutes, and where it begins."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class LoadSide:
    """`runs`: of the next 24 h. `rate`: runs a second. `busiest`: its peak. `concurrency`: the peak of the mean number
    of runs in-flight. `unknown`: scheduled jobs without a finished run, whose work is not included. `groups`:
    concurrency groups in which runs wait. `crowds`: seconds with more runs than one process can start.
    """

    jobs: int
    runs: int
    rate: float
    busiest: Peak
    concurrency: Peak
    unknown: int
    groups: Sequence[GroupContention]
    is_estimated: bool
    crowds: Sequence[CrowdedInstant] = ()


@dataclass(frozen=True, slots=True)
class LoadChange:
    before: LoadSide
    after: LoadSide


def compute_load_change(
    before: Iterable[JobDefinition],
    after: Iterable[JobDefinition],
    durations: Mapping[str, RunDuration],
    zone: tzinfo,
    now: datetime,
) -> LoadChange:
    """Return the load of both sets of jobs. Takes half a second for 5,000 jobs."""
    grid = create_grid(LOAD_RANGE, zone, now)
    counters = CounterFactory(to_milliseconds(grid.since - _RANGE_MARGIN), to_milliseconds(grid.until + _RANGE_MARGIN))
    return LoadChange(*(_compute_side(jobs, durations, grid, counters) for jobs in (before, after)))


def _compute_side(
    jobs: Iterable[JobDefinition], durations: Mapping[str, RunDuration], grid: ForecastGrid, counters: CounterFactory
) -> LoadSide:
    jobs = list(jobs)
    nothing = SuspensionFinder({}, (), (), grid.since, grid.until)
    counts: ForecastCounts = finish_at_once(count_due(jobs, grid, counters, nothing))
    load = finish_at_once(compute_load(counts, durations))
    groups = [each for each in finish_at_once(find_contention(counts, durations)) if each.is_contended]
    rates = [runs / cell.seconds for runs, cell in zip(counts.every.runs, grid.cells, strict=True)]
    seconds = (grid.until - grid.since).total_seconds()
    return LoadSide(
        jobs=counts.jobs,
        runs=counts.runs,
        rate=counts.runs / seconds,
        busiest=_find_peak(rates, grid),
        concurrency=_find_peak(load.concurrency, grid),
        unknown=load.unknown,
        groups=groups,
        is_estimated=counts.is_estimated,
        crowds=find_crowded_instants(jobs, to_milliseconds(grid.since)),
    )


def _find_peak(values: Sequence[float], grid: ForecastGrid) -> Peak:
    cell = max(range(len(values)), key=values.__getitem__)
    return Peak(values[cell], grid.cells[cell].begin)


@dataclass(frozen=True, slots=True)
class PlanReport:
    """`definitions`: the jobs after the plan, by name. `alerts` None: no job changes its alerts.

    `sections`: changed entries of job files that are not jobs; None: they are not compared.
    """

    plan: SetPlan
    definitions: Mapping[str, JobDefinition]
    load: LoadChange
    alerts: AlertReplay | None
    zone: tzinfo
    sections: Sequence[JobDifference] | None = None


def write_plan(report: PlanReport) -> str:
    """Return the comment."""
    plan = report.plan
    return join_sections(
        (
            _summarize(plan),
            _list_reasons("Conflicts: nothing can be applied", "Reason", plan.conflicts),
            _list_reasons("Denied targets: runs of these jobs would fail", "Reason", plan.review.denied),
            _list_reasons(
                "Unavailable secrets: runs would fail",
                "Reason",
                {each.key: each.message for each in plan.review.secrets},
                "Key",
            ),
            _list_fields("Changed fields", "Job", plan.changed),
            *_list_sections(report),
            *_list_definitions(report),
            _list_next_runs(plan, report.zone),
            _describe_load(report.load, report.zone),
            _describe_alerts(report.alerts, report.zone),
            _list_reasons("Warnings", "Warning", {each.key: each.message for each in plan.review.warnings}, "Key"),
            [f"Plan hash: {code(plan.id)}"] if plan.id and not plan.conflicts else [],
        )
    )


def write_missing_plan(reason: str, owner: str, jobs: int) -> str:
    """Return the comment where the scheduler cannot plan. `jobs`: the number of those in the files."""
    return join_sections(
        (
            [f"### Plan of the {_name_subject(owner)}: not available"],
            [f"**Warning:** {code(reason, 400)}"],
            [f"The files are valid: {format_count(jobs, 'job')}. What they change is not known before the release."],
        )
    )


def _name_subject(owner: str) -> str:
    return f"set {code(owner)}" if owner else "job files"


def _summarize(plan: SetPlan) -> list[str]:
    counts = [(len(plan.added), "added"), (len(plan.changed), "changed"), (len(plan.removed), "removed")]
    changes = ", ".join(f"{count} {word}" for count, word in counts if count) or "no change"
    lines = [f"### Plan of the {_name_subject(plan.owner)}: {changes}, {plan.unchanged} unchanged"]
    rows = [
        [sign, cell(one.name)]
        for sign, side in (("added", plan.added), ("changed", plan.changed), ("removed", plan.removed))
        for one in side
    ]
    if not rows:
        return lines
    return [*lines, "", *table(["", "Job"], rows[:MAX_FIELDS]), *_count_rest(rows, MAX_FIELDS)]


def _list_reasons(title: str, column: str, reasons: Mapping[str, str], subject: str = "Job") -> list[str]:
    if not reasons:
        return []
    rows = [[cell(name), cell(reason, 400)] for name, reason in reasons.items()]
    return [f"#### {title}", "", *table([subject, column], rows[:MAX_FIELDS]), *_count_rest(rows, MAX_FIELDS)]


def _list_fields(title: str, subject: str, changed: Sequence[JobDifference]) -> list[str]:
    rows = [
        [cell(one.name), cell(change.path), cell(_format(change.before)), cell(_format(change.after))]
        for one in changed
        for change in one.fields
    ]
    if not rows:
        return []
    lines = table([subject, "Field", "Before", "After"], rows[:MAX_FIELDS])
    return [f"#### {title}", "", *lines, *_count_rest(rows, MAX_FIELDS)]


def _list_sections(report: PlanReport) -> Iterator[list[str]]:
    if report.sections is not None:
        yield _list_fields("Changed alerting, objectives and groups", "Key", report.sections)
    elif not report.plan.owner:
        yield ["Alerting, objectives and groups of the files are not compared over the API."]


def _list_definitions(report: PlanReport) -> Iterator[list[str]]:
    """Yield the definition of each new job, which a reviewer does not know."""
    for one in report.plan.added[:MAX_JOBS]:
        job = report.definitions.get(one.name)
        if job is not None:
            text = write_definition({one.name: written_definition(job)})
            yield details("Definition of a new job", [code(one.name), "", *fenced(text.splitlines(), "yaml")])


def _list_next_runs(plan: SetPlan, zone: tzinfo) -> list[str]:
    moved = [one for one in (*plan.added, *plan.changed, *plan.removed) if [*one.next_before] != [*one.next_after]]
    if not moved:
        return ["Next runs: the same instants." if plan.changed else ""]
    lines: list[str] = []
    for one in moved[:MAX_JOBS]:
        lines += [code(one.name), "", *table(["", "Before", "After"], _pair_runs(one, zone)), ""]
    return [*details("Next runs before and after", lines[:-1]), *_count_rest(moved, MAX_JOBS)]


def _pair_runs(difference: JobDifference, zone: tzinfo) -> Iterator[list[str]]:
    for number in range(max(len(difference.next_before), len(difference.next_after))):
        sides = (
            format_in_zone(side[number], zone) if number < len(side) else "-"
            for side in (difference.next_before, difference.next_after)
        )
        yield [str(number + 1), *sides]


def _describe_load(load: LoadChange, zone: tzinfo) -> list[str]:
    before, after = load.before, load.after
    rows = [
        ["Jobs", f"{before.jobs}", f"{after.jobs}"],
        ["Runs in 24 h", _count(before.runs, before), _count(after.runs, after)],
        ["Runs a second", _rate(before.rate), _rate(after.rate)],
        ["Most runs a second", _peak(before, zone), _peak(after, zone)],
        ["Most runs at a time (mean of ten minutes)", _rate(before.concurrency.value), _rate(after.concurrency.value)],
        ["Jobs of unknown duration", f"{before.unknown}", f"{after.unknown}"],
    ]
    lines = ["#### Load of the next 24 h", "", *table(["", "Before", "After"], rows)]
    known = {each.group.name: each for each in before.groups}
    for group in after.groups:
        was = known.get(group.group.name)
        waits = f"{group.waits} runs would wait, up to {describe_milliseconds(group.longest_wait_ms)}"
        skipped = f", {group.skipped} would be skipped" if group.skipped else ""
        earlier = f" (before: {was.waits})" if was is not None else " (before: 0)"
        lines += ["", f"Concurrency group {code(group.group.name)}: {waits}{skipped}{earlier}."]
    for crowd in after.crowds:
        lines += ["", f"**Warning:** {crowd.message}. To change: {crowd.hint}."]
    return lines


def _describe_alerts(alerts: AlertReplay | None, zone: tzinfo) -> list[str]:
    if alerts is None:
        return ["Alerts: no job changes its alerts, alert parents, objectives or tags."]
    since = format_in_zone(alerts.since, zone)
    lines = [
        "#### Alerts that would have fired",
        "",
        f"Since {since}: {alerts.sent} notifications were sent, {alerts.would_be_sent} would have been.",
    ]
    changed = [each for each in alerts.messages if each.difference != "same"]
    rows = [
        [format_in_zone(each.at, zone), *map(cell, (each.job, each.rule, each.channel, each.kind, each.difference))]
        for each in changed
    ]
    if rows:
        titles = ["At", "Job", "Rule", "Channel", "Message", "Difference"]
        lines += ["", *table(titles, rows[:MAX_MESSAGES]), *_count_rest(rows, MAX_MESSAGES)]
    for note in alerts.notes:
        lines += ["", code(note, 400)]
    return lines


def _count_rest(rows: Sequence[object], limit: int) -> list[str]:
    return ["", f"{len(rows) - limit} more are not listed."] if len(rows) > limit else []


def _format(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _count(runs: int, side: LoadSide) -> str:
    return f"about {runs}" if side.is_estimated else f"{runs}"


def _rate(value: float) -> str:
    return f"{value:.2g}" if value < _DIGITS else f"{value:.0f}"


def _peak(side: LoadSide, zone: tzinfo) -> str:
    return f"{_rate(side.busiest.value)} from {format_in_zone(side.busiest.at, zone)}" if side.runs else "0"
