"""Why something that people ask for is not done. The API answers 400, 404 and 409; the CLI ends with 2 or 1.

NotDone
 ├─ Unusable   a value cannot be used; `field` says which
 ├─ NotThere   what is meant is not there (any more)
 └─ Conflict   it is there, and in a state in which this cannot be done

An unknown job is scheduler.catalog.catalog.UnknownJob.
"""

from __future__ import annotations


class OperationError(Exception):
    """Nothing was changed. The message is meant for people."""


class InvalidArgument(OperationError):
    """`field` is named as in the API's body, such as `until`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFound(OperationError):
    """There is no such thing, or it is older than what is kept."""


class Conflict(OperationError):
    """Its state does not allow it."""
