"""`restore`: make an earlier version of a stored job the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.stored_jobs.changing import JobArgument, change_stored_job
from scheduler.cli.output import escape_controls

if TYPE_CHECKING:
    from scheduler.app import Program


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
        from scheduler.identity.principal import command_caller
        from scheduler.operations.stored_jobs.preconditions import ANY_VERSION, NEW_JOB

        caller, stored = command_caller(), program.stored_jobs
        exists = stored.find(job, caller) is not None
        precondition = ANY_VERSION if exists else NEW_JOB
        await program.operations.stored_jobs.restore(job, version, precondition, caller)
        declared = stored.find(job, caller)
        assert declared is not None
        return declared.entry.number

    number = change_stored_job("restore", job, work)
    print(escape_controls(f"{job} has the definition of version {version}, as version {number}"))
