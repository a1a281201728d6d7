"""`jobs`: every job in force, when it runs next and how it went last."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Cell, Column, on_terminal, show_table, show_tabs
from scheduler.cli.texts import iso, no_next, paused, relative, when

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.queries import JobView
    from scheduler.stores.runs import Record

_PAGE = 500


def jobs(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/jobs.")] = False,
) -> None:
    """All jobs: schedule, next run, latest outcome, endpoint.

    \b
    Examples:
      jobs
      jobs | cut -f 1,3
      jobs --json
    """
    from scheduler.cli.configured import configured, end_if_incomplete, in_program

    configuration = configured("jobs")
    views, now = in_program(configuration, _views)
    if as_json:
        from scheduler.api.models import JobList, JobSummary

        print(JobList(jobs=[JobSummary.of(view) for view in views], continuation=None).model_dump_json(indent=2))
    elif on_terminal():
        _show_table(views, now)
    else:
        show_tabs(_FIELDS, map(_fields, views))
    end_if_incomplete(configuration)


async def _views(program: Program) -> tuple[list[JobView], datetime]:
    views: list[JobView] = []
    after: str | None = ""
    while after is not None:
        page = await program.queries.jobs(limit=_PAGE, after=after)
        views += page.jobs
        after = page.continuation
    return views, program.clock.now()


def _show_table(views: list[JobView], now: datetime) -> None:
    columns = (
        Column("job", "bold"),
        Column("schedule", whole=False, least=16),
        Column("next run"),
        Column("latest"),
        Column("endpoint", "dim", whole=False, spare=True),
    )
    rows = []
    for view in views:
        job = view.entry.job
        rows.append((job.name, job.runs_when or "-", _next(view, now), _latest(view.latest, now), job.check.endpoint))
    show_table(columns, rows)


def _next(view: JobView, now: datetime) -> Cell:
    if not view.entry.job.enabled:
        return "disabled", "yellow"
    if view.pause is not None:
        return paused(view.pause, now), "yellow"
    if view.next_at is None:
        return no_next(view.entry.job), "dim"
    return when(view.next_at, now), "cyan"


def _latest(record: Record | None, now: datetime) -> Cell:
    from scheduler.cli.outcomes import outcome_cell

    if record is None:
        return "-"
    word, style = outcome_cell(record)
    at = record.run.finished_at if record.run else record.ticket.due_at
    return f"{word}, {relative(at, now)}", style


_FIELDS = ("name", "schedule", "next_at", "latest", "latest_at", "endpoint", "pause", "depends_on")


def _fields(view: JobView) -> tuple[str, ...]:
    from jobs.dependencies import dependencies_text
    from scheduler.cli.outcomes import outcome_cell

    job, latest = view.entry.job, view.latest
    return (
        job.name,
        job.schedule.text if job.schedule is not None else "",
        iso(view.next_at, precise=True) if view.next_at is not None else "",
        outcome_cell(latest)[0] if latest is not None else "",
        iso(latest.ticket.due_at, precise=True) if latest is not None else "",
        job.check.endpoint,
        str(view.pause) if view.pause is not None else "",
        dependencies_text(job.depends_on),
    )
