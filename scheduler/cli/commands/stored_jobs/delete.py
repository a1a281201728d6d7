"""`delete`: delete a stored job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.cli.commands.stored_jobs.changing import JobArgument, change_stored_job
from scheduler.cli.output import escape_controls, print_note

if TYPE_CHECKING:
    from scheduler.app import Program


def delete(job: JobArgument) -> None:
    """Delete a stored job. Its versions and the history of its runs stay, so that `restore` can undo it.

    \b
    Examples:
      delete reports-api
    """

    async def work(program: Program) -> int | None:
        from scheduler.identity.command_caller import command_caller
        from scheduler.operations.stored_jobs.preconditions import ANY_VERSION

        caller = command_caller()
        known = program.stored_jobs.queries.find(job, caller)
        await program.operations.stored_jobs.delete(job, ANY_VERSION, caller)
        return None if known is None else known.entry.number

    number = change_stored_job("delete", job, work)
    print(escape_controls(f"{job} was deleted"))
    if number is not None:
        print_note(f"`restore {job} {number}` restores it")
