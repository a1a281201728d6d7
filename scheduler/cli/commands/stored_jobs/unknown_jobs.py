"""The message about a name that no stored job has. Called by `versions`, `restore` and `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from config.loading import Configuration
    from scheduler.catalog.catalog import UnknownJob


def fail_without_stored_job(command: str, unknown: UnknownJob, configuration: Configuration | None = None) -> NoReturn:
    """End the command with 2. `configuration`: None if the command has not loaded the job files."""
    from jobs.problems.findings import did_you_mean
    from scheduler.cli.context import load_for_command

    name = unknown.name
    origins = (configuration or load_for_command(command)).jobs.origins
    if name in origins:
        fail(f"the job {name} is defined in {origins[name]}: {command} applies to stored jobs, change the file instead")
    fail(f"there is no stored job named {name!r}{did_you_mean(unknown.suggestion) or '; `jobs` lists all jobs'}")
