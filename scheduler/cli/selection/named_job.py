"""Finds the job that a command names: in the job files, or else among the stored jobs.

The store is opened only for a name that no job file has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from config.loading import Configuration
    from jobs.definition import JobDefinition
    from scheduler.app import ReadOnlyProgram
    from scheduler.catalog.composition import JobSources, StoredJob


def require_job(configuration: Configuration, name: str, note: str = "") -> JobDefinition:
    """Return the job in force; without one end the command with 2. `note`: a line after the message.

    If the store is unavailable, a job that no file defines ends the command with 1.
    """
    from scheduler.cli.context import run_with_sources

    if (of_file := configuration.jobs.jobs.get(name)) is not None:
        return of_file

    async def find(_: ReadOnlyProgram, sources: JobSources) -> tuple[StoredJob | None, Sequence[str]]:
        return sources.stored.get(name), [one.entry.name for one in sources.stored.values() if one.is_in_force]

    unavailable = f"no job file defines {name!r}, and the stored jobs cannot be read: "
    stored, others = run_with_sources(configuration.settings, configuration.jobs, find, on_failure=unavailable)
    if stored is None or stored.problems or stored.located is None:
        message = _describe_unknown_job(name, configuration, others) if stored is None else _describe_rejected(stored)
        fail(f"{message}\n{note}" if note else message)
    return stored.located.job


def _describe_rejected(stored: StoredJob) -> str:
    return f"the stored job {stored.entry.name} is not in force: {stored.problems[0]}"


def _describe_unknown_job(name: str, configuration: Configuration, stored: Sequence[str]) -> str:
    from jobs.problems.findings import did_you_mean, suggest_name

    known = [*configuration.jobs.jobs, *stored]
    if configuration.problems:
        return f"there is no job named {name!r} among the jobs without problems: fix the problems above, and try again"
    sentence = f"there is no job named {name!r}"
    if not known:
        return f"{sentence}: there are no jobs, check SCHEDULER_JOBS"
    return sentence + (did_you_mean(suggest_name(name, known)) or "; `jobs` lists all jobs")
