"""A working copy of job files or of a set of stored jobs, and what runs, with which it is compared."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from scheduler.cli.output import fail
from scheduler.features.delivery.planning import WorkingCopy, plan_changes

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.schedules import Schedule
    from scheduler.cli.connection import Connection
    from scheduler.features.delivery.planning import PlannedChanges, PlanOptions
    from scheduler.features.delivery.port import SchedulerReader

T = TypeVar("T")


class CopyComparison(NamedTuple):
    """A working copy, and with what it is compared: a running scheduler, or the store of the configuration."""

    copy: WorkingCopy
    connection: Connection | None
    configuration: Configuration | None

    def plan(self, options: PlanOptions, *, if_available: bool = False) -> PlannedChanges | str:
        """Return what the working copy would change. Failures end the command.

        `if_available`: if the running scheduler cannot plan, return why. A refused key ends the command all the same.
        """
        from scheduler.features.delivery.remote import RemoteError

        async def work(scheduler: SchedulerReader) -> PlannedChanges | str:
            try:
                return await self.plan_with(scheduler, options)
            except RemoteError as error:
                if not if_available or error.is_refused_key:
                    raise
                return str(error)

        return self.run(work)

    async def plan_with(self, scheduler: SchedulerReader, options: PlanOptions) -> PlannedChanges:
        """Return the same, for more work with what runs. Raises as SchedulerReader."""
        if self.copy.files is None or self.configuration is None:
            return await plan_changes(scheduler, self.copy, options)
        from scheduler.features.delivery.job_files import compare_sections

        sections = compare_sections(self.configuration.jobs, self.copy.files)
        return await plan_changes(scheduler, self.copy, options, sections)

    def run(self, work: Callable[[SchedulerReader], Awaitable[T]]) -> T:
        """Do the work with what runs. Failures end the command."""
        return with_scheduler(self.connection, self.configuration, self.copy, work)


def read_comparison(
    command: str, files: Sequence[Path], owner: str | None, connection: Connection | None
) -> CopyComparison:
    """Read the working copy, and without a connection the configuration. What is wrong ends the command with 2."""
    from scheduler.cli.context import load_for_command

    configuration = None if connection is not None else load_for_command(command)
    schedule = read_default_schedule() if configuration is None else configuration.settings.default_schedule
    return CopyComparison(read_working_copy(files, owner, schedule), connection, configuration)


def with_scheduler(
    connection: Connection | None,
    configuration: Configuration | None,
    copy: WorkingCopy,
    work: Callable[[SchedulerReader], Awaitable[T]],
) -> T:
    """Do the work with the running scheduler, or with the configured store. Failures end the command."""
    if connection is not None:
        from jobs.running.clocks import SystemClock
        from scheduler.cli.connection import run_remote
        from scheduler.features.delivery.api_scheduler import ApiScheduler

        return run_remote(connection, lambda api: work(ApiScheduler(api, SystemClock())))
    from scheduler.cli.context import run_changing
    from scheduler.features.delivery.store_scheduler import StoreScheduler

    assert configuration is not None  # without a connection, the command has loaded it
    locate = None if copy.desired is None else copy.desired.locate
    return run_changing(configuration, lambda program: work(StoreScheduler(program)), locate=locate)


def read_working_copy(places: Sequence[Path], owner: str | None, default_schedule: Schedule | None) -> WorkingCopy:
    """Read job files, or with an owner a set; every problem is printed, and ends the command with 2."""
    from config.errors import ConfigurationError, format_problems

    read: Callable[[], WorkingCopy]
    if owner is None:
        read = lambda: _read_files(places, default_schedule)  # noqa: E731 - one of two ways to read
    else:
        check_owner(owner)
        read = lambda: _read_set(places, owner, default_schedule)  # noqa: E731
    try:
        return read()
    except ConfigurationError as error:
        fail(format_problems(error.problems))


def check_owner(owner: str) -> None:
    """End the command with 2 unless this is the name of a set."""
    from jobs.definition import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, owner):
        fail(f"--set: expected letters, digits, '.', '_' and '-', at most 100 characters, got {owner!r}")


def read_default_schedule() -> Schedule | None:
    """Return the default schedule of this machine's settings, of which --url needs nothing else.

    Invalid settings end the command with 2.
    """
    from config.errors import ConfigurationError, format_problems
    from config.settings.loading import load_settings
    from scheduler.cli.context import ROOT

    try:
        return load_settings(os.environ, root=ROOT).settings.default_schedule
    except ConfigurationError as error:
        fail(format_problems(error.problems))


def _read_files(places: Sequence[Path], default_schedule: Schedule | None) -> WorkingCopy:
    from config.job_files.reader import JobFileReader

    if len(places) != 1:
        fail("without --set, give one folder of job files, or one file, as SCHEDULER_JOBS does")
    found = JobFileReader(Path.cwd()).read(places[0], default_schedule=default_schedule)
    return WorkingCopy(found.jobs, files=found)


def _read_set(places: Sequence[Path], owner: str, default_schedule: Schedule | None) -> WorkingCopy:
    from config.desired_sets import read_desired_set
    from config.stored_jobs import LocatedStoredJob, StoredJobDefiner

    desired = read_desired_set(places, Path.cwd(), default_schedule)
    definer = StoredJobDefiner(default_schedule, presets=desired.presets)
    defined = ((name, definer.define(name, definition)) for name, definition in desired.definitions.items())
    return WorkingCopy({name: one.job for name, one in defined if isinstance(one, LocatedStoredJob)}, owner, desired)
