"""`run` runs a job now, `history` lists the runs of jobs or shows one run with its attempts, `cancel` cancels a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import show_model
from scheduler.cli.output import (
    EXIT_FAILED,
    Cell,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_table,
    show_tabs,
)
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
from scheduler.cli.times import format_local, format_milliseconds

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.definition import JobDefinition
    from jobs.runs.events import RunListener
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.cli.progress import RemoteRunProgress
    from scheduler.features.statistics.periods import TimeRange
    from scheduler.stores.runs.repository import RunRecord


def run(
    jobs: JobsArgument = None,
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")] = False,
) -> None:
    """Run a job now, or all jobs that match, and wait until the runs finish. Disabled and paused jobs run, too.

    The jobs that depend on it run afterwards; history has all these runs. Exit code 0: the run succeeded, 1: it did
    not, 2: the job does not exist, 130: interrupted.

    \b
    Examples:
      run checkout-api
      run checkout-api --json
      run --tag team=payments --state enabled
    """
    options = SelectionOptions.from_arguments(jobs, tags, kinds, states, every, dry_run)
    if options.single_name is not None:
        _run_job(options.single_name, as_json)
    else:
        from scheduler.cli.selection import run_selection

        run_selection(options, as_json)


def _run_job(job: str, as_json: bool) -> None:
    from scheduler.cli.context import load_for_command, run_operation
    from scheduler.cli.selection import require_job

    configuration = load_for_command("run")
    if find_connection() is not None:
        with _show_remote_progress(job, as_json) as progress:
            record = run_operation("run", lambda program: _run_remotely(program, job, progress))
    elif is_terminal() and not as_json:
        record = _run_with_progress(configuration, require_job(configuration, job))
    else:
        require_job(configuration, job)
        record = _run(configuration, job)
    if record is None or record.run is None:
        fail(f"the run of {job} did not finish, see the log", EXIT_FAILED)
    _show_result(record, as_json)
    is_local = find_connection() is None
    if is_local and record.run.error == "connection_refused" and job in configuration.jobs.samples:
        print_note("the target of the sample jobs is available only while `serve` runs")
    if record.run.outcome != "succeeded":
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _show_remote_progress(job: str, as_json: bool) -> Iterator[RemoteRunProgress | None]:
    from scheduler.cli.output import create_console
    from scheduler.cli.progress import RemoteRunProgress

    if as_json or not is_terminal():
        yield None
        return
    with RemoteRunProgress(job, create_console()) as progress:
        yield progress


async def _run_remotely(program: Any, job: str, progress: RemoteRunProgress | None) -> RunRecord | None:
    """Let a running scheduler perform the run."""
    from scheduler.cli.context import wait_for_runs

    if progress is None:
        record: RunRecord = await program.queries.start(job)
        found = [record] if record.run is not None else await wait_for_runs(program, [record.ticket.id])
    else:
        record = await program.queries.start(job, wait_s=1)
        progress.show(record)
        found = await wait_for_runs(program, [record.ticket.id], on_read=progress.show)
    return found[0] if found else None


def _run_with_progress(configuration: Configuration, job: JobDefinition) -> RunRecord | None:
    from scheduler.cli.output import create_console
    from scheduler.cli.progress import JobProgress

    with JobProgress(job.name, job.retry.attempts, create_console()) as progress:
        return _run(configuration, job.name, progress)


def _run(configuration: Configuration, job: str, listener: RunListener | None = None) -> RunRecord | None:
    from jobs.runs.events import ListenerGroup
    from scheduler.cli.context import quiet_run_log, run_in_program
    from scheduler.cli.progress import FollowingRuns

    followed = FollowingRuns(job)
    listeners = followed if listener is None else ListenerGroup(followed, listener)
    with quiet_run_log():
        record = run_in_program(configuration, lambda program: _run_until_done(program, job), listeners)
    if text := str(followed):
        print_note(text)
    return record


async def _run_until_done(program: Program, job: str) -> RunRecord | None:
    import asyncio

    from scheduler.identity.principal import command_caller

    record = await program.operations.runs.run_now(job, caller=command_caller())
    try:
        await program.worker.wait_until_idle()
    except asyncio.CancelledError:
        # Ctrl-C: the run ends now, and history shows it.
        await program.worker.drain(0)
        print_note(f"interrupted: {record.ticket.id} was recorded as cancelled")
        raise
    return await program.queries.find_run(record.ticket.id)


def _show_result(record: RunRecord, as_json: bool) -> None:
    if as_json:
        from scheduler.features.runs.models import view_run

        show_model(view_run(record))
        return
    from scheduler.cli.run_report import show_run

    assert record.run is not None
    show_run(record.run)


_PAGE = 500
MAX_RUNS = 10_000


_SubjectArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="JOB|RUN", help="Job name, also of a removed job; or the id of one run. (default: all jobs)"
    ),
]
_RunOutcomeOption = Annotated[
    str | None,
    typer.Option("--outcome", help="Only runs with this outcome: succeeded, failed, timed_out, skipped, running, ..."),
]
_DueFromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="Only runs due at this time or later: ISO 8601, UTC unless it has an offset; or 24h for 24 hours ago.",
    ),
]
_DueToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="WHEN", help="Only runs due at this time or earlier, in the same form as --from."),
]


def history(
    subject: _SubjectArgument = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_RUNS, help="Maximum number of results.")] = 20,
    outcome: _RunOutcomeOption = None,
    since: _DueFromOption = None,
    until: _DueToOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/runs or GET /api/runs/ID.")] = False,
) -> None:
    """List the runs of a job, or of all jobs, newest first; or show one run with its attempts and details.

    Columns: due instant, outcome, attempts, duration, lateness, and cause of a failure or of a late start. A run whose
    state is `running` is claimed by a process: it is in progress, or waits for its instant, for another run or for a
    free slot.

    \b
    Examples:
      history checkout-api
      history checkout-api --outcome failed --limit 5
      history checkout-api | cut -f 1,2
      history --outcome running
      history checkout-api --from 24h
      history --outcome failed --from 2026-11-25T01:00:00Z --to 2026-11-25T02:00:00Z
      history checkout-api@20261125T015030.000Z
    """
    from scheduler.stores.runs.repository import RUN_FILTERS

    if outcome is not None and outcome not in RUN_FILTERS:
        fail(f"--outcome: expected one of {', '.join(RUN_FILTERS)}, got {outcome!r}")
    from scheduler.cli.times import parse_interval_options

    due = parse_interval_options(since, until)
    if subject is None or "@" not in subject:
        _show_many(_RunFilter(subject, outcome, due), limit, as_json)
    elif outcome is None and not due.is_bounded:
        _show_one(subject, as_json)
    else:
        given = "--outcome applies" if outcome is not None else "--from and --to apply"
        fail(f"{given} to the runs of a job, and {subject} is one run")


class _RunFilter(NamedTuple):
    """Which runs are listed; `job` None: of all jobs."""

    job: str | None
    outcome: str | None
    due: TimeRange


def _show_many(run_filter: _RunFilter, limit: int, as_json: bool) -> None:
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job

    job = run_filter.job

    async def read(program: ReadOnlyProgram) -> tuple[list[RunRecord], RunRecord | None]:
        records = await _records(program, run_filter, limit)
        newest = () if records else (await program.queries.list_runs(job=job, limit=1)).records
        return records, newest[0] if newest else None

    records, newest = run_without_jobs("history", read)
    if not records:
        if newest is None and job is not None:
            require_job(load_for_command("history"), job)
        print_note(_describe_empty(run_filter, newest))
    _show_records(records, job, as_json)


def _describe_empty(run_filter: _RunFilter, newest: RunRecord | None) -> str:
    """`checkout-api has no runs that are failed and due from ...; its newest run: due ..., succeeded`."""
    from scheduler.cli.run_report import outcome_text

    whose, its = ("there are no runs", "the") if run_filter.job is None else (f"{run_filter.job} has no runs", "its")
    if newest is None:
        return f"{whose} yet" if run_filter.outcome is None else f"{whose} that are {run_filter.outcome}"
    filters = [run_filter.outcome or "", f"due {run_filter.due}" if run_filter.due.is_bounded else ""]
    excluded = " and ".join(filter(None, filters))
    return (
        f"{whose} that are {excluded}; {its} newest run: due "
        f"{format_iso_instant(newest.ticket.due_at)}, {outcome_text(newest)}"
    )


def _show_one(run_id: str, as_json: bool) -> None:
    from scheduler.cli.context import run_without_jobs
    from scheduler.cli.run_report import outcome_text

    record = run_without_jobs("history", lambda program: program.queries.find_run(run_id))
    if record is None:
        fail(
            f"there is no run {run_id!r}; perhaps it has not started yet, or is older than the retention time",
            EXIT_FAILED,
        )
    if as_json:
        from scheduler.features.runs.models import view_run

        show_model(view_run(record))
    elif record.run is None:
        print(escape_controls(f"{record.ticket.job} {outcome_text(record)}"))
    else:
        from scheduler.cli.run_report import show_run

        show_run(record.run)


async def _records(program: ReadOnlyProgram, of: _RunFilter, limit: int) -> list[RunRecord]:
    records: list[RunRecord] = []
    continuation: str | None = None
    while len(records) < limit:
        page_size = min(_PAGE, limit - len(records))
        page = await program.queries.list_runs(
            job=of.job, outcome=of.outcome, due=of.due, limit=page_size, continuation=continuation
        )
        records += page.records
        continuation = page.continuation
        if continuation is None:
            break
    return records


def _show_records(records: list[RunRecord], job: str | None, as_json: bool) -> None:
    if as_json:
        from scheduler.features.runs.models import RunList, view_run

        runs = [view_run(record) for record in records]
        show_model(RunList(runs=runs, continuation=None))
    elif not is_terminal():
        from scheduler.cli.run_report import RUN_FIELDS, run_fields

        show_tabs(RUN_FIELDS, map(run_fields, records))
    elif records:
        _show_table(records, job)


def _show_table(records: list[RunRecord], job: str | None) -> None:
    columns = (
        *(() if job is not None else (Column("job", "bold"),)),
        Column("due"),
        Column("outcome"),
        Column("trigger", "dim", is_optional=True),
        Column("attempts", align_right=True, is_optional=True),
        Column("took", align_right=True),
        Column("late", align_right=True, is_optional=True),
        Column("error", is_optional=True),
        Column("what happened", no_wrap=False),
    )
    rows = (_cells(record) if job is not None else (record.ticket.job, *_cells(record)) for record in records)
    show_table(columns, rows, title=job or "")


def _cells(record: RunRecord) -> tuple[Cell, ...]:
    from scheduler.cli.run_report import describe_notable_lateness, outcome_cell

    due, trigger, run = format_local(record.ticket.due_at), str(record.ticket.trigger), record.run
    if run is None:
        # `cancel` needs the id.
        return due, outcome_cell(record), trigger, "-", "-", "-", "", (record.ticket.id, "dim")
    took, late = format_milliseconds(run.duration_ms), format_milliseconds(run.lateness_ms)
    error: Cell = run.error or "", "red"
    happened = " ".join(filter(None, (run.message, describe_notable_lateness(run))))
    return due, outcome_cell(record), trigger, str(len(run.attempts)), took, late, error, happened


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
        from scheduler.features.runs.models import view_run

        show_model(view_run(record))
    elif record.run is not None:
        print(escape_controls(f"{run} is cancelled"))
    if record.run is None:
        print_error(f"{run} has not ended yet; its process cancels it when it reads the request")
        raise typer.Exit(EXIT_FAILED)
