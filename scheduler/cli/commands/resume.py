"""`resume`: end a job's pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.queries.jobs_and_runs import JobView


def resume(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the job in GET /api/jobs.")] = False,
) -> None:
    """End a job's pause.

    The instants that were skipped are not run. A running server applies it within a few seconds.

    \b
    Examples:
      resume checkout-api
    """
    from scheduler.cli.mutations import run_operation, show_job
    from scheduler.identity.command_caller import command_caller

    async def work(program: Program) -> tuple[JobView, bool]:
        was_paused = await program.operations.pauses.resume(job, caller=command_caller())
        return await program.queries.view_job(job), was_paused

    view, was_paused = run_operation("resume", work, job=job)
    show_job(view, f"{job} was resumed" if was_paused else f"{job} was not paused", as_json)
