"""What the commands share that change something: doing it in the opened program, telling why not, showing the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from scheduler.cli.output import BAD_INPUT, FAILED, clean, fail

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.queries import JobView

T = TypeVar("T")


def changed(work: Callable[[Program], Awaitable[T]], *, job: str | None = None) -> T:
    """Do the work in the program. A `job` nobody knows and bad input end the command with 2, all else that is refused
    with 1."""
    from scheduler.cli.configured import configured, in_program, known_job
    from scheduler.operations import NotDone, Unusable

    configuration = configured()
    if job is not None:
        known_job(configuration, job)
    try:
        return in_program(configuration, work)
    except Unusable as error:
        fail(f"--{error.field.replace('_', '-')}: {error}", BAD_INPUT)
    except NotDone as error:
        fail(str(error), FAILED)


async def settled(program: Program) -> None:
    """Wait for the runs that this process performs; Ctrl-C ends those under way, which history then says."""
    import asyncio

    try:
        await program.worker.settle()
    except asyncio.CancelledError:
        await program.worker.drain(0)
        raise


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

        print(JobSummary.of(view).model_dump_json(indent=2))
        return
    print(clean(sentence))
