"""The one error of configuration, and how it is shown. Raised by config.loading, caught by the CLI and the hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.problems import Problem

if TYPE_CHECKING:
    from config.job_files import JobSet


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` holds everything that was found, not only the first.

    `usable`: the jobs without a problem of their own, where job files are wrong. Only config.usable takes these.
    """

    def __init__(self, problems: Iterable[Problem], usable: JobSet | None = None) -> None:
        self.problems = tuple(problems)
        self.usable = usable
        super().__init__(render(self.problems))


def render(problems: Iterable[Problem]) -> str:
    """Plain text for a terminal: one problem a line, each place first, so that an editor can jump to it."""
    return "\n".join(str(problem) for problem in problems)
