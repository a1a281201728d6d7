"""Errors of operations and queries. The API maps them to 400, 404 and 409, the CLI to exit codes 2 and 1.

OperationError
 ├─ InvalidArgument  a value is invalid; `field` names it
 ├─ NotFound         the object does not exist, or no longer
 └─ Conflict         the state of the object does not allow the operation

For an unknown job see scheduler.catalog.catalog.UnknownJob.
"""

from __future__ import annotations


class OperationError(Exception):
    """An operation that changed nothing. The message is shown to the user."""


class InvalidArgument(OperationError):
    """An argument is invalid. `field` is its name in the body of the API, such as `until`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFound(OperationError):
    """The object does not exist, or the retention has removed it."""


class Conflict(OperationError):
    """The state of the object does not allow the operation."""
