"""Every error that the jobs package raises.

JobsError
 ├─ DefinitionError     a job definition is wrong; carries every problem found
 ├─ ScheduleError       a schedule cannot be understood (also a ValueError)
 ├─ SecretUnavailable   a secret's value cannot be had now
 └─ TokenUnavailable    an access token cannot be had now

What a target does wrong is no exception: a check returns it in its `Observation` (see jobs.runs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.problems import Problem


class JobsError(Exception):
    """Base of all errors of this package; the message is meant for people."""


class DefinitionError(JobsError):
    """A job definition is wrong. `problems` lists everything that was found, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class ScheduleError(JobsError, ValueError):
    """A schedule cannot be understood."""


class SecretUnavailable(JobsError):
    """A secret's value cannot be had now. The message names the secret and the reason, never a value."""


class TokenUnavailable(JobsError):
    """An access token cannot be had now. The message names the scope and the reason."""
