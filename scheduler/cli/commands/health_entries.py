"""`health-entries`: list the entries of a job's health documents with their present status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import Column, is_terminal, print_note, show_json, show_table, show_tabs

if TYPE_CHECKING:
    from jobs.runs.health_history import HealthHistory
    from scheduler.api.models.states.health_entries import HealthEntryModel
    from scheduler.app import ReadOnlyProgram

_FIELDS = ("name", "status", "reported", "effect", "since", "recent_failures", "run", "text")


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

    history = run_without_jobs("health-entries", lambda program: _read(program, job))
    if history is None:
        require_job(load_for_command("health-entries"), job)
    _show(history, as_json)


async def _read(program: ReadOnlyProgram, job: str) -> HealthHistory | None:
    """Return the history; None if the job has none."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    try:
        return await program.changes.read_health_history(PROGRAM_PRINCIPAL, job)
    except UnknownJob:
        return None


def _show(history: HealthHistory | None, as_json: bool) -> None:
    from datetime import UTC, datetime

    from scheduler.api.models.states.health_entries import HealthEntryListModel

    listed = HealthEntryListModel.from_health_history(history, datetime.now(UTC))
    if as_json:
        show_json(listed.model_dump_json(indent=2))
        return
    if not listed.entries:
        print_note("no run has read a health document: the job needs the expectation health, and a run")
    rows = [_fields(entry) for entry in listed.entries]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
    elif rows:
        show_table((*map(Column, _FIELDS[:-1]), Column("text", no_wrap=False)), rows)


def _fields(entry: HealthEntryModel) -> tuple[str, ...]:
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
