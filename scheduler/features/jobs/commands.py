"""`jobs`: list the jobs in force with the next run and the latest outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_distance, format_count, format_iso_instant
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import Cell, Column, print_note
from scheduler.cli.selection import KindOption, StateOption, TagOption, parse_selection_options
from scheduler.cli.times import describe_no_next, describe_pause, format_instant

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.jobs.queries import JobView
    from scheduler.features.jobs.selection import JobSelection
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

    async def read(program: ReadOnlyProgram) -> tuple[list[JobView], datetime, str]:
        views = await _views(program, selection)
        return views, program.clock.now(), "" if views else await _describe_empty(program, selection)

    views, now, why_empty = run_in_store(configuration, read)
    if why_empty:
        print_note(why_empty)
    if as_yaml:
        _print_job_file(views)
    else:
        _show(views, now, as_json)
    exit_if_incomplete(configuration)


def _print_job_file(views: list[JobView]) -> None:
    from scheduler.features.jobs.definitions import JobFileFormat, write_job_file

    for part in write_job_file((view.entry for view in views), JobFileFormat.YAML):
        print(part, end="")


def _show(views: list[JobView], now: datetime, as_json: bool) -> None:
    if as_json:
        from scheduler.features.jobs.models import JobList
        from scheduler.features.jobs.views import summarize_job

        show_model(JobList(jobs=list(map(summarize_job, views)), continuation=None))
    else:
        show_items(views, _list_fields(now, has_reasons=any(view.reason for view in views)))


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


def _list_fields(now: datetime, *, has_reasons: bool) -> Sequence[Field[JobView]]:
    """`has_reasons`: a terminal has a column for them."""
    from jobs.definition.dependencies import format_dependencies
    from jobs.targets import describe_target
    from scheduler.cli.run_report import outcome_cell

    def format_next(view: JobView) -> str:
        return "" if view.next_at is None else format_iso_instant(view.next_at, precise=True)

    def format_latest(view: JobView) -> str:
        return "" if view.latest is None else outcome_cell(view.latest)[0]

    def format_latest_at(view: JobView) -> str:
        return "" if view.latest is None else format_iso_instant(view.latest.ticket.due_at, precise=True)

    reasons = Column("reason", no_wrap=False, min_width=16) if has_reasons else None
    return (
        Field("name", lambda view: view.entry.job.name, Column("job", "bold")),
        Field(
            "schedule",
            lambda view: "" if view.entry.job.schedule is None else view.entry.job.schedule.text,
            Column("schedule", no_wrap=False, min_width=16),
            lambda view: view.entry.job.runs_when or "-",
        ),
        Field("next_at", format_next, Column("next run"), lambda view: _next(view, now)),
        Field("latest", format_latest, Column("latest"), lambda view: _latest(view.latest, now)),
        Field("latest_at", format_latest_at),
        Field("endpoint", lambda view: view.entry.job.check.endpoint),
        Field("pause", lambda view: "" if view.pause is None else str(view.pause)),
        Field("depends_on", lambda view: format_dependencies(view.entry.job.depends_on)),
        Field("status", lambda view: view.wait or view.status.value),
        Field(
            "target",
            lambda view: describe_target(view.entry.job.check),
            Column("target", "dim", no_wrap=False, is_optional=True),
        ),
        Field("reason", lambda view: view.reason, reasons, _reason),
    )


def _reason(view: JobView) -> str:
    """Return why a job is not well as one short line."""
    from jobs.problems import make_printable

    return make_printable(view.wait or view.reason, _MAX_REASON)


def _next(view: JobView, now: datetime) -> Cell:
    if not view.entry.job.enabled:
        return "disabled", "yellow"
    if view.pause is not None:
        return describe_pause(view.pause, now), "yellow"
    if view.next_at is None:
        return describe_no_next(view.entry.job), "dim"
    return format_instant(view.next_at, now), "cyan"


def _latest(record: RunRecord | None, now: datetime) -> Cell:
    from scheduler.cli.run_report import outcome_cell

    if record is None:
        return "-"
    word, style = outcome_cell(record)
    at = record.run.finished_at if record.run else record.ticket.due_at
    return f"{word}, {describe_distance((at - now).total_seconds())}", style
