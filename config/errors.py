"""The one error of configuration, and how it is shown. Raised by config.loading, caught by the CLI and the hosts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.problems import Problem

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` holds everything that was found, not only the first.

    `usable`: the jobs without a problem of their own, where job files are wrong. Only config.usable takes these.
    """

    def __init__(self, problems: Iterable[Problem], usable: JobSet | None = None) -> None:
        self.problems = tuple(problems)
        self.usable = usable
        super().__init__(format_problems(self.problems))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is hardly meant in the jobs without a problem of their own."""
        return self.usable.warnings if self.usable is not None else ()


def format_warning(warning: Problem) -> str:
    """Return the text of a warning: as that of a problem, with the word behind the place."""
    return str(replace(warning, key=": ".join(filter(None, ("warning", warning.key)))))


def format_problems(problems: Iterable[Problem]) -> str:
    """Plain text for a terminal: one problem a line, each place first, so that an editor can jump to it."""
    return "\n".join(str(problem) for problem in problems)
