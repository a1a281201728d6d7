"""Base errors of the jobs package. Errors of the checks are in jobs.checks.errors.

JobsError
 ├─ ScheduleError       a schedule is invalid (also a ValueError)
 ├─ RunWithoutResult    a run ended without a result, and may start anew
 │   ├─ LeaseEnded      it must not send anything any more: another process may execute it
 │   └─ ProcessLost     the process that made its attempts has ended
 ├─ SecretUnavailable   a secret's value is temporarily or permanently unavailable
 └─ TokenUnavailable    an access token is unavailable

A fault of a target is not an exception: the check returns it in its `Observation` (see jobs.runs).
"""

from __future__ import annotations


class JobsError(Exception):
    """Base class of the errors of this package; messages are written for operators."""


class ScheduleError(JobsError, ValueError):
    """A schedule is invalid. `key`: the wrong key of its mapping, if there is one; `reason`: the message without it."""

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.reason = reason
        self.key = key


class RunWithoutResult(JobsError):
    """A run ended without a result. It may start anew, if what it has sent may be sent again."""


class LeaseEnded(RunWithoutResult):
    """The lease of a run has ended, or nearly: another process may execute it. What was to be sent is not sent."""

    def __init__(self) -> None:
        super().__init__("its lease has ended")


class ProcessLost(RunWithoutResult):
    """The process that made the attempts of a run has ended, or does not answer."""

    def __init__(self) -> None:
        super().__init__("the process that executed it has ended")


class SecretUnavailable(JobsError):
    """A secret's value is unavailable. The message names the secret and the cause, never a value."""


class TokenUnavailable(JobsError):
    """An access token is unavailable. The message names the scope and the cause."""
