"""`versions`, `restore` and `delete`: the versions of a stored job, an earlier one as the current one, and its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from jobs.formats.instants import format_iso_instant
from scheduler.cli.listing import Field, show_list, show_model
from scheduler.cli.output import EXIT_FAILED, Column, escape_controls, fail, print_note
from scheduler.cli.selection import (
    AllOption,
    DryRunOption,
    JobsArgument,
    KindOption,
    SelectionOptions,
    StateOption,
    TagOption,
)
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from config.loading import Configuration
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.features.stored_jobs.models import VersionDiff, VersionModel
    from scheduler.features.stored_jobs.queries import StoredJobQueries

T = TypeVar("T")
_FIELDS: tuple[Field[VersionModel], ...] = (
    Field("number", lambda version: str(version.number), Column("version", "bold", align_right=True)),
    Field(
        "at",
        lambda version: format_iso_instant(version.at),
        Column("at"),
        lambda version: format_local(version.at),
    ),
    Field("by", lambda version: version.by, Column("by")),
    Field("owner", lambda version: version.owner, Column("set")),
    Field("state", lambda version: "deleted" if version.definition is None else "defined", Column("state")),
    Field("comment", lambda version: version.comment, Column("comment", no_wrap=False, is_optional=True)),
)


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
        listed = _query(job, lambda stored: stored.list_versions(job, caller))
        show_list(listed, _FIELDS, as_json=as_json, empty="")
        return
    before, after = diff
    compared = _query(job, lambda stored: stored.compare_versions(job, after, before, caller))
    if as_json:
        show_model(compared)
    else:
        _show_changes(job, compared)


def _query(job: str, read: Callable[[StoredJobQueries], Awaitable[T]]) -> T:
    from config.job_files.job_set import JobSet
    from scheduler.catalog.catalog import UnknownJob
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


def _show_changes(job: str, diff: VersionDiff) -> None:
    from scheduler.features.stored_jobs.plan_commands import format_field

    for change in diff.fields:
        print(escape_controls(format_field(change)))
    if not diff.fields:
        print_note(f"versions {diff.against} and {diff.number} of {job} do not differ")


JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Name of a stored job.")]


def change_stored_job(command: str, job: str, work: Callable[[Program], Awaitable[T]]) -> T:
    """Do the work. A job that is not stored ends the command with 2, a conflict with 1."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.context import load_for_command, run_changing

    configuration = load_for_command(command)
    try:
        return run_changing(configuration, work, listing_hint=f"`versions {job}` lists its versions")
    except UnknownJob as error:
        fail_without_stored_job(command, error, configuration)


def restore(
    job: JobArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Number; `versions JOB` lists them.")],
) -> None:
    """Make the definition of an earlier version the current one, as a new version. It restores a deleted job, too.

    Pauses, circuit and history belong to the name of the job and do not change.

    \b
    Examples:
      restore reports-api 3
    """

    async def work(program: Program) -> int:
        from scheduler.features.stored_jobs.service import ANY_VERSION, NEW_JOB
        from scheduler.identity.principal import command_caller

        caller, stored = command_caller(), program.stored_jobs
        exists = stored.find(job, caller) is not None
        precondition = ANY_VERSION if exists else NEW_JOB
        await program.operations.stored_jobs.restore(job, version, precondition, caller)
        declared = stored.find(job, caller)
        assert declared is not None
        return declared.entry.number

    number = change_stored_job("restore", job, work)
    print(escape_controls(f"{job} has the definition of version {version}, as version {number}"))


def delete(
    jobs: JobsArgument = None,
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/jobs/delete.")] = False,
) -> None:
    """Delete a stored job, or all stored jobs that match. Jobs of files are refused.

    Versions and the history of runs stay, so that `restore` can undo it.

    \b
    Examples:
      delete reports-api
      delete --tag team=reports --dry-run
    """
    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)
    if options.single_name is not None and not as_json:
        _delete_job(options.single_name)
        return
    from scheduler.cli.selection import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection("delete", options, as_json, lambda actions, page: actions.delete(page, caller=command_caller()))


def _delete_job(job: str) -> None:
    """Delete the job, also if it is not in force."""

    async def work(program: Program) -> int | None:
        from scheduler.features.stored_jobs.service import ANY_VERSION
        from scheduler.identity.principal import command_caller

        caller = command_caller()
        stored = program.stored_jobs.find(job, caller)
        await program.operations.stored_jobs.delete(job, ANY_VERSION, caller)
        return None if stored is None else stored.entry.number

    number = change_stored_job("delete", job, work)
    print(escape_controls(f"{job} was deleted"))
    if number is not None:
        print_note(f"`restore {job} {number}` restores it")


def fail_without_stored_job(command: str, unknown: UnknownJob, configuration: Configuration | None = None) -> NoReturn:
    """End the command with 2. `configuration`: None if the command has not loaded the job files."""
    from jobs.problems.findings import did_you_mean
    from scheduler.cli.context import load_for_command

    name = unknown.name
    origins = (configuration or load_for_command(command)).jobs.origins
    if name in origins:
        fail(f"the job {name} is defined in {origins[name]}: {command} applies to stored jobs, change the file instead")
    fail(f"there is no stored job named {name!r}{did_you_mean(unknown.suggestion) or '; `jobs` lists all jobs'}")
