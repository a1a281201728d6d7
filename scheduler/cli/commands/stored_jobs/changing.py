"""Changes one stored job in the opened program. Called by `restore` and `delete`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from scheduler.app import Program

T = TypeVar("T")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Name of a stored job.")]


def change_stored_job(command: str, job: str, work: Callable[[Program], Awaitable[T]]) -> T:
    """Do the work. A job that is not stored ends the command with 2, a conflict with 1."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.commands.stored_jobs.unknown_jobs import fail_without_stored_job
    from scheduler.cli.context import load_for_command, run_changing

    configuration = load_for_command(command)
    try:
        return run_changing(configuration, work, listing_hint=f"`versions {job}` lists its versions")
    except UnknownJob as error:
        fail_without_stored_job(command, error, configuration)
