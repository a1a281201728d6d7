"""`run`: runs a job now, shows how it goes, and ends with how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import FAILED, fail, note, on_terminal, show_json

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.events import RunListener
    from scheduler.app import Program
    from scheduler.stores.runs import Record


def run(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/runs/ID.")] = False,
) -> None:
    """Run a job now, also a disabled one, and wait for its end.

    The run is kept in history, and so are the runs of the jobs that depend on it, which follow. Exit code 0: it
    succeeded, 1: it did not, 2: there is no such job, 130: interrupted.

    \b
    Examples:
      run checkout-api
      run checkout-api --json
    """
    from scheduler.cli.configured import configured, known_job

    configuration = configured("run")
    known_job(configuration, job)
    record = _watched(configuration, job) if on_terminal() and not as_json else _run(configuration, job)
    if record is None or record.run is None:
        fail(f"the run of {job} did not come to its end, see the log", FAILED)
    _show(record, as_json)
    if record.run.error == "connection_refused" and job in configuration.jobs.samples:
        note("the target of the sample jobs answers only while `serve` runs")
    if record.run.outcome != "succeeded":
        raise typer.Exit(FAILED)


def _watched(configuration: Configuration, job: str) -> Record | None:
    from scheduler.cli.output import console
    from scheduler.cli.progress import Progress

    with Progress(job, configuration.jobs.jobs[job].retry.attempts, console()) as progress:
        return _run(configuration, job, progress)


def _run(configuration: Configuration, job: str, listener: RunListener | None = None) -> Record | None:
    from jobs.events import Listeners
    from scheduler.cli.changes import unlogged
    from scheduler.cli.configured import in_program
    from scheduler.cli.progress import Followed

    followed = Followed(job)
    told = followed if listener is None else Listeners(followed, listener)
    with unlogged():
        record = in_program(configuration, lambda program: _to_its_end(program, job), told)
    if text := str(followed):
        note(text)
    return record


async def _to_its_end(program: Program, job: str) -> Record | None:
    import asyncio

    from scheduler.operations.audit import Way

    record = await program.operations.running.run_now(job, way=Way.COMMAND_LINE)
    try:
        await program.worker.settle()
    except asyncio.CancelledError:
        # Ctrl-C: the run ends now, and history says so.
        await program.worker.drain(0)
        note(f"interrupted: {record.ticket.id} is recorded as cancelled")
        raise
    return await program.queries.run(record.ticket.id)


def _show(record: Record, as_json: bool) -> None:
    if as_json:
        from scheduler.api.models import RunModel

        show_json(RunModel.of(record).model_dump_json(indent=2))
        return
    from scheduler.cli.results import show_run

    assert record.run is not None
    show_run(record.run)
