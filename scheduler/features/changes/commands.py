"""The commands `changes`, `health-entries` and `markers`.

They list when jobs entered another state, the present status of the entries of health documents, and deployments that
were marked; `markers create` marks one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_count, format_iso_instant
from jobs.runs.states import JobStatus, StateChange
from scheduler.cli.output import Column, fail, is_terminal, print_note, print_warning, show_json, show_table, show_tabs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.runs.health_history import HealthHistory
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.changes.models import HealthEntryModel
    from scheduler.features.changes.queries import ChangeFilter
    from scheduler.features.statistics.periods import TimeRange
    from scheduler.stores.markers import DeploymentMarker

_PAGE = 500
_CHANGE_FIELDS = ("at", "job", "state", "previous", "code", "run", "message")


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
    found = run_without_jobs("changes", lambda program: _read_changes(program, criteria, limit))
    if found is None:
        require_job(load_for_command("changes"), job or "")
    _show_changes(found or [], as_json)


async def _read_changes(program: ReadOnlyProgram, criteria: ChangeFilter, limit: int) -> list[StateChange] | None:
    """Return the changes; None if the job has none."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    found: list[StateChange] = []
    continuation: str | None = None
    try:
        while len(found) < limit:
            page = await program.changes.list_changes(
                PROGRAM_PRINCIPAL, criteria, limit=min(_PAGE, limit - len(found)), continuation=continuation
            )
            found += page.changes
            if (continuation := page.continuation) is None:
                break
    except UnknownJob:
        return None
    return found


def _show_changes(found: list[StateChange], as_json: bool) -> None:
    if as_json:
        from scheduler.features.changes.models import ChangeListModel, ChangeModel

        listed = [ChangeModel.from_change(change) for change in found]
        show_json(ChangeListModel(changes=listed, continuation=None).model_dump_json(indent=2))
        return
    if not found:
        print_note("no change matches")
    rows = [_change_fields(change) for change in found]
    if not is_terminal():
        show_tabs(_CHANGE_FIELDS, rows)
    elif rows:
        columns = (*map(Column, _CHANGE_FIELDS[:-1]), Column("message", no_wrap=False))
        show_table(columns, rows)


def _change_fields(change: StateChange) -> tuple[str, ...]:
    at = format_iso_instant(change.at, precise=True)
    return at, change.job, change.state, change.previous or "", change.cause.code, change.run, change.cause.message


_ENTRY_FIELDS = ("name", "status", "reported", "effect", "since", "recent_failures", "run", "text")


def health_entries(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name, also of a removed job.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/health-entries.")] = False,
) -> None:
    """List what each entry of the health documents of a job reports, since when, and how often it failed in seven days.

    The job needs the expectation `health`.

    \b
    Examples:
      health-entries checkout-api
      health-entries checkout-api --json
    """
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job

    history = run_without_jobs("health-entries", lambda program: _read_entries(program, job))
    if history is None:
        require_job(load_for_command("health-entries"), job)
    _show_entries(history, as_json)


async def _read_entries(program: ReadOnlyProgram, job: str) -> HealthHistory | None:
    """Return the history; None if the job has none."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    try:
        return await program.changes.read_health_history(PROGRAM_PRINCIPAL, job)
    except UnknownJob:
        return None


def _show_entries(history: HealthHistory | None, as_json: bool) -> None:
    from datetime import UTC, datetime

    from scheduler.features.changes.models import HealthEntryListModel

    listed = HealthEntryListModel.from_health_history(history, datetime.now(UTC))
    if as_json:
        show_json(listed.model_dump_json(indent=2))
        return
    if not listed.entries:
        print_note("no run has read a health document: the job needs the expectation health, and a run")
    rows = [_entry_fields(entry) for entry in listed.entries]
    if not is_terminal():
        show_tabs(_ENTRY_FIELDS, rows)
    elif rows:
        show_table((*map(Column, _ENTRY_FIELDS[:-1]), Column("text", no_wrap=False)), rows)


def _entry_fields(entry: HealthEntryModel) -> tuple[str, ...]:
    since = format_iso_instant(entry.since, precise=True)
    return (
        entry.name,
        entry.status,
        entry.reported_status,
        entry.effect,
        since,
        str(entry.recent_failures),
        entry.run_id,
        entry.text,
    )


ABOUT = """Deployments that the charts of jobs mark. A new version of the scheduler marks itself.

\b
Examples:
  markers create "checkout 4ebecbce" --tag team=payments
  markers list --job checkout-api --from 7d"""

markers = typer.Typer(help=ABOUT, no_args_is_help=True)

_MARKER_FIELDS = ("at", "text", "tags", "author", "id")

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
    from scheduler.cli.context import run_operation
    from scheduler.cli.times import parse_instant_option
    from scheduler.identity.principal import command_caller

    tags, instant, caller = _parse_tags(tag or ()), parse_instant_option("--at", at), command_caller()
    created = run_operation(
        "markers create",
        lambda program: program.operations.markers.create(text, tags=tags, at=instant, caller=caller),
    )
    if not created.jobs:
        print_warning("the marker concerns no job: check --tag")
    if as_json:
        from scheduler.features.changes.models import CreatedMarkerModel

        show_json(CreatedMarkerModel.from_created(created).model_dump_json(indent=2))
        return
    count = format_count(len(created.jobs), "job")
    print(f"marker {created.marker.id} at {format_iso_instant(created.marker.at)}, {count}")


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
    found = run_in_store(configuration, lambda program: _read_markers(program, job, at, limit))
    if as_json:
        from scheduler.features.changes.models import MarkerListModel, MarkerModel

        listed = [MarkerModel.from_marker(each) for each in found]
        show_json(MarkerListModel(markers=listed, continuation=None).model_dump_json(indent=2))
        return
    if not found:
        print_note("no marker matches")
    _show_markers(found)


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


async def _read_markers(program: ReadOnlyProgram, job: str | None, at: TimeRange, limit: int) -> list[DeploymentMarker]:
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    found: list[DeploymentMarker] = []
    continuation: str | None = None
    while len(found) < limit:
        page = await program.markers.list_markers(
            PROGRAM_PRINCIPAL, at, job=job, limit=min(_PAGE, limit - len(found)), continuation=continuation
        )
        found += page.markers
        if (continuation := page.continuation) is None:
            break
    return found


def _show_markers(found: list[DeploymentMarker]) -> None:
    rows = [
        (
            format_iso_instant(each.at),
            each.text,
            " ".join(f"{key}={value}" for key, value in each.tags),
            each.author,
            each.id,
        )
        for each in found
    ]
    if not is_terminal():
        show_tabs(_MARKER_FIELDS, rows)
    elif rows:
        columns = (
            Column("at"),
            Column("text", "bold", no_wrap=False),
            Column("tags"),
            Column("author", is_optional=True),
            Column("id", is_optional=True),
        )
        show_table(columns, rows)
