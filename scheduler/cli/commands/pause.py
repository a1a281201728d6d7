"""`pause`: skip a job's scheduled runs for a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.formatting import describe_pause
from scheduler.cli.output import fail, print_note
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


def pause(
    jobs: JobsArgument = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Duration, such as 30m or 2h.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="ISO", help="End; UTC unless it has an offset.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Reason, shown with the job and with the skipped run.")] = "",
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")] = False,
) -> None:
    """Skip the scheduled runs of a job, or of all jobs that match, for a time or until they are resumed.

    A running server applies the pause within 6 seconds. It records the first skipped run with the reason; that run
    stands for those that follow. Requested runs are not skipped. A pause of a paused job replaces its end and reason.

    \b
    Examples:
      pause checkout-api --for 2h --reason "deployment"
      pause checkout-api --until 2026-11-25T14:00:00Z
      pause --tag team=payments --for 2h
      pause 'checkout-*' --state enabled --dry-run
    """
    from scheduler.cli.options import parse_duration_option, parse_instant_option

    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    seconds, end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: expected a duration longer than 0, such as 30m or 2h")

    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)

    def find_end(now: datetime) -> datetime | None:
        return end if seconds is None else _end_after(now, seconds)

    if options.single_name is not None:
        _pause_job(options.single_name, find_end, reason.strip(), as_json)
    else:
        _pause_selection(options, find_end, reason.strip(), as_json)


def _pause_job(job: str, find_end: Callable[[datetime], datetime | None], reason: str, as_json: bool) -> None:
    from scheduler.cli.mutations import run_operation, show_job
    from scheduler.identity.principal import command_caller

    async def work(program: Program) -> tuple[JobView, datetime]:
        now = program.clock.now()
        await program.operations.pauses.pause(job, until=find_end(now), reason=reason, caller=command_caller())
        return await program.queries.view_job(job), now

    view, now = run_operation("pause", work, job=job)
    assert view.pause is not None
    show_job(view, f"{job} is {describe_pause(view.pause, now)}", as_json)
    if view.entry.job.schedule is None:
        print_note(f"{job} has no schedule: a pause does not skip requested runs")
    elif not view.entry.job.enabled:
        print_note(f"{job} is disabled: it does not run on its schedule, paused or not")


def _pause_selection(
    options: SelectionOptions, find_end: Callable[[datetime], datetime | None], reason: str, as_json: bool
) -> None:
    from scheduler.cli.selection.acting import act_on_selection
    from scheduler.identity.principal import command_caller

    until = find_end(datetime.now(UTC))
    act_on_selection(
        "pause",
        options,
        as_json,
        lambda actions, page: actions.pause(page, until=until, reason=reason, caller=command_caller()),
    )


def _end_after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--for: the end would be after the year 9999")
