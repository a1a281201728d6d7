"""The error of a page's continuation. Used by scheduler.stores.runs.pages and scheduler.stores.dead_letters."""

from __future__ import annotations

from jobs.problems import format_value


class InvalidContinuation(ValueError):
    """A continuation that this list did not return."""

    def __init__(self, continuation: str) -> None:
        shown = format_value(continuation)
        super().__init__(f"{shown} is not a continuation of this list: use the value of the previous page")
