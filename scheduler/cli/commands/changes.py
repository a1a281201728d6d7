"""`changes`: list the instants at which jobs entered another state, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.instants import format_iso_instant
from jobs.runs.states import JobStatus, StateChange
from scheduler.cli.output import Column, is_terminal, print_note, show_json, show_table, show_tabs

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.queries.changes import ChangeFilter

_PAGE = 500
_FIELDS = ("at", "job", "state", "previous", "code", "run", "message")


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
    from scheduler.cli.selection.named_job import require_job
    from scheduler.cli.times import parse_interval_options
    from scheduler.cli.options import parse_interval_options
    from scheduler.cli.selection import require_job
    from scheduler.queries.changes import ChangeFilter

    criteria = ChangeFilter(job, tuple(state or ()), at=parse_interval_options(since, until))
    found = run_without_jobs("changes", lambda program: _read(program, criteria, limit))
    if found is None:
        require_job(load_for_command("changes"), job or "")
    _show(found or [], as_json)


async def _read(program: ReadOnlyProgram, criteria: ChangeFilter, limit: int) -> list[StateChange] | None:
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


def _show(found: list[StateChange], as_json: bool) -> None:
    if as_json:
        from scheduler.api.models.states.changes import ChangeListModel, ChangeModel

        listed = [ChangeModel.from_change(change) for change in found]
        show_json(ChangeListModel(changes=listed, continuation=None).model_dump_json(indent=2))
        return
    if not found:
        print_note("no change matches")
    rows = [_fields(change) for change in found]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
    elif rows:
        columns = (*map(Column, _FIELDS[:-1]), Column("message", no_wrap=False))
        show_table(columns, rows)


def _fields(change: StateChange) -> tuple[str, ...]:
    at = format_iso_instant(change.at, precise=True)
    return at, change.job, change.state, change.previous or "", change.cause.code, change.run, change.cause.message
