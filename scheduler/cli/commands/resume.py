"""`resume`: end a job's pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

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
    from scheduler.queries.overview.job_view import JobView


def resume(
    jobs: JobsArgument = None,
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")] = False,
) -> None:
    """End the pause of a job, or of all jobs that match.

    The instants that were skipped are not run. A running server applies it within a few seconds.

    \b
    Examples:
      resume checkout-api
      resume --tag team=payments --dry-run
      resume --all
    """
    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)
    if options.single_name is not None:
        _resume_job(options.single_name, as_json)
        return
    from scheduler.cli.selection.acting import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection("resume", options, as_json, lambda actions, page: actions.resume(page, caller=command_caller()))


def _resume_job(job: str, as_json: bool) -> None:
    from scheduler.cli.mutations import run_operation, show_job
    from scheduler.identity.principal import command_caller

    async def work(program: Program) -> tuple[JobView, bool]:
        was_paused = await program.operations.pauses.resume(job, caller=command_caller())
        return await program.queries.view_job(job), was_paused

    view, was_paused = run_operation("resume", work, job=job)
    show_job(view, f"{job} was resumed" if was_paused else f"{job} was not paused", as_json)
