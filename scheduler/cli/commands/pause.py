"""`pause`: leaves out a job's scheduled runs for a while."""

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
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    length: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Such as 30m or 2h.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="ISO", help="Its end; without an offset it is UTC.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Shown beside the job and with the run left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as in GET /api/jobs.")] = False,
) -> None:
    """Leave out a job's scheduled runs, for a time or until it is resumed.

    A running server follows within 6 seconds. What it leaves out then is recorded as skipped with the reason: one run,
    which stands for those after it. What people ask for runs all the same. A job that is paused already gets the new
    end and reason.

    \b
    Examples:
      pause checkout-api --for 2h --reason "deployment"
      pause checkout-api --until 2026-11-25T14:00:00Z
      pause checkout-api
    """
    from scheduler.audit import ChangeSource
    from scheduler.cli.mutations import run_operation, show_job
    from scheduler.cli.options import parse_duration_option, parse_instant_option

    if length is not None and until is not None:
        fail("--for and --until say the same thing: give one of them")
    seconds, end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: a pause of no time is none: write it like 30m or 2h")

    async def work(program: Program) -> tuple[JobView, datetime]:
        now = program.clock.now()
        ends = end if seconds is None else _end_after(now, seconds)
        await program.operations.pauses.pause(job, until=ends, reason=reason.strip(), source=ChangeSource.COMMAND_LINE)
        return await program.queries.view_job(job), now

    view, now = run_operation("pause", work, job=job)
    assert view.pause is not None
    show_job(view, f"{job} is {describe_pause(view.pause, now)}", as_json)
    if view.entry.job.schedule is None:
        print_note(f"{job} has no schedule: what people ask for runs all the same")
    elif not view.entry.job.enabled:
        print_note(f"{job} is disabled, so it does not run on its schedule anyway")


def _end_after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--for: that is longer than time goes on")
