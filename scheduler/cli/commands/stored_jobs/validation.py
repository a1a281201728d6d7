"""What `validate --stored` adds: the stored jobs, composed with the job files as a host composes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from config.settings.model import Settings
    from jobs.problems import Problem
    from scheduler.app import ReadOnlyProgram
    from scheduler.catalog.composition import JobSources, StoredJob


def add_stored_jobs(files: JobSet, settings: Settings | None) -> JobSet:
    """Return the jobs in force with these files. Its warnings name each stored job that is not in force, and why, or
    whose alerts name something unknown.

    Settings with problems end the command with 2, an unavailable store with 1.
    """
    from config.stored_jobs import join_uses, name_jobs
    from scheduler.cli.context import run_with_sources

    if settings is None:
        fail("--stored needs valid settings, which name the store: `validate` without a path shows the problems")

    async def read(_: ReadOnlyProgram, sources: JobSources) -> JobSources:
        return sources

    stored = run_with_sources(settings, files, read).stored
    accepted = [one.located for one in stored.values() if one.is_in_force and one.located is not None]
    together = files.overridden_by(name_jobs(join_uses(files, accepted), accepted))
    rejected = [problem for one in stored.values() for problem in _describe_problems(one)]
    return replace(together, warnings=(*together.warnings, *rejected))


def _describe_problems(stored: StoredJob) -> Iterator[Problem]:
    for problem in stored.problems:
        key = ": ".join(filter(None, (stored.entry.name, problem.key)))
        message = f"the stored job is not in force: {problem.message}"
        yield replace(problem, key=key, message=message, file=None, line=None)
    for problem in stored.unknown_names:
        key = ": ".join(filter(None, (stored.entry.name, problem.key)))
        yield replace(problem, key=key, file=None, line=None)
