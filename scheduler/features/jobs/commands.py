"""`jobs`: list the jobs in force with the next run and the latest outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobs.formats import describe_distance, format_count, format_iso_instant
from scheduler.cli.listing import Field, read_all, show_items, show_model
from scheduler.cli.output import Cell, Column, print_note
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import KindOption, StateOption, TagOption, parse_selection_options
from scheduler.cli.times import describe_no_next, describe_pause, format_instant

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.catalog.catalog import CatalogJob
    from scheduler.features.jobs.models import JobSummary, PauseModel
    from scheduler.features.jobs.queries import JobView
    from scheduler.features.jobs.selection import JobSelection
    from scheduler.stores.gates import Pause
    from scheduler.stores.runs.repository import RunRecord

_PAGE = 500
_MAX_REASON = 120


_NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="PATTERN", help="Only jobs whose name matches: * is any text, ? any character."),
]
_OutcomeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome",
        help="Only jobs whose latest run has this outcome: succeeded, failed, ...; none: jobs without runs.",
    ),
]


def jobs(
    names: _NameOption = None,
    kinds: KindOption = None,
    tags: TagOption = None,
    states: StateOption = None,
    outcomes: _OutcomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs.")] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print a job file that loads unchanged.")] = False,
) -> None:
    """List all jobs, or those that match the options: schedule, next run, latest outcome, target, and why a job is not
    well.

    A job must match every option. If an option is repeated, the job must match one of its values; for --tag, all of
    them.

    \b
    Examples:
      jobs
      jobs --name 'checkout-*' --state paused
      jobs --tag team=payments --outcome failed --outcome timed_out
      jobs | cut -f 1,3
      jobs --tag team=payments --yaml > payments.yaml
    """
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store

    selection = parse_selection_options(names, kinds, tags, states, outcomes, name_option="--name")
    configuration = load_for_command("jobs")
    show = _show_stored if find_connection() is None else _show_remote
    run_in_store(configuration, lambda program: show(program, selection, as_json, as_yaml))
    exit_if_incomplete(configuration)


async def _show_stored(program: ReadOnlyProgram, selection: JobSelection, as_json: bool, as_yaml: bool) -> None:
    views = await _views(program, selection)
    if not views:
        print_note(await _describe_empty(program, selection))
    if as_yaml:
        _print_job_file(view.entry for view in views)
    elif as_json:
        from scheduler.features.jobs.models import JobList
        from scheduler.features.jobs.views import summarize_job

        show_model(JobList(jobs=list(map(summarize_job, views)), continuation=None))
    else:
        _show(list(map(_ShownJob.from_view, views)), program.clock.now())


async def _show_remote(program: Any, selection: JobSelection, as_json: bool, as_yaml: bool) -> None:
    listed = await read_all(lambda after: program.queries.list_summaries(limit=_PAGE, after=after, selection=selection))
    if not listed.items:
        print_note(f"no job matches {selection}" if str(selection) else "there are no jobs")
    if as_yaml:
        from scheduler.catalog.catalog import CatalogJob

        definitions = await program.queries.read_definitions(selection) if listed.items else {}
        _print_job_file(
            CatalogJob(definitions[each.name], each.source) for each in listed.items if each.name in definitions
        )
    elif as_json:
        show_model(listed)
    else:
        _show(list(map(_ShownJob.from_summary, listed.items)), program.clock.now())


def _print_job_file(entries: Iterable[CatalogJob]) -> None:
    from scheduler.features.jobs.definitions import JobFileFormat, write_job_file

    for part in write_job_file(entries, JobFileFormat.YAML):
        print(part, end="")


class _ShownJob(NamedTuple):
    """What a line shows of a job. `schedule`: its text. `no_next`: why it has no next run."""

    name: str
    schedule: str
    runs_when: str
    no_next: str
    is_enabled: bool
    next_at: datetime | None
    latest: RunRecord | None
    endpoint: str
    target: str
    pause: Pause | PauseModel | None
    pause_text: str
    depends_on: str
    status: str
    wait: str
    reason: str
    last_known: str

    @classmethod
    def from_view(cls, view: JobView) -> _ShownJob:
        from jobs.definition.dependencies import format_dependencies
        from jobs.targets import describe_target

        job = view.entry.job
        return cls(
            name=job.name,
            schedule="" if job.schedule is None else job.schedule.text,
            runs_when=job.runs_when,
            no_next=describe_no_next(job.schedule is not None, bool(job.depends_on)),
            is_enabled=job.enabled,
            next_at=view.next_at,
            latest=view.latest,
            endpoint=job.check.endpoint,
            target=describe_target(job.check),
            pause=view.pause,
            pause_text="" if view.pause is None else str(view.pause),
            depends_on=format_dependencies(job.depends_on),
            status=view.status.value,
            wait=view.wait,
            reason=view.reason,
            last_known=view.last_known or "",
        )

    @classmethod
    def from_summary(cls, job: JobSummary) -> _ShownJob:
        from jobs.definition.dependencies import Dependency, describe_start, format_dependencies
        from scheduler.features.runs.remote import read_run

        schedule = _describe_schedule(job.schedule)
        dependencies = tuple(Dependency.model_validate(each.model_dump()) for each in job.depends_on)
        return cls(
            name=job.name,
            schedule=schedule,
            runs_when=describe_start(schedule, dependencies),
            no_next=describe_no_next(job.schedule is not None, bool(dependencies)),
            is_enabled=job.enabled,
            next_at=job.next_at,
            latest=None if job.latest is None else read_run(job.latest),
            endpoint=job.endpoint,
            target=job.target,
            pause=job.pause,
            pause_text="" if job.pause is None else job.pause.summary,
            depends_on=format_dependencies(dependencies),
            status=job.status.value,
            wait=job.wait,
            reason=job.reason,
            last_known=job.last_known or "",
        )


def _describe_schedule(spec: Any) -> str:
    """Return the text of a schedule; of a form that only a newer scheduler knows, the form itself."""
    from jobs.errors import ScheduleError
    from jobs.schedules import parse_schedule

    if spec is None:
        return ""
    try:
        return parse_schedule(spec).text
    except ScheduleError:
        return str(spec)


def _show(rows: Sequence[_ShownJob], now: datetime) -> None:
    show_items(rows, _list_fields(now, has_reasons=any(row.reason for row in rows)))


async def _describe_empty(program: ReadOnlyProgram, selection: JobSelection) -> str:
    """Return `no job matches kind dns and tag team=shp; matches among 12 jobs: kind dns 3, tag team=shp 0`.

    An outcome is not counted alone, which would read the latest run of every job.
    """
    from dataclasses import replace

    from scheduler.features.jobs.selection import suggest_filter

    number, total = program.queries.count_jobs, len(program.queries.job_names())
    if not total:
        return "there are no jobs: check SCHEDULER_JOBS"
    counts = []
    for text, part in selection.single_filters():
        if not part.outcomes:
            count = await number(part)
            meant = None if count else suggest_filter(part, (entry.job for entry in program.queries.current_jobs()))
            counts.append(f"{text} {count} (did you mean {meant}?)" if meant else f"{text} {count}")
    if selection.outcomes and counts:
        counts.append(f"without the outcome {await number(replace(selection, outcomes=()))}")
    jobs_text = format_count(total, "job")
    return f"no job matches {selection}; matches among {jobs_text}: " + (", ".join(counts) or "0")


async def _views(program: ReadOnlyProgram, selection: JobSelection) -> list[JobView]:
    views: list[JobView] = []
    after: str | None = ""
    while after is not None:
        page = await program.queries.list_jobs(limit=_PAGE, after=after, selection=selection)
        views += page.jobs
        after = page.continuation
    return views


def _list_fields(now: datetime, *, has_reasons: bool) -> Sequence[Field[_ShownJob]]:
    """`has_reasons`: a terminal has a column for them."""
    from scheduler.cli.run_report import outcome_cell

    def format_next(row: _ShownJob) -> str:
        return "" if row.next_at is None else format_iso_instant(row.next_at, precise=True)

    def format_latest(row: _ShownJob) -> str:
        return "" if row.latest is None else outcome_cell(row.latest)[0]

    def format_latest_at(row: _ShownJob) -> str:
        return "" if row.latest is None else format_iso_instant(row.latest.ticket.due_at, precise=True)

    reasons = Column("reason", no_wrap=False, min_width=16) if has_reasons else None
    return (
        Field("name", lambda row: row.name, Column("job", "bold")),
        Field(
            "schedule",
            lambda row: row.schedule,
            Column("schedule", no_wrap=False, min_width=16),
            lambda row: row.runs_when or "-",
        ),
        Field("next_at", format_next, Column("next run"), lambda row: _next(row, now)),
        Field("latest", format_latest, Column("latest"), lambda row: _latest(row.latest, now)),
        Field("latest_at", format_latest_at),
        Field("endpoint", lambda row: row.endpoint),
        Field("pause", lambda row: row.pause_text),
        Field("depends_on", lambda row: row.depends_on),
        Field("status", lambda row: row.wait or row.status),
        Field(
            "target",
            lambda row: row.target,
            Column("target", "dim", no_wrap=False, is_optional=True),
        ),
        Field("reason", lambda row: row.reason, reasons, _reason),
    )


def _reason(row: _ShownJob) -> str:
    """Return why a job is not well as one short line."""
    from jobs.problems import make_printable

    known = f"unknown, was {row.last_known}: " if row.last_known else ""
    return make_printable(row.wait or known + row.reason, _MAX_REASON)


def _next(row: _ShownJob, now: datetime) -> Cell:
    if not row.is_enabled:
        return "disabled", "yellow"
    if row.pause is not None:
        return describe_pause(row.pause, now), "yellow"
    if row.next_at is None:
        return row.no_next, "dim"
    return format_instant(row.next_at, now), "cyan"


def _latest(record: RunRecord | None, now: datetime) -> Cell:
    from scheduler.cli.run_report import outcome_cell

    if record is None:
        return "-"
    word, style = outcome_cell(record)
    at = record.run.finished_at if record.run else record.ticket.due_at
    return f"{word}, {describe_distance((at - now).total_seconds())}", style
