"""`cancel`: cancel a run that is queued or running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import escape_controls, show_json

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.stores.runs.repository import RunRecord

_CANCEL_TIMEOUT = 15.0
"""Seconds. A server reads requests to cancel its long runs every few seconds."""


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, `job@instant`; `history` lists the runs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/runs/ID.")] = False,
) -> None:
    """Cancel a run that is queued or running, and wait until it ends.

    Its outcome is then `cancelled`; the attempts that it made are retained. Exit code 1: the run does not exist, has
    finished, or has not ended after 15 seconds.

    \b
    Examples:
      cancel checkout-api@20261125T015030.000Z
    """
    from scheduler.cli.context import run_operation
    from scheduler.cli.output import EXIT_FAILED, print_error
    from scheduler.identity.principal import command_caller

    async def work(program: Program) -> RunRecord:
        return await program.operations.cancellations.cancel(run, caller=command_caller(), wait=_CANCEL_TIMEOUT)

    record = run_operation("cancel", work, listing_hint="`history JOB` shows the ids of its runs")
    if as_json:
        from scheduler.api.models.runs import RunModel

        show_json(RunModel.from_record(record).model_dump_json(indent=2))
    elif record.run is not None:
        print(escape_controls(f"{run} is cancelled"))
    if record.run is None:
        print_error(f"{run} has not ended yet; its process cancels it when it reads the request")
        raise typer.Exit(EXIT_FAILED)
