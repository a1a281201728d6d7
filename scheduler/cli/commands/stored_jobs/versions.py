"""`versions`: list the versions of a stored job, or what differs between two of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats.instants import format_iso_instant
from scheduler.cli.formatting import format_local
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.queries.stored_jobs import FieldChange, StoredJobQueries
    from scheduler.stores.stored_jobs.tree import JobVersion

T = TypeVar("T")
_FIELDS = ("number", "at", "by", "owner", "state", "comment")


def versions(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a stored job, also of a deleted one.")],
    diff: Annotated[
        tuple[int, int] | None,
        typer.Option("--diff", metavar="A B", help="Show each field that differs from version A to version B."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/versions.")] = False,
) -> None:
    """List the versions of a stored job, the latest first: when and by whom each was made. The latest 100 are retained.

    \b
    Examples:
      versions reports-api
      versions reports-api --diff 1 3
    """
    from scheduler.identity.principal import command_caller

    caller = command_caller()
    if diff is None:
        _show(_query(job, lambda stored: stored.list_versions(job, caller)), as_json)
    else:
        before, after = diff
        changes = _query(job, lambda stored: stored.compare_versions(job, after, before, caller))
        _show_changes(job, before, after, changes, as_json)


def _query(job: str, read: Callable[[StoredJobQueries], Awaitable[T]]) -> T:
    from config.job_files.job_set import JobSet
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.commands.stored_jobs.unknown_jobs import fail_without_stored_job
    from scheduler.cli.context import run_without_jobs
    from scheduler.errors import NotFound

    async def work(program: ReadOnlyProgram) -> T:
        _, stored = await program.compose_jobs(JobSet())
        return await read(stored)

    try:
        return run_without_jobs("versions", work)
    except UnknownJob as error:
        fail_without_stored_job("versions", error)
    except NotFound as error:
        fail(f"{error}; `versions {job}` lists its versions", EXIT_FAILED)


def _show(found: Sequence[JobVersion], as_json: bool) -> None:
    if as_json:
        from scheduler.api.stored_jobs.models import VersionList, VersionModel
        from scheduler.stores.stored_jobs.repository import MAX_VERSIONS

        listed = [VersionModel.from_version(version) for version in found]
        show_json(VersionList(versions=listed, retained=MAX_VERSIONS).model_dump_json(indent=2))
    elif is_terminal():
        columns = (
            Column("version", "bold", align_right=True),
            Column("at"),
            Column("by"),
            Column("set"),
            Column("state"),
            Column("comment", no_wrap=False, is_optional=True),
        )
        show_table(columns, [_cells(one, format_local(one.at)) for one in found])
    else:
        show_tabs(_FIELDS, [_cells(one, format_iso_instant(one.at)) for one in found])


def _cells(version: JobVersion, at: str) -> tuple[str, ...]:
    state = "deleted" if version.definition is None else "defined"
    return str(version.number), at, version.by, version.owner, state, version.comment


def _show_changes(job: str, before: int, after: int, changes: Sequence[FieldChange], as_json: bool) -> None:
    if as_json:
        from scheduler.api.stored_jobs.models import FieldChangeModel, VersionDiff

        fields = [FieldChangeModel.from_change(change) for change in changes]
        show_json(VersionDiff(number=after, against=before, fields=fields).model_dump_json(indent=2))
        return
    from scheduler.cli.commands.stored_jobs.plan_text import format_field

    for change in changes:
        print(escape_controls(format_field(change)))
    if not changes:
        print_note(f"versions {before} and {after} of {job} do not differ")
