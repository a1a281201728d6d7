"""The HTTP requests of a check: one for the kind http, several for steps. Used by the rules of jobs.warnings."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.definition import JobDefinition
from jobs.problems import KeyPath
from jobs.targets import HttpTarget, StepsTarget


def iter_requests(job: JobDefinition) -> Iterator[tuple[KeyPath, HttpTarget]]:
    """Yield each request with its path in the definition."""
    check = job.check
    if isinstance(check, HttpTarget):
        yield ("check",), check
    elif isinstance(check, StepsTarget):
        for key, steps in (("steps", check.steps), ("cleanup", check.cleanup)):
            yield from ((("check", key, number), step) for number, step in enumerate(steps))
