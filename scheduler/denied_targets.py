"""Tells the log at the start of jobs whose target the settings do not let be asked. Called by scheduler.app.

Only what a job file shows by itself: a numeric address, a host, a port, a scheme. What a name leads to is seen when it
is asked; then the run says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from jobs.checks.guard import Guard
from jobs.definition import JobDefinition
from jobs.targets import HttpTarget

_log = logging.getLogger("scheduler.targets")

_NAMED = 5
"""Jobs that the line names."""


def warn_of_denied_targets(jobs: Iterable[JobDefinition], guard: Guard) -> None:
    """One warning for all of them, with the reason of the first."""
    denied = {
        job.name: reason
        for job in jobs
        if job.enabled and isinstance(job.check, HttpTarget) and (reason := guard.denial(job.check.url))
    }
    if denied:
        names = ", ".join(list(denied)[:_NAMED]) + (" and others" if len(denied) > _NAMED else "")
        who = "1 job has a target" if len(denied) == 1 else f"{len(denied)} jobs have targets"
        _log.warning("%s that may not be asked: %s. %s", who, names, next(iter(denied.values())))
