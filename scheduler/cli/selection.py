"""Which jobs a command is about: the options that select jobs, actions on all of them with a result for each, the job
of a name, the stored jobs with job files, and the files of a set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperCommand

from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import EXIT_FAILED, Column, fail, print_note
from scheduler.cli.reach import find_connection

if TYPE_CHECKING:
    from config.desired_sets import DesiredSet
    from config.job_files.job_set import JobSet
    from config.loading import Configuration
    from config.settings.model import Settings
    from jobs.definition import JobDefinition
    from jobs.problems import Problem
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.catalog.composition import JobSources, StoredJob
    from scheduler.cli.progress import RunCounter
    from scheduler.features.jobs.models import ActionReportModel, JobResultModel
    from scheduler.features.jobs.selected_jobs import SelectedJobActions, SelectedJobs
    from scheduler.features.jobs.selection import JobSelection
    from scheduler.stores.runs.repository import RunRecord

JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Job names: * is any text, ? any character.")
]
KindOption = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Only jobs with a check of this kind: http, steps, tcp, dns, tls, heartbeat."),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only jobs with this tag.")]
StateOption = Annotated[
    list[str] | None, typer.Option("--state", help="Only jobs in this state: enabled, paused, disabled.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All jobs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="List the jobs and change nothing.")]


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """The arguments and options of a command that select jobs."""

    names: Sequence[str]
    tags: Sequence[str]
    kinds: Sequence[str]
    states: Sequence[str]
    every: bool
    dry_run: bool

    @classmethod
    def from_arguments(
        cls,
        names: list[str] | None,
        tags: list[str] | None,
        kinds: list[str] | None,
        states: list[str] | None,
        every: bool,
        dry_run: bool,
    ) -> SelectionOptions:
        return cls(names or (), tags or (), kinds or (), states or (), every, dry_run)

    @property
    def single_name(self) -> str | None:
        """The only name, if the command is about one job."""
        if len(self.names) != 1 or self.tags or self.kinds or self.states or self.every or self.dry_run:
            return None
        return None if set("*?") & set(self.names[0]) else self.names[0]

    def parse(self) -> SelectedJobs:
        """Return the selection; what is wrong with it ends the command with 2."""
        from scheduler.features.jobs.selected_jobs import SelectedJobs

        selection = parse_selection_options(names=self.names, kinds=self.kinds, tags=self.tags, states=self.states)
        if selection.is_empty and not self.every:
            fail("give job names, --tag, --kind or --state; --all selects all jobs")
        if self.every and not selection.is_empty:
            fail(f"--all and a filter exclude each other: {selection}")
        return SelectedJobs(selection, self.every, self.dry_run)


def parse_selection_options(
    names: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    outcomes: Sequence[str] | None = None,
    *,
    name_option: str = "JOB",
) -> JobSelection:
    """Parse filters; what is wrong with them ends the command with 2. `name_option`: how a message names `names`."""
    from scheduler.features.jobs.selection import InvalidFilter, parse_selection

    try:
        return parse_selection(
            names=names or (), kinds=kinds or (), tags=tags or (), states=states or (), outcomes=outcomes or ()
        )
    except InvalidFilter as error:
        fail(f"{name_option if error.filter == 'name' else f'--{error.filter}'}: {error}")


Act = Callable[["SelectedJobActions", "SelectedJobs"], Awaitable["ActionReportModel"]]

_STYLES = {"done": "green", "refused": "yellow", "failed": "bold red"}
_FIELDS: tuple[Field[JobResultModel], ...] = (
    Field("job", lambda result: result.job, Column("job", "bold")),
    Field(
        "result",
        lambda result: result.result,
        Column("result"),
        lambda result: (result.result, _STYLES.get(result.result, "dim")),
    ),
    Field("code", lambda result: result.code or ""),
    Field("message", lambda result: result.message or "", Column("reason", no_wrap=False, is_optional=True)),
)


def act_on_selection(command: str, options: SelectionOptions, as_json: bool, act: Act) -> None:
    """Apply the action to each job and print the results. The command ends with 1 if a job was refused."""
    from scheduler.cli.context import run_operation

    jobs = options.parse()
    results = run_operation(command, lambda program: _apply_to_pages(program, jobs, act))
    show_results(results, jobs, as_json)
    _exit_if_refused(results)


async def _apply_to_pages(program: Program, jobs: SelectedJobs, act: Act) -> Sequence[JobResultModel]:
    """Apply the action to all pages of the selection."""
    from dataclasses import replace

    from scheduler.features.jobs.models import ActionResult
    from scheduler.features.jobs.selected_jobs import SelectedJobActions

    if find_connection() is None:
        actions = SelectedJobActions(program.queries, program.circuits, program.operations)
    else:
        actions = cast("Any", program).selected_jobs
    results: list[JobResultModel] = []
    while True:
        report = await act(actions, jobs)
        results += report.jobs
        has_failed = bool(results) and results[-1].result is ActionResult.FAILED
        if report.continuation is None or has_failed:
            return results
        jobs = replace(jobs, after=report.continuation)


def run_selection(options: SelectionOptions, as_json: bool) -> None:
    """Run each job and wait until all runs have finished. The command ends with 1 if one did not succeed."""
    from scheduler.cli.context import count_finished_runs, quiet_run_log, run_operation

    jobs = options.parse()
    with quiet_run_log(), count_finished_runs() as listener:
        results, records = run_operation("run", lambda program: _run_jobs(program, jobs, listener), listener=listener)
    if jobs.dry_run or not records:
        show_results(results, jobs, as_json)
    else:
        _show_runs(records, as_json)
    for result in results:
        if result.message:
            print_note(f"{result.job}: {result.message}")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)
    _exit_if_refused(results)


async def _run_jobs(
    program: Program, jobs: SelectedJobs, counter: RunCounter | None
) -> tuple[Sequence[JobResultModel], Sequence[RunRecord]]:
    from scheduler.cli.context import wait_for_runs
    from scheduler.identity.principal import command_caller

    if find_connection() is None:
        program.worker.prepare()
    results = await _apply_to_pages(program, jobs, lambda actions, page: actions.run(page, caller=command_caller()))
    run_ids = [result.run_id for result in results if result.run_id is not None]
    if counter is None:
        return results, await wait_for_runs(program, run_ids)
    return results, await wait_for_runs(program, run_ids, on_read=counter.count)


def _show_runs(records: Sequence[RunRecord], as_json: bool) -> None:
    from scheduler.cli.run_report import show_runs

    if as_json:
        from scheduler.features.runs.models import RunList, view_run

        runs = [view_run(record) for record in records]
        show_model(RunList(runs=runs, continuation=None))
    else:
        show_runs(records)


def show_results(results: Sequence[JobResultModel], jobs: SelectedJobs, as_json: bool) -> None:
    """Print a line for each job. The command ends with 1 without any."""
    if as_json:
        from scheduler.features.jobs.models import ActionReportModel

        show_model(ActionReportModel(dry_run=jobs.dry_run, jobs=list(results), continuation=None))
    elif results:
        show_items(results, _FIELDS)
    if not results:
        fail(f"no job matches {jobs.selection}" if str(jobs.selection) else "there are no jobs", EXIT_FAILED)


def _exit_if_refused(results: Sequence[JobResultModel]) -> None:
    """End the command with 1 if the action was not applied to every job."""
    if any(result.result in ("refused", "failed") for result in results):
        raise typer.Exit(EXIT_FAILED)


def require_job(configuration: Configuration, name: str, note: str = "") -> JobDefinition:
    """Return the job in force; without one end the command with 2. `note`: a line after the message.

    If the store is unavailable, a job that no file defines ends the command with 1.
    """
    from scheduler.cli.context import run_in_store, run_with_sources

    if find_connection() is not None:
        return run_in_store(configuration, lambda program: _read_definition(program, name, note))
    if (of_file := configuration.jobs.jobs.get(name)) is not None:
        return of_file

    async def find(_: ReadOnlyProgram, sources: JobSources) -> tuple[StoredJob | None, Sequence[str]]:
        return sources.stored.get(name), [one.entry.name for one in sources.stored.values() if one.is_in_force]

    unavailable = f"no job file defines {name!r}, and the stored jobs cannot be read: "
    stored, others = run_with_sources(configuration.settings, configuration.jobs, find, on_failure=unavailable)
    if stored is None or stored.problems or stored.located is None:
        message = _describe_unknown_job(name, configuration, others) if stored is None else _describe_rejected(stored)
        fail(f"{message}\n{note}" if note else message)
    return stored.located.job


async def _read_definition(program: Any, name: str, note: str) -> JobDefinition:
    """Return a job of the running scheduler."""
    from scheduler.catalog.catalog import UnknownJob

    try:
        found: JobDefinition = await program.queries.read_definition(name)
    except UnknownJob as error:
        message = f"{error}" if error.suggestion else f"{error}; `jobs` lists all jobs"
        fail(f"{message}\n{note}" if note else message)
    return found


def _describe_rejected(stored: StoredJob) -> str:
    return f"the stored job {stored.entry.name} is not in force: {stored.problems[0]}"


def _describe_unknown_job(name: str, configuration: Configuration, stored: Sequence[str]) -> str:
    from jobs.problems.findings import did_you_mean, suggest_name

    names = [*configuration.jobs.jobs, *stored]
    if configuration.problems:
        return f"there is no job named {name!r} among the jobs without problems: fix the problems above, and try again"
    sentence = f"there is no job named {name!r}"
    if not names:
        return f"{sentence}: there are no jobs, check SCHEDULER_JOBS"
    return sentence + (did_you_mean(suggest_name(name, names)) or "; `jobs` lists all jobs")


def add_stored_jobs(files: JobSet, settings: Settings | None) -> JobSet:
    """Return the jobs in force with these files. Its warnings name each stored job that is not in force, and why, or
    whose alerts name something unknown.

    Settings with problems end the command with 2, an unavailable store with 1.
    """
    from config.stored_jobs import join_uses, name_jobs
    from scheduler.cli.context import run_with_sources

    if settings is None:
        fail("--stored needs valid settings, which name the store: `validate` without a path shows the problems")
    from scheduler.cli.profiles import note_unused_profile

    note_unused_profile()

    async def read(_: ReadOnlyProgram, sources: JobSources) -> JobSources:
        return sources

    stored = run_with_sources(settings, files, read).stored
    accepted = [one.located for one in stored.values() if one.is_in_force and one.located is not None]
    together = files.overridden_by(name_jobs(join_uses(files, accepted), accepted))
    rejected = [problem for one in stored.values() for problem in _describe_problems(one)]
    return replace(together, warnings=(*together.warnings, *rejected))


def _describe_problems(stored: StoredJob) -> Iterator[Problem]:
    for problem in stored.problems:
        key = ": ".join(filter(None, (stored.entry.name, problem.key)))
        message = f"the stored job is not in force: {problem.message}"
        yield replace(problem, key=key, message=message, file=None, line=None)
    for problem in stored.unknown_names:
        key = ": ".join(filter(None, (stored.entry.name, problem.key)))
        yield replace(problem, key=key, file=None, line=None)


FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Job files or folders of job files: all jobs of the set.")
]
SetOption = Annotated[
    str,
    typer.Option("--set", metavar="NAME", help="Name of the set, the owner of its jobs, such as a repository."),
]
AdoptOption = Annotated[
    bool, typer.Option("--adopt", help="Take over jobs of other sets, and jobs that were made by hand.")
]
LiteralOption = Annotated[
    bool,
    typer.Option(
        "--allow-literal",
        help="Accept literal credentials, such as an Authorization header, which a scheduler rejects with --url.",
    ),
]


def load_set(command: str, files: list[Path], owner: str) -> tuple[Configuration, DesiredSet]:
    """Read the configuration and the files; what is wrong ends the command with 2."""
    from config.desired_sets import read_desired_set
    from config.errors import ConfigurationError, format_problems
    from scheduler.cli.context import load_for_command
    from scheduler.cli.working_copy import check_owner

    check_owner(owner)
    configuration = load_for_command(command)
    try:
        return configuration, read_desired_set(files, Path.cwd(), configuration.settings.default_schedule)
    except ConfigurationError as error:
        fail(format_problems(error.problems))


class ExpressionCommand(TyperCommand):
    """Accepts an expression that begins with `-`, instead of rejecting it as an unknown option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        expressions = [word for word in args if word.startswith("-") and not word.startswith("--") and " " in word]
        rest = [word for word in args if word not in expressions]
        return super().parse_args(ctx, [*rest, "--", *expressions] if expressions else rest)
