"""Acts on all jobs of a selection and prints the result for each job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import typer

from scheduler.cli.output import (
    EXIT_FAILED,
    Cell,
    Column,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.cli.selection.options import SelectionOptions
    from scheduler.operations.selected_jobs import ActionReport, JobResult, SelectedJobActions, SelectedJobs
    from scheduler.stores.runs.repository import RunRecord

Act = Callable[["SelectedJobActions", "SelectedJobs"], Awaitable["ActionReport"]]

_FIELDS = ("job", "result", "code", "message")
_STYLES = {"done": "green", "refused": "yellow", "failed": "bold red"}


def act_on_selection(command: str, options: SelectionOptions, as_json: bool, act: Act) -> None:
    """Apply the action to each job and print the results. The command ends with 1 if a job was refused."""
    from scheduler.cli.mutations import run_operation

    jobs = options.parse()
    results = run_operation(command, lambda program: _apply_to_pages(program, jobs, act))
    show_results(results, jobs, as_json)
    _exit_if_refused(results)


async def _apply_to_pages(program: Program, jobs: SelectedJobs, act: Act) -> Sequence[JobResult]:
    """Apply the action to all pages of the selection."""
    from dataclasses import replace

    from scheduler.operations.selected_jobs import ActionResult, SelectedJobActions

    actions = SelectedJobActions(program.queries, program.circuits, program.operations)
    results: list[JobResult] = []
    while True:
        report = await act(actions, jobs)
        results += report.results
        has_failed = bool(results) and results[-1].result is ActionResult.FAILED
        if report.continuation is None or has_failed:
            return results
        jobs = replace(jobs, after=report.continuation)


def run_selection(options: SelectionOptions, as_json: bool) -> None:
    """Run each job and wait until all runs have finished. The command ends with 1 if one did not succeed."""
    from scheduler.cli.mutations import count_finished_runs, quiet_run_log, run_operation

    jobs = options.parse()
    with quiet_run_log(), count_finished_runs() as listener:
        results, records = run_operation("run", lambda program: _run_jobs(program, jobs), listener=listener)
    if jobs.dry_run or not records:
        show_results(results, jobs, as_json)
    else:
        _show_runs(records, as_json)
    for result in results:
        if result.message:
            print_note(f"{result.job}: {result.message}")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)
    _exit_if_refused(results)


async def _run_jobs(program: Program, jobs: SelectedJobs) -> tuple[Sequence[JobResult], Sequence[RunRecord]]:
    from scheduler.cli.mutations import wait_for_runs
    from scheduler.identity.command_caller import command_caller

    program.worker.prepare()
    results = await _apply_to_pages(program, jobs, lambda actions, page: actions.run(page, caller=command_caller()))
    run_ids = [result.run_id for result in results if result.run_id is not None]
    await wait_for_runs(program, run_ids)
    records = [await program.queries.find_run(run_id) for run_id in run_ids]
    return results, [record for record in records if record is not None]


def _show_runs(records: Sequence[RunRecord], as_json: bool) -> None:
    from scheduler.cli.run_report import show_runs

    if as_json:
        from scheduler.features.runs.models import RunList, RunModel

        runs = [RunModel.from_record(record) for record in records]
        show_json(RunList(runs=runs, continuation=None).model_dump_json(indent=2))
    else:
        show_runs(records)


def show_results(results: Sequence[JobResult], jobs: SelectedJobs, as_json: bool) -> None:
    """Print a line for each job. The command ends with 1 without any."""
    if as_json:
        from scheduler.api.selections.models import ActionReportModel
        from scheduler.operations.selected_jobs import ActionReport

        model = ActionReportModel.from_report(ActionReport(tuple(results), None), dry_run=jobs.dry_run)
        show_json(model.model_dump_json(indent=2))
    elif results and is_terminal():
        columns = (Column("job", "bold"), Column("result"), Column("reason", no_wrap=False, is_optional=True))
        show_table(columns, [_cells(result) for result in results])
    elif results:
        show_tabs(_FIELDS, [(result.job, result.result, result.code, result.message) for result in results])
    if not results:
        fail(f"no job matches {jobs.selection}" if str(jobs.selection) else "there are no jobs", EXIT_FAILED)


def _exit_if_refused(results: Sequence[JobResult]) -> None:
    """End the command with 1 if the action was not applied to every job."""
    if any(result.result in ("refused", "failed") for result in results):
        raise typer.Exit(EXIT_FAILED)


def _cells(result: JobResult) -> tuple[Cell, ...]:
    return result.job, (result.result, _STYLES.get(result.result, "dim")), result.message
