"""The commands `changes`, `health-entries` and `markers`.

They list when jobs entered another state, the present status of the entries of health documents, and deployments that
were marked; `markers create` marks one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_count, format_iso_instant
from jobs.runs.states import JobStatus
from scheduler.cli.listing import Field, act, read_newest, show_list, show_model
from scheduler.cli.output import Column, escape_controls, fail, print_warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.changes.models import (
        ChangeListModel,
        ChangeModel,
        HealthEntryListModel,
        HealthEntryModel,
        MarkerListModel,
        MarkerModel,
    )
    from scheduler.features.changes.queries import ChangeFilter
    from scheduler.features.statistics.periods import TimeRange


def _format(instant: datetime) -> str:
    return format_iso_instant(instant, precise=True)


_CHANGE_FIELDS: tuple[Field[ChangeModel], ...] = (
    Field("at", lambda change: _format(change.at), Column("at")),
    Field("job", lambda change: change.job, Column("job")),
    Field("state", lambda change: change.state, Column("state")),
    Field("previous", lambda change: change.previous or "", Column("previous")),
    Field("code", lambda change: change.cause.code, Column("code")),
    Field("run", lambda change: change.run_id or "", Column("run")),
    Field("message", lambda change: change.cause.message, Column("message", no_wrap=False)),
)


def changes(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Job name, also of a removed job. (default: all jobs)")
    ] = None,
    state: Annotated[
        list[JobStatus] | None, typer.Option("--state", help="Only changes to this state. Repeatable.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHEN",
            help="Only changes of this time or later: ISO 8601, UTC unless it has an offset; or 24h.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Only changes of this time or earlier, in the same form.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/changes.")] = False,
) -> None:
    """List the instants at which jobs became up, degraded, down, silent, waiting or paused, with the cause, newest
    first.

    \b
    Examples:
      changes
      changes checkout-api --from 30d
      changes --state down --state silent --from 24h
    """
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job
    from scheduler.cli.times import parse_interval_options
    from scheduler.features.changes.queries import ChangeFilter

    criteria = ChangeFilter(job, tuple(state or ()), at=parse_interval_options(since, until))
    listed, is_known = run_without_jobs("changes", lambda program: _read_changes(program, criteria, limit))
    if not is_known:
        require_job(load_for_command("changes"), job or "")
    show_list(listed, _CHANGE_FIELDS, as_json=as_json, empty="no change matches")


async def _read_changes(program: ReadOnlyProgram, criteria: ChangeFilter, limit: int) -> tuple[ChangeListModel, bool]:
    """Return the changes, and whether the job is known: it has changes."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.features.changes.models import ChangeListModel
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    try:
        listed = await read_newest(
            lambda after, size: program.changes.list_changes(
                PROGRAM_PRINCIPAL, criteria, limit=size, continuation=after or None
            ),
            limit,
        )
    except UnknownJob:
        return ChangeListModel(changes=[], continuation=None), False
    return listed, True


_ENTRY_FIELDS: tuple[Field[HealthEntryModel], ...] = (
    Field("name", lambda entry: entry.name, Column("name")),
    Field("status", lambda entry: entry.status, Column("status")),
    Field("reported", lambda entry: entry.reported_status, Column("reported")),
    Field("effect", lambda entry: entry.effect, Column("effect")),
    Field("since", lambda entry: _format(entry.since), Column("since")),
    Field("recent_failures", lambda entry: str(entry.recent_failures), Column("recent_failures")),
    Field("run", lambda entry: entry.run_id, Column("run")),
    Field("text", lambda entry: entry.text, Column("text", no_wrap=False)),
)


def health_entries(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name, also of a removed job.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/health-entries.")] = False,
) -> None:
    """List what each entry of the health documents or rows of a job reports, since when, and how often it failed in
    seven days.

    The job needs the expectation `health`, or `rows` with `expect`.

    \b
    Examples:
      health-entries checkout-api
      health-entries checkout-api --json
    """
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job

    listed, is_known = run_without_jobs("health-entries", lambda program: _read_entries(program, job))
    if not is_known:
        require_job(load_for_command("health-entries"), job)
    empty = "no run has read entries: the job needs the expectation health, or rows with expect, and a run"
    show_list(listed, _ENTRY_FIELDS, as_json=as_json, empty=empty)


async def _read_entries(program: ReadOnlyProgram, job: str) -> tuple[HealthEntryListModel, bool]:
    """Return the entries, and whether the job is known: it has a document."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.features.changes.models import HealthEntryListModel
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    try:
        listed = await program.changes.list_health_entries(PROGRAM_PRINCIPAL, job, program.clock.now())
    except UnknownJob:
        return HealthEntryListModel(entries=[]), False
    return listed, True


ABOUT = """Deployments that the charts of jobs mark. A new version of the scheduler marks itself.

\b
Examples:
  markers create "checkout 4ebecbce" --tag team=payments
  markers list --job checkout-api --from 7d"""

markers = typer.Typer(help=ABOUT, no_args_is_help=True)

_MARKER_FIELDS: tuple[Field[MarkerModel], ...] = (
    Field("at", lambda marker: format_iso_instant(marker.at), Column("at")),
    Field("text", lambda marker: marker.text, Column("text", "bold", no_wrap=False)),
    Field("tags", lambda marker: " ".join(f"{key}={value}" for key, value in marker.tags.items()), Column("tags")),
    Field("author", lambda marker: marker.author, Column("author", is_optional=True)),
    Field("id", lambda marker: marker.id, Column("id", is_optional=True)),
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


@markers.command("create")
def create_marker(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was deployed, such as a commit.")],
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="KEY=VALUE",
            help="Tag of the jobs that it concerns. Repeatable: all of them. None: all jobs.",
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ISO", help="Instant, now by default; UTC unless it has an offset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mark a deployment in the charts of the jobs that it concerns. Print its id and the number of these jobs.

    \b
    Examples:
      markers create "checkout 4ebecbce" --tag team=payments
    """
    from scheduler.cli.times import parse_instant_option

    tags, instant = _parse_tags(tag or ()), parse_instant_option("--at", at)
    created = act(
        "markers create",
        lambda operations, caller: operations.markers.create(text, tags=tags, at=instant, caller=caller),
    )
    if not created.jobs:
        print_warning("the marker concerns no job: check --tag")
    if as_json:
        show_model(created)
        return
    jobs = format_count(len(created.jobs), "job")
    print(escape_controls(f"marker {created.id} at {format_iso_instant(created.at)}, {jobs}"))


@markers.command("list")
def list_markers(
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only those that concern this job.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHEN", help="Only of this time or later: ISO 8601, UTC unless it has an offset; or 24h."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Only of this time or earlier, in the same form.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the deployments that were marked, newest first.

    \b
    Examples:
      markers list
      markers list --job checkout-api --from 7d
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job
    from scheduler.cli.times import parse_interval_options

    at, configuration = parse_interval_options(since, until), load_for_command("markers list")
    if job is not None:
        require_job(configuration, job)
    listed = run_in_store(configuration, lambda program: _read_markers(program, job, at, limit))
    show_list(listed, _MARKER_FIELDS, as_json=as_json, empty="no marker matches")


def _parse_tags(texts: Sequence[str]) -> dict[str, str]:
    """Parse `team=payments` or `team:payments`. An error ends the command with 2."""
    from scheduler.identity.principal import parse_tag_limits

    try:
        pairs = parse_tag_limits(texts)
    except ValueError as error:
        fail(f"--tag: {error}")
    tags = dict(pairs)
    if len(tags) < len(pairs):
        fail("--tag: a tag is given with two values, and no job has both")
    return tags


async def _read_markers(program: ReadOnlyProgram, job: str | None, at: TimeRange, limit: int) -> MarkerListModel:
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    return await read_newest(
        lambda after, size: program.markers.list_markers(
            PROGRAM_PRINCIPAL, at, job=job, limit=size, continuation=after or None
        ),
        limit,
    )
