"""Tells of jobs whose target the settings do not let be asked. Called by scheduler.app at the start and after a reload,
and by the command `validate`.

Only what a job file shows by itself: a numeric address, a host, a port, a scheme. What a name leads to is seen when it
is asked; then the run says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping

from jobs.checks.guard.guard import Guard
from jobs.definition import JobDefinition
from jobs.targets import Target

_log = logging.getLogger("scheduler.targets")

_MAX_NAMED = 5
"""Jobs that the line names."""


def warn_about_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> None:
    """One warning in the log for all of them, if there are any."""
    if sentence := describe_denied_targets(jobs, guard):
        _log.warning("%s", sentence)


def describe_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> str:
    """One line for all of them, with the reason of the first; empty if there are none."""
    denied = find_denied_targets(jobs, guard)
    if not denied:
        return ""
    names = ", ".join(list(denied)[:_MAX_NAMED]) + (" and others" if len(denied) > _MAX_NAMED else "")
    who = "1 job has a target" if len(denied) == 1 else f"{len(denied)} jobs have targets"
    return f"{who} that may not be asked: {names}. {next(iter(denied.values()))}"


def find_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> Mapping[str, str]:
    """Return, by name, why the target of an enabled job may not be asked."""
    return {
        job.name: reason
        for job in jobs
        if job.enabled and (reason := next(filter(None, _denial_reasons(job.check, guard)), ""))
    }


def _denial_reasons(target: Target, guard: Guard) -> Iterator[str]:
    """Yield the reason, or an empty text, for each destination of a check."""
    for destination in target.destinations():
        if isinstance(destination, str):
            yield guard.explain_denial(destination)
        else:
            yield guard.explain_denial_at(*destination)
