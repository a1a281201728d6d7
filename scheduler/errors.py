"""Errors of operations and queries. The API maps them to 400, 404, 409, 412 and 422, the CLI to exit codes 2 and 1.

OperationError
 ├─ InvalidArgument     a value is invalid; `field` names it
 ├─ InvalidDefinition   the definition of a job is invalid; `problems` names every reason
 ├─ NotFound            the object does not exist, or no longer
 ├─ Conflict            the state of the object does not allow the operation
 │   └─ ReadOnlyJob     a job file defines the job
 └─ PreconditionFailed  the object has changed since the caller read it

For an unknown job see scheduler.catalog.catalog.UnknownJob.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.problems import Problem


class OperationError(Exception):
    """An operation that changed nothing. The message is shown to the user."""


class InvalidArgument(OperationError):
    """An argument is invalid. `field` is its name in the body of the API, such as `until`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidDefinition(OperationError):
    """The definition of a job is invalid, alone or together with other jobs."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class NotFound(OperationError):
    """The object does not exist, or the retention has removed it."""


class Conflict(OperationError):
    """The state of the object does not allow the operation."""


class ReadOnlyJob(Conflict):
    """The job is defined in a job file. The message names file and line."""


class PreconditionFailed(OperationError):
    """The object differs from what the caller has read. `etag`: its current one, quoted; None if it does not exist."""

    def __init__(self, message: str, etag: str | None) -> None:
        super().__init__(message)
        self.etag = etag
