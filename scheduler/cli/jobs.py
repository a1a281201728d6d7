"""`jobs`: the jobs in force, when each runs next and how it went last."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Cell, Column, fail, note, on_terminal, show_json, show_table, show_tabs
from scheduler.cli.texts import iso, no_next, paused, relative, when

if TYPE_CHECKING:
    from scheduler.app import Reading
    from scheduler.queries import JobView
    from scheduler.selection import Selection
    from scheduler.stores.runs import Record

_PAGE = 500


def jobs(
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="PATTERN", help="Only jobs of this name: * is any text, ? any character."),
    ] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Only jobs of this kind: http, steps, tcp, dns, tls, heartbeat.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only jobs with this tag.")
    ] = None,
    states: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state: enabled, paused, disabled.")
    ] = None,
    outcomes: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome", help="Only jobs whose latest run ended so: succeeded, failed, ...; none: without runs."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/jobs.")] = False,
) -> None:
    """All jobs, or those that the options choose: schedule, next run, latest outcome, endpoint.

    Options are combined by and. One that is repeated takes a job that fits any of its values; of --tag a job must have
    all.

    \b
    Examples:
      jobs
      jobs --name 'checkout-*' --state paused
      jobs --tag team=payments --outcome failed --outcome timed_out
      jobs | cut -f 1,3
      jobs --json
    """
    from scheduler.cli.configured import configured, end_if_incomplete, in_store

    selection = _selection(names, kinds, tags, states, outcomes)
    configuration = configured("jobs")

    async def read(program: Reading) -> tuple[list[JobView], datetime, str]:
        views = await _views(program, selection)
        return views, program.clock.now(), "" if views else await _nothing(program, selection)

    views, now, why_empty = in_store(configuration, read)
    if why_empty:
        note(why_empty)
    if as_json:
        from scheduler.api.models import JobList, JobSummary

        show_json(JobList(jobs=[JobSummary.of(view) for view in views], continuation=None).model_dump_json(indent=2))
    elif on_terminal():
        if views:
            _show_table(views, now)
    else:
        show_tabs(_FIELDS, map(_fields, views))
    end_if_incomplete(configuration)


def _selection(*filters: list[str] | None) -> Selection:
    """Of names, kinds, tags, states and outcomes."""
    from scheduler.selection import BadSelection, read_selection

    names, kinds, tags, states, outcomes = (values or () for values in filters)
    try:
        return read_selection(names=names, kinds=kinds, tags=tags, states=states, outcomes=outcomes)
    except BadSelection as error:
        fail(f"--{error.filter}: {error}")


async def _nothing(program: Reading, selection: Selection) -> str:
    """`no job fits kind dns and tag team=shp; of 12 jobs: kind dns 3, tag team=shp 0 (did you mean team=shop?)`.

    An outcome is not counted alone, which would read the latest run of every job.
    """
    from dataclasses import replace

    from scheduler.selection import nearest

    number, total = program.queries.number_of_jobs, len(program.queries.names())
    if not total:
        return "there are no jobs: see SCHEDULER_JOBS"
    counts = []
    for text, part in selection.parts():
        if not part.outcomes:
            count = await number(part)
            meant = None if count else nearest(part, (entry.job for entry in program.queries.in_force()))
            counts.append(f"{text} {count} (did you mean {meant}?)" if meant else f"{text} {count}")
    if selection.outcomes and counts:
        counts.append(f"all but the outcome {await number(replace(selection, outcomes=()))}")
    jobs_text = "1 job" if total == 1 else f"{total} jobs"
    return f"no job fits {selection}; of {jobs_text}" + (f": {', '.join(counts)}" if counts else ", none")


async def _views(program: Reading, selection: Selection) -> list[JobView]:
    views: list[JobView] = []
    after: str | None = ""
    while after is not None:
        page = await program.queries.jobs(limit=_PAGE, after=after, selection=selection)
        views += page.jobs
        after = page.continuation
    return views


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
