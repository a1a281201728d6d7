"""Warnings about job files: each is logged once, at the start and after reloads; and jobs whose targets the settings do
not allow.

Of a target it checks only what a job file contains: a numeric address, a host, a port, a scheme. The address of a name
is checked by each run, which then reports the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping

from jobs.checks.guard import Guard
from jobs.definition import JobDefinition
from jobs.formats import format_count
from jobs.problems import Problem
from jobs.targets import Target

_target_log = logging.getLogger("scheduler.targets")

_MAX_NAMED = 5
"""Maximum number of jobs that the message names."""


def warn_about_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> None:
    """Log one warning for all jobs whose targets are denied, if there are any."""
    if sentence := describe_denied_targets(jobs, guard):
        _target_log.warning("%s", sentence)


def describe_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> str:
    """Return one message for all of them, with the reason of the first; empty without any."""
    denied = find_denied_targets(jobs, guard)
    if not denied:
        return ""
    names = ", ".join(list(denied)[:_MAX_NAMED]) + (" and others" if len(denied) > _MAX_NAMED else "")
    number = format_count(len(denied), "job has a target", "jobs have targets")
    return f"{number} that the settings do not allow: {names}. {next(iter(denied.values()))}"


def find_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> Mapping[str, str]:
    """Return, by job name, why the settings do not allow the target of an enabled job."""
    return {
        job.name: reason
        for job in jobs
        if job.enabled and (reason := next(filter(None, _denial_reasons(job.check, guard)), ""))
    }


def _denial_reasons(target: Target, guard: Guard) -> Iterator[str]:
    """Yield the reason for each destination of a check; empty if it is allowed."""
    for destination in target.destinations():
        if isinstance(destination, str):
            yield guard.explain_denial(destination)
        else:
            yield guard.explain_denial_at(*destination)


MAX_LOGGED_WARNINGS = 20
"""Maximum number of warnings logged for one set of jobs; the others are counted."""

_job_file_log = logging.getLogger("scheduler.job_files")

_WarningKey = tuple[str | None, str, str]


class WarningLog:
    """Remembers which warnings of the current set it has logged."""

    def __init__(self) -> None:
        self._logged: frozenset[_WarningKey] = frozenset()

    def log_new(self, warnings: Iterable[Problem]) -> None:
        """Log the warnings that the previous set of jobs did not have."""
        # Without the line number, which changes with each edit above it.
        keyed = {(warning.file, warning.key, warning.message): warning for warning in warnings}
        new = [warning for key, warning in keyed.items() if key not in self._logged]
        self._logged = frozenset(keyed)
        for warning in new[:MAX_LOGGED_WARNINGS]:
            _job_file_log.warning("%s", warning)
        if len(new) > MAX_LOGGED_WARNINGS:
            _job_file_log.warning(
                "job files: %d more warnings; the command `validate` lists all", len(new) - MAX_LOGGED_WARNINGS
            )
