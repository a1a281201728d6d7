"""`versions`, `restore` and `delete` of a stored job, and `apply`, which makes all changes of a desired set or none."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, Protocol, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.connection import run_remote
from scheduler.cli.listing import Field, show_list, show_model
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
)
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import (
    AdoptOption,
    AllOption,
    DryRunOption,
    FilesArgument,
    JobsArgument,
    KindOption,
    LiteralOption,
    SelectionOptions,
    SetOption,
    StateOption,
    TagOption,
    load_set,
)
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from pathlib import Path

    from config.desired_sets import DesiredSet
    from config.loading import Configuration
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.connection import Connection
    from scheduler.features.delivery.api_scheduler import ApiScheduler
    from scheduler.features.stored_jobs.models import VersionDiff, VersionModel
    from scheduler.features.stored_jobs.queries import StoredJobQueries
    from scheduler.features.stored_jobs.sets import SetPlan

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
        if find_connection() is None:
            await program.compose_jobs(JobSet())
        return await read(program.stored_jobs)

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

    async def work(program: Any) -> int:
        from scheduler.features.stored_jobs.service import ANY_VERSION, NEW_JOB
        from scheduler.identity.principal import command_caller

        if find_connection() is not None:
            return int(await program.operations.stored_jobs.restore(job, version))
        caller, stored = command_caller(), program.stored_jobs
        exists = stored.find(job, caller) is not None
        precondition = ANY_VERSION if exists else NEW_JOB
        await program.operations.stored_jobs.restore(job, version, precondition, caller)
        declared = stored.find(job, caller)
        assert declared is not None
        return int(declared.entry.number)

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

    async def work(program: Any) -> int | None:
        from scheduler.features.stored_jobs.service import ANY_VERSION
        from scheduler.identity.principal import command_caller

        if find_connection() is not None:
            found: int | None = await program.operations.stored_jobs.delete(job)
            return found
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
    origins = {} if find_connection() is not None else (configuration or load_for_command(command)).jobs.origins
    if name in origins:
        fail(f"the job {name} is defined in {origins[name]}: {command} applies to stored jobs, change the file instead")
    fail(f"there is no stored job named {name!r}{did_you_mean(unknown.suggestion) or '; `jobs` lists all jobs'}")


_YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Apply without a confirmation.")]
_HashOption = Annotated[
    str | None,
    typer.Option("--plan-hash", metavar="HASH", help="Apply only this plan; `plan` prints the hash."),
]


def apply(
    files: FilesArgument,
    owner: SetOption,
    yes: _YesOption = False,
    plan_hash: _HashOption = None,
    adopt: AdoptOption = False,
    allow_literal: LiteralOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/sets/NAME/apply.")] = False,
) -> None:
    """Store a set of jobs: create, change and delete jobs so that the store has exactly those of the files.

    All changes are made together, or none. Only jobs of the set are deleted. On a terminal the command shows the plan
    and waits for a confirmation. If the stored jobs, the job files or the set have changed since the plan, nothing is
    changed and the exit code is 1.

    \b
    Examples:
      apply jobs/reports.yaml --set reports
      apply jobs/ --set reports --plan-hash 0123456789abcdef0123456789abcdef
      apply jobs/ --set reports --yes --json
      apply jobs/ --set reports --yes --url https://scheduler.example.com
    """
    from scheduler.features.stored_jobs.plan_commands import describe_result, show_plan

    _check_confirmation(yes, plan_hash, as_json)
    rules = _SetRules(adopt, allow_literal)
    target = _find_target(files, owner, rules, find_connection())
    if yes or plan_hash is not None:
        applied = target.apply(plan_hash)
        show_plan(applied, as_json)
    else:
        applied = target.apply(_confirm(target.plan()))
    print_note(describe_result(applied))


class _SetRules(NamedTuple):
    adopt: bool
    allow_literal: bool


class _Target(Protocol):
    """Where a set is planned and applied. Failures end the command."""

    def plan(self) -> SetPlan: ...

    def apply(self, plan_id: str | None) -> SetPlan:
        """`plan_id` None: the plan that is made now."""
        ...


@dataclass(frozen=True, slots=True)
class _StoreTarget:
    """The set, and the configured store."""

    configuration: Configuration
    desired: DesiredSet
    owner: str
    rules: _SetRules

    def plan(self) -> SetPlan:
        return self._run(self._plan)

    def apply(self, plan_id: str | None) -> SetPlan:
        """Apply the plan with this id, or the plan that is made now."""
        from scheduler.identity.principal import command_caller

        async def work(program: Program) -> SetPlan:
            confirmed = plan_id or (await self._plan(program)).id
            sets = program.operations.job_sets
            return await sets.apply(
                self.owner, self.desired.document, confirmed, command_caller(), **self.rules._asdict()
            )

        return self._run(work)

    async def _plan(self, program: Program) -> SetPlan:
        from scheduler.identity.principal import command_caller

        sets = program.operations.job_sets
        return await sets.plan(self.owner, self.desired.document, command_caller(), **self.rules._asdict())

    def _run(self, work: Callable[[Program], Awaitable[SetPlan]]) -> SetPlan:
        from scheduler.cli.context import run_changing

        return run_changing(self.configuration, work, locate=self.desired.locate)


@dataclass(frozen=True, slots=True)
class _RemoteTarget:
    """The set, and a running scheduler."""

    connection: Connection
    desired: DesiredSet
    owner: str
    rules: _SetRules

    def plan(self) -> SetPlan:
        return self._run(lambda remote: remote.plan_set(self.owner, self.desired.document, **self.rules._asdict()))

    def apply(self, plan_id: str | None) -> SetPlan:
        """Apply the plan with this id, or the plan that is made now."""

        async def work(remote: ApiScheduler) -> SetPlan:
            document = self.desired.document
            rules = self.rules._asdict()
            confirmed = plan_id or (await remote.plan_set(self.owner, document, **rules)).id
            return await remote.apply_set(self.owner, document, confirmed, **rules)

        return self._run(work)

    def _run(self, work: Callable[[ApiScheduler], Awaitable[SetPlan]]) -> SetPlan:
        from jobs.running.clocks import SystemClock
        from scheduler.features.delivery.api_scheduler import ApiScheduler

        return run_remote(self.connection, lambda api: work(ApiScheduler(api, SystemClock())))


def _find_target(files: list[Path], owner: str, rules: _SetRules, connection: Connection | None) -> _Target:
    if connection is None:
        return _StoreTarget(*load_set("apply", files, owner), owner, rules)
    from scheduler.cli.working_copy import read_default_schedule, read_working_copy

    desired = read_working_copy(files, owner, read_default_schedule()).desired
    assert desired is not None  # there is an owner
    return _RemoteTarget(connection, desired, owner, rules)


def _confirm(plan: SetPlan) -> str:
    """Return the hash of the plan if the user confirms it. Without changes the command ends."""
    from scheduler.features.stored_jobs.plan_commands import has_changes, show_plan

    show_plan(plan, as_json=False)
    if plan.conflicts:
        raise typer.Exit(EXIT_FAILED)
    if not has_changes(plan):
        raise typer.Exit
    if not typer.confirm("Apply this plan?", err=True):
        fail("nothing was changed", EXIT_FAILED)
    return plan.id


def _check_confirmation(yes: bool, plan_hash: str | None, as_json: bool) -> None:
    if yes and plan_hash is not None:
        fail("--yes and --plan-hash exclude each other: --plan-hash confirms the plan")
    if yes or plan_hash is not None:
        return
    if as_json or not is_terminal() or not sys.stdin.isatty():
        fail("apply needs a confirmation: give --plan-hash with the hash that `plan` prints, or --yes")
