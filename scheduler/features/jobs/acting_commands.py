"""`pause`, `resume` and `backfill`: skip a job's scheduled runs for a time, and run due instants that have not run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_count
from scheduler.cli.listing import show_model
from scheduler.cli.output import EXIT_FAILED, escape_controls, fail, print_note
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import (
    AllOption,
    DryRunOption,
    JobsArgument,
    KindOption,
    SelectionOptions,
    StateOption,
    TagOption,
)
from scheduler.cli.times import describe_pause

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from scheduler.app import Program
    from scheduler.features.jobs.models import JobSummary
    from scheduler.features.jobs.service import BackfillResult
    from scheduler.stores.runs.repository import RunRecord


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
    from scheduler.cli.times import end_after, parse_duration_option, parse_instant_option

    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    seconds, given_end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: expected a duration longer than 0, such as 30m or 2h")

    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)
    end = given_end if seconds is None else end_after(seconds)
    if options.single_name is not None:
        _pause_job(options.single_name, end, reason.strip(), as_json)
    else:
        _pause_selection(options, end, reason.strip(), as_json)


def _pause_job(job: str, until: datetime | None, reason: str, as_json: bool) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.features.jobs.views import summarize_job
    from scheduler.identity.principal import command_caller

    async def work(program: Any) -> tuple[JobSummary, datetime]:
        now: datetime = program.clock.now()
        pauses = program.operations.pauses
        if find_connection() is not None:
            return await pauses.pause(job, until=until, reason=reason), now
        await pauses.pause(job, until=until, reason=reason, caller=command_caller())
        return summarize_job(await program.queries.view_job(job)), now

    shown, now = run_operation("pause", work, job=job)
    # Another process of the scheduler may have paused it within the last seconds.
    pause = "paused" if shown.pause is None else describe_pause(shown.pause, now)
    _show_job(shown, f"{job} is {pause}", as_json)
    if shown.schedule is None:
        print_note(f"{job} has no schedule: a pause does not skip requested runs")
    elif not shown.enabled:
        print_note(f"{job} is disabled: it does not run on its schedule, paused or not")


def _pause_selection(options: SelectionOptions, until: datetime | None, reason: str, as_json: bool) -> None:
    from scheduler.cli.selection import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection(
        "pause",
        options,
        as_json,
        lambda actions, page: actions.pause(page, until=until, reason=reason, caller=command_caller()),
    )


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
    from scheduler.cli.selection import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection("resume", options, as_json, lambda actions, page: actions.resume(page, caller=command_caller()))


def _resume_job(job: str, as_json: bool) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.features.jobs.views import summarize_job
    from scheduler.identity.principal import command_caller

    async def work(program: Any) -> tuple[JobSummary, bool]:
        pauses = program.operations.pauses
        if find_connection() is not None:
            found: tuple[JobSummary, bool] = await pauses.resume(job)
            return found
        was_paused = await pauses.resume(job, caller=command_caller())
        return summarize_job(await program.queries.view_job(job)), was_paused

    shown, was_paused = run_operation("resume", work, job=job)
    _show_job(shown, f"{job} was resumed" if was_paused else f"{job} was not paused", as_json)


def _show_job(job: JobSummary, sentence: str, as_json: bool) -> None:
    """Print the sentence, or the job as JSON."""
    if as_json:
        show_model(job)
    else:
        print(escape_controls(sentence))


_FromOption = Annotated[
    str,
    typer.Option("--from", metavar="ISO", help="Start of the interval, inclusive; UTC unless it has an offset."),
]
_ToOption = Annotated[
    str | None, typer.Option("--to", metavar="ISO", help="End of the interval, inclusive. (default: now)")
]
_LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=1000, help="Maximum number of runs; refuse a longer interval.")
]
_LeaveSkippedOption = Annotated[
    bool, typer.Option("--leave-skipped", help="Do not run instants that are recorded as skipped.")
]
_BeforeFirstVersionOption = Annotated[
    bool, typer.Option("--before-first-version", help="Include instants before the job existed.")
]


def backfill(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    since: _FromOption,
    until: _ToOption = None,
    limit: _LimitOption = 100,
    leave_skipped: _LeaveSkippedOption = False,
    before_first_version: _BeforeFirstVersionOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/jobs/JOB/backfill.")] = False,
) -> None:
    """Run the due instants of a past interval that have not run, one after the other, and wait until they finish.

    The check runs now, so these runs have the trigger `backfill`: they count neither for uptime nor as the job's latest
    run. Instants before the job's first version are refused, unless --before-first-version is given.

    An instant that has run is not run again, whatever its outcome, so the command can be repeated. An instant that was
    skipped (by a pause, an overlap, or while no server ran) is run, and history retains the skipped run; not with
    --leave-skipped. Exit code 1: a run did not succeed.

    \b
    Examples:
      backfill checkout-api --from 2026-11-25T01:00:00Z --to 2026-11-25T01:10:00Z --dry-run
      backfill checkout-api --from 2026-11-25T01:00:00Z --limit 500
    """
    from scheduler.cli.context import count_finished_runs, quiet_run_log, run_operation
    from scheduler.cli.times import parse_instant_option

    start, end = parse_instant_option("--from", since), parse_instant_option("--to", until)
    assert start is not None

    def work(program: Program) -> Awaitable[tuple[BackfillResult, list[RunRecord]]]:
        return _backfill(program, job, start, end, limit, leave_skipped, before_first_version, dry_run)

    with quiet_run_log(), count_finished_runs() as listener:
        done, records = run_operation("backfill", work, job=job, listener=listener)
    _show(job, done, records, dry_run, as_json)
    print_note(_describe_result(done, dry_run, leave_skipped))
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)


async def _backfill(
    program: Program,
    job: str,
    start: datetime,
    end: datetime | None,
    limit: int,
    leave_skipped: bool,
    before_first_version: bool,
    dry_run: bool,
) -> tuple[BackfillResult, list[RunRecord]]:
    """Return the result, and the records of its runs once all have finished."""
    from scheduler.cli.context import wait_for_runs
    from scheduler.identity.principal import command_caller

    done = await program.operations.backfills.backfill(
        job,
        start,
        end,
        limit=limit,
        leave_skipped=leave_skipped,
        before_first_version=before_first_version,
        dry_run=dry_run,
        caller=command_caller(),
    )
    if dry_run:
        return done, []
    ids = [ticket.id for ticket in done.tickets]
    return done, await wait_for_runs(program, ids, "repeat the command to run them now, ")


def _describe_result(done: BackfillResult, dry_run: bool, leave_skipped: bool) -> str:
    """`3 due instants to be run, 1 of which was skipped; 5 ran already`."""
    number = len(done.tickets)
    runs = f"{format_count(number, 'due instant')} {'to be run' if dry_run else 'run'}"
    if done.skipped and not leave_skipped:
        runs += f", {done.skipped} of which {'was' if done.skipped == 1 else 'were'} skipped"
    rest = f", {done.skipped} skipped left as they are" if done.skipped and leave_skipped else ""
    return f"{runs}; {done.already_run} ran already{rest}"


def _show(job: str, done: BackfillResult, records: list[RunRecord], dry_run: bool, as_json: bool) -> None:
    if as_json:
        from scheduler.features.jobs.views import view_backfill

        show_model(view_backfill(job, done, dry_run=dry_run))
    elif dry_run:
        print("".join(f"{ticket.id}\n" for ticket in done.tickets), end="")
    else:
        from scheduler.cli.run_report import show_runs

        show_runs(records)
