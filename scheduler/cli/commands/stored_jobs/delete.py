"""`delete`: delete a stored job, or all stored jobs that match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.stored_jobs.changing import change_stored_job
from scheduler.cli.output import escape_controls, print_note
from scheduler.cli.selection.options import (
    AllOption,
    DryRunOption,
    JobsArgument,
    KindOption,
    SelectionOptions,
    StateOption,
    TagOption,
)

if TYPE_CHECKING:
    from scheduler.app import Program


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
    from scheduler.cli.selection.acting import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection("delete", options, as_json, lambda actions, page: actions.delete(page, caller=command_caller()))


def _delete_job(job: str) -> None:
    """Delete the job, also if it is not in force."""

    async def work(program: Program) -> int | None:
        from scheduler.identity.principal import command_caller
        from scheduler.operations.stored_jobs.preconditions import ANY_VERSION

        caller = command_caller()
        known = program.stored_jobs.find(job, caller)
        await program.operations.stored_jobs.delete(job, ANY_VERSION, caller)
        return None if known is None else known.entry.number

    number = change_stored_job("delete", job, work)
    print(escape_controls(f"{job} was deleted"))
    if number is not None:
        print_note(f"`restore {job} {number}` restores it")
