"""What the commands share that change something: doing it in the opened program, telling why not, showing the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from scheduler.cli.output import BAD_INPUT, FAILED, clean, console, fail, note, on_terminal, show_json

if TYPE_CHECKING:
    from jobs.events import RunListener
    from scheduler.app import Program
    from scheduler.queries import JobView

T = TypeVar("T")


def changed(
    command: str,
    work: Callable[[Program], Awaitable[T]],
    *,
    job: str | None = None,
    listed_by: str = "",
    listener: RunListener | None = None,
) -> T:
    """Do the work of this command (see NEEDS) in the program.

    A `job` nobody knows and bad input end the command with 2, all else that is refused with 1. `listed_by`: the command
    that shows what there is, said beside what is not there.
    """
    from scheduler.cli.configured import configured, in_program, known_job
    from scheduler.operations.errors import NotDone, NotThere, Unusable

    configuration = configured(command)
    if job is not None:
        known_job(configuration, job)
    try:
        return in_program(configuration, work, listener)
    except Unusable as error:
        fail(f"--{error.field.replace('_', '-')}: {error}", BAD_INPUT)
    except NotThere as error:
        fail(f"{error}; {listed_by}" if listed_by else str(error), FAILED)
    except NotDone as error:
        fail(str(error), FAILED)


async def settled(program: Program, run_ids: Sequence[str], go_on: str = "") -> None:
    """Wait for these runs, which this process performs.

    Ctrl-C ends those under way, which history then says. Those that wait stay queued: `go_on` says how to go on, if
    there is another way than to leave them to a server.
    """
    import asyncio

    try:
        await program.worker.settle()
    except asyncio.CancelledError:
        await program.worker.drain(0)
        records = [await program.queries.run(run_id) for run_id in run_ids]
        left = sum(record is not None and record.run is None for record in records)
        if left:
            queued = f"{left} {'run stays' if left == 1 else 'runs stay'} queued"
            note(f"interrupted: {queued}: {go_on}a server performs them within two minutes, `cancel` ends one")
        raise


@contextmanager
def counted() -> Iterator[RunListener | None]:
    """How many runs are over and how they went, while they go on, on a terminal; otherwise nothing."""
    if not on_terminal():
        yield None
        return
    from scheduler.cli.progress import Count

    with Count(console()) as count:
        yield count


@contextmanager
def unlogged() -> Iterator[None]:
    """The result says what the log of runs would say once more on stderr."""
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
        from scheduler.api.models import JobSummary

        show_json(JobSummary.of(view).model_dump_json(indent=2))
        return
    print(clean(sentence))
