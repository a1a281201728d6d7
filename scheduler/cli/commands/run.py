"""`run`: run a job now, and show its progress and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import EXIT_FAILED, fail, is_terminal, print_note, show_json
from scheduler.cli.selection import (
    AllOption,
    DryRunOption,
    JobsArgument,
    KindOption,
    SelectionOptions,
    StateOption,
    TagOption,
)

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.definition import JobDefinition
    from jobs.runs.events import RunListener
    from scheduler.app import Program
    from scheduler.stores.runs.repository import RunRecord


def run(
    jobs: JobsArgument = None,
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")] = False,
) -> None:
    """Run a job now, or all jobs that match, and wait until the runs finish. Disabled and paused jobs run, too.

    The jobs that depend on it run afterwards; history has all these runs. Exit code 0: the run succeeded, 1: it did
    not, 2: the job does not exist, 130: interrupted.

    \b
    Examples:
      run checkout-api
      run checkout-api --json
      run --tag team=payments --state enabled
    """
    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)
    if options.single_name is not None:
        _run_job(options.single_name, as_json)
    else:
        from scheduler.cli.selection import run_selection

        run_selection(options, as_json)


def _run_job(job: str, as_json: bool) -> None:
    from scheduler.cli.context import load_for_command
    from scheduler.cli.selection import require_job

    configuration = load_for_command("run")
    definition = require_job(configuration, job)
    if is_terminal() and not as_json:
        record = _run_with_progress(configuration, definition)
    else:
        record = _run(configuration, job)
    if record is None or record.run is None:
        fail(f"the run of {job} did not finish, see the log", EXIT_FAILED)
    _show(record, as_json)
    if record.run.error == "connection_refused" and job in configuration.jobs.samples:
        print_note("the target of the sample jobs is available only while `serve` runs")
    if record.run.outcome != "succeeded":
        raise typer.Exit(EXIT_FAILED)


def _run_with_progress(configuration: Configuration, job: JobDefinition) -> RunRecord | None:
    from scheduler.cli.output import create_console
    from scheduler.cli.progress import JobProgress

    with JobProgress(job.name, job.retry.attempts, create_console()) as progress:
        return _run(configuration, job.name, progress)


def _run(configuration: Configuration, job: str, listener: RunListener | None = None) -> RunRecord | None:
    from jobs.runs.events import ListenerGroup
    from scheduler.cli.context import quiet_run_log, run_in_program
    from scheduler.cli.progress import FollowingRuns

    followed = FollowingRuns(job)
    listeners = followed if listener is None else ListenerGroup(followed, listener)
    with quiet_run_log():
        record = run_in_program(configuration, lambda program: _run_until_done(program, job), listeners)
    if text := str(followed):
        print_note(text)
    return record


async def _run_until_done(program: Program, job: str) -> RunRecord | None:
    import asyncio

    from scheduler.identity.principal import command_caller

    record = await program.operations.runs.run_now(job, caller=command_caller())
    try:
        await program.worker.wait_until_idle()
    except asyncio.CancelledError:
        # Ctrl-C: the run ends now, and history shows it.
        await program.worker.drain(0)
        print_note(f"interrupted: {record.ticket.id} was recorded as cancelled")
        raise
    return await program.queries.find_run(record.ticket.id)


def _show(record: RunRecord, as_json: bool) -> None:
    if as_json:
        from scheduler.api.models.runs import RunModel

        show_json(RunModel.from_record(record).model_dump_json(indent=2))
        return
    from scheduler.cli.run_report import show_run

    assert record.run is not None
    show_run(record.run)
