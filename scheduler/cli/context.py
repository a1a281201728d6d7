"""The configuration and the opened program, for the commands that need them: to read, and to change something.

What is wrong ends the command.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

from jobs.formats import format_count
from scheduler.cli.output import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    create_console,
    fail,
    is_terminal,
    print_error,
    print_note,
    print_warning,
)
from scheduler.cli.reach import find_connection
from scheduler.cli.registry import Needs, find_needs

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from config.loading import Configuration
    from config.settings.model import Settings
    from jobs.problems import Problem
    from jobs.runs.events import RunListener
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.catalog.composition import JobSources, StoredJob
    from scheduler.cli.connection import Connection
    from scheduler.cli.progress import RunCounter
    from scheduler.stores.runs.repository import RunRecord

T = TypeVar("T")
P = TypeVar("P")

ROOT = Path(__file__).resolve().parents[2]
"""The program's folder, where its own configuration lies."""
_INCOMPLETE = "the list is incomplete: jobs with problems are excluded"
_CONTINUES = "the command continues without the settings and jobs that have problems"
_MAX_WARNINGS = 5


def load_for_command(
    command: str, sample_target: str | None = None, *, on_failure: Callable[[str], None] | None = None
) -> Configuration:
    """Load settings and jobs by the environment variables, and show every problem.

    A problem ends a command with 2 if it needs everything (see registry); so does an invalid setting of the store.
    `sample_target`: where the sample jobs point, else the usual address. `on_failure`: gets the problems as a text
    before the command ends, once they are printed.
    """
    if find_connection() is not None:
        return cast("Configuration", RemoteConfiguration())
    from config.errors import ConfigurationError, format_problems
    from config.loading import SAMPLE_TARGET, load_configuration, load_usable_configuration

    load = load_configuration if find_needs(command) is Needs.EVERYTHING else load_usable_configuration
    try:
        configuration = load(os.environ, root=ROOT, sample_target=sample_target or SAMPLE_TARGET)
    except ConfigurationError as wrong:
        problems = format_problems(wrong.problems)
        try:
            fail(problems)
        finally:
            if on_failure is not None:
                on_failure(problems)
    if configuration.problems:
        print_error(format_problems(configuration.problems))
        print_warning(_INCOMPLETE if find_needs(command) is Needs.ALL_JOBS else _CONTINUES)
    return configuration


class RemoteConfiguration:
    """What a command has in place of settings and job files if it works in a running scheduler, which has its own."""

    problems: Sequence[Problem] = ()


def run_in_remote(connection: Connection, work: Callable[[P], Awaitable[T]]) -> T:
    """Do the work in a running scheduler, which the command reaches. What it refuses: see scheduler.cli.reach."""
    from scheduler.cli.remote_program import RemoteProgram
    from scheduler.features.delivery.remote import open_remote

    return run_opened(open_remote(*connection), lambda api: work(cast("P", RemoteProgram(api))))


def exit_if_incomplete(configuration: Configuration) -> None:
    """End a command that lists jobs with 2 after its output, if jobs are missing from the list."""
    if configuration.problems:
        raise typer.Exit(EXIT_BAD_INPUT)


def run_in_program(
    configuration: Configuration, work: Callable[[Program], Awaitable[T]], listener: RunListener | None = None
) -> T:
    """Open the program next to a running server, do the work, close it; a store that fails ends the command with 1."""
    if (connection := find_connection()) is not None:
        return run_in_remote(connection, work)
    from scheduler.app import open_program
    from scheduler.cli.command_profile import CommandProfile

    return run_opened(open_program(configuration, CommandProfile(), listener=listener), work)


def run_in_store(configuration: Configuration, work: Callable[[ReadOnlyProgram], Awaitable[T]]) -> T:
    """Open the store only to read, which starts faster than the program, do the work, and close it."""
    if (connection := find_connection()) is not None:
        return run_in_remote(connection, work)

    async def compose_and_work(program: ReadOnlyProgram, sources: JobSources) -> T:
        _warn_of_rejected_jobs([one for one in sources.stored.values() if not one.is_in_force])
        return await work(program)

    return run_with_sources(configuration.settings, configuration.jobs, compose_and_work)


def _warn_of_rejected_jobs(rejected: Sequence[StoredJob]) -> None:
    for one in rejected[:_MAX_WARNINGS]:
        print_warning(f"the stored job {one.entry.name} is not in force: {one.problems[0]}")
    if len(rejected) > _MAX_WARNINGS:
        more = len(rejected) - _MAX_WARNINGS
        print_warning(f"{more} more stored jobs are not in force: `validate --stored` lists all")


def run_with_sources(
    settings: Settings,
    files: JobSet,
    work: Callable[[ReadOnlyProgram, JobSources], Awaitable[T]],
    *,
    on_failure: str = "",
) -> T:
    """Open the store only to read, and do the work with the jobs of the files and of the store.

    `on_failure`: a text before the message of a store that fails.
    """
    from scheduler.app import open_read_only

    async def compose_and_work(program: ReadOnlyProgram) -> T:
        return await work(program, await program.compose_jobs(files))

    return run_opened(open_read_only(settings), compose_and_work, on_failure)


def run_without_jobs(command: str, work: Callable[[ReadOnlyProgram], Awaitable[T]]) -> T:
    """Open the store only to read, without reading job files, which takes half of the time, and do the work."""
    if (connection := find_connection()) is not None:
        return run_in_remote(connection, work)
    from config.errors import ConfigurationError, format_problems
    from config.loading import load_usable_settings
    from scheduler.app import open_read_only

    assert find_needs(command) is Needs.STORE
    try:
        loaded, problems = load_usable_settings(os.environ, root=ROOT)
    except ConfigurationError as wrong:
        fail(format_problems(wrong.problems))
    if problems:
        print_error(format_problems(problems))
        print_warning(_CONTINUES)
    return run_opened(open_read_only(loaded.settings), work)


def run_opened(opened: AbstractAsyncContextManager[P], work: Callable[[P], Awaitable[T]], on_failure: str = "") -> T:
    """Open something, do the work with it and close it; a store that fails ends the command with 1."""
    import asyncio

    from scheduler.stores.port import StoreError

    async def whole() -> T:
        cancel_on_signals()
        async with opened as inside:
            return await work(inside)

    try:
        return asyncio.run(whole())
    except StoreError as error:
        fail(f"{on_failure}{error}", EXIT_FAILED)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def cancel_on_signals() -> None:
    """End a command at a time limit, in a pipeline, or when its terminal closes as Ctrl-C does:
    its run is recorded as cancelled. Not by way of SIGINT: what a script starts in the background has that ignored."""
    import asyncio
    import signal
    from contextlib import suppress

    whole = asyncio.current_task()
    assert whole is not None
    for name in ("SIGTERM", "SIGHUP"):
        # Not on Windows; nor in threads other than the main one.
        with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                asyncio.get_running_loop().add_signal_handler(number, whole.cancel)


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
    from scheduler.cli.selection import require_job

    configuration = load_for_command(command)
    if job is not None and find_connection() is None:
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
    """Do work that changes something, in the program of a loaded configuration. Errors: as in run_operation.

    `locate`: adds files and lines to the problems of definitions.
    """
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


async def wait_for_runs(
    program: Program,
    run_ids: Sequence[str],
    resume_hint: str = "",
    on_read: Callable[[RunRecord], None] = lambda record: None,
) -> list[RunRecord]:
    """Wait for these runs, which this process performs, or a running scheduler, and return them.

    `on_read`: called with a run of a running scheduler at each read.
    Ctrl-C cancels runs in-flight, and history shows it. Waiting runs stay queued: `resume_hint` is how to continue, if
    there is another way than to leave them to a server.
    """
    import asyncio

    if find_connection() is not None:
        return await _wait_remotely(program, run_ids, on_read)
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
    records = [await program.queries.find_run(run_id) for run_id in run_ids]
    return [record for record in records if record is not None]


async def _wait_remotely(program: Any, run_ids: Sequence[str], on_read: Callable[[RunRecord], None]) -> list[RunRecord]:
    """Wait for runs that a running scheduler performs. Ctrl-C ends the wait alone."""
    import asyncio

    try:
        records: list[RunRecord] = await program.queries.wait_for_ends(run_ids, on_read)
    except asyncio.CancelledError:
        print_note("interrupted: the scheduler continues the runs, `cancel` cancels one")
        raise
    return records


@contextmanager
def count_finished_runs() -> Iterator[RunCounter | None]:
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
