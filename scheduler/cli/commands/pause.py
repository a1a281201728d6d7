"""`pause`: skip a job's scheduled runs for a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.formatting import describe_pause
from scheduler.cli.output import fail, print_note

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.queries.jobs_and_runs import JobView


def pause(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    length: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Duration, such as 30m or 2h.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="ISO", help="End; UTC unless it has an offset.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Reason, shown with the job and with the skipped run.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the job in GET /api/jobs.")] = False,
) -> None:
    """Skip a job's scheduled runs, for a time or until it is resumed.

    A running server applies the pause within 6 seconds. It records the first skipped run with the reason; that run
    stands for those that follow. Requested runs are not skipped. A pause of a paused job replaces its end and reason.

    \b
    Examples:
      pause checkout-api --for 2h --reason "deployment"
      pause checkout-api --until 2026-11-25T14:00:00Z
      pause checkout-api
    """
    from scheduler.cli.mutations import run_operation, show_job
    from scheduler.cli.options import parse_duration_option, parse_instant_option
    from scheduler.identity.command_caller import command_caller

    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    seconds, end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: expected a duration longer than 0, such as 30m or 2h")

    async def work(program: Program) -> tuple[JobView, datetime]:
        now = program.clock.now()
        ends = end if seconds is None else _end_after(now, seconds)
        await program.operations.pauses.pause(job, until=ends, reason=reason.strip(), caller=command_caller())
        return await program.queries.view_job(job), now

    view, now = run_operation("pause", work, job=job)
    assert view.pause is not None
    show_job(view, f"{job} is {describe_pause(view.pause, now)}", as_json)
    if view.entry.job.schedule is None:
        print_note(f"{job} has no schedule: a pause does not skip requested runs")
    elif not view.entry.job.enabled:
        print_note(f"{job} is disabled: it does not run on its schedule, paused or not")


def _end_after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--for: the end would be after the year 9999")
