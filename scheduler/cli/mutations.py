"""What the commands share that change something: doing it in the opened program, telling why not, showing the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from jobs.formats.counts import format_count
from scheduler.cli.output import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    create_console,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
)

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.problems import Problem
    from jobs.runs.events import RunListener
    from scheduler.app import Program
    from scheduler.queries.overview.job_view import JobView

T = TypeVar("T")


def run_operation(
    command: str,
    work: Callable[[Program], Awaitable[T]],
    *,
    job: str | None = None,
    listing_hint: str = "",
    listener: RunListener | None = None,
) -> T:
    """Do the work of this command (see registry) in the program.

    An unknown `job` and bad input end the command with 2, other rejections with 1. `listing_hint`: the command that
    lists existing items, added to the message about a missing one.
    """
    from scheduler.cli.context import load_for_command
    from scheduler.cli.selection import require_job

    configuration = load_for_command(command)
    if job is not None:
        require_job(configuration, job)
    return run_changing(configuration, work, listing_hint=listing_hint, listener=listener)


def run_changing(
    configuration: Configuration,
    work: Callable[[Program], Awaitable[T]],
    *,
    listing_hint: str = "",
    listener: RunListener | None = None,
    locate: Callable[[Iterable[Problem]], Iterable[Problem]] | None = None,
) -> T:
    """The same with a loaded configuration. `locate`: adds files and lines to the problems of definitions."""
    from scheduler.cli.context import run_in_program
    from scheduler.errors import InvalidArgument, InvalidDefinition, NotFound, OperationError

    try:
        return run_in_program(configuration, work, listener)
    except InvalidDefinition as error:
        fail("\n".join(map(str, error.problems if locate is None else locate(error.problems))), EXIT_BAD_INPUT)
    except InvalidArgument as error:
        fail(f"--{error.field.replace('_', '-')}: {error}", EXIT_BAD_INPUT)
    except NotFound as error:
        fail(f"{error}; {listing_hint}" if listing_hint else str(error), EXIT_FAILED)
    except OperationError as error:
        fail(str(error), EXIT_FAILED)


async def wait_for_runs(program: Program, run_ids: Sequence[str], resume_hint: str = "") -> None:
    """Wait for these runs, which this process performs.

    Ctrl-C cancels runs in-flight, and history shows it. Waiting runs stay queued: `resume_hint` is how to continue, if
    there is another way than to leave them to a server.
    """
    import asyncio

    try:
        await program.worker.wait_until_idle()
    except asyncio.CancelledError:
        await program.worker.drain(0)
        records = [await program.queries.find_run(run_id) for run_id in run_ids]
        left = sum(record is not None and record.run is None for record in records)
        if left:
            queued = f"{format_count(left, 'run stays', 'runs stay')} queued"
            print_note(
                f"interrupted: {queued}: {resume_hint}a server performs them within two minutes, `cancel` cancels one"
            )
        raise


@contextmanager
def count_finished_runs() -> Iterator[RunListener | None]:
    """Show the number of finished runs and their outcomes on a terminal, until all have finished."""
    if not is_terminal():
        yield None
        return
    from scheduler.cli.progress import RunCounter

    with RunCounter(create_console()) as count:
        yield count


@contextmanager
def quiet_run_log() -> Iterator[None]:
    """Silence the log of runs: it would repeat the result on stderr."""
    import logging

    log = logging.getLogger("scheduler.runs")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def show_job(view: JobView, sentence: str, as_json: bool) -> None:
    """The sentence, or the job as JSON."""
    if as_json:
        from scheduler.features.jobs.models import JobSummary

        show_json(JobSummary.from_view(view).model_dump_json(indent=2))
        return
    print(escape_controls(sentence))
