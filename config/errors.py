"""The one error of configuration, and how it is shown. Raised by config.loading, caught by the CLI and the hosts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.problems import Problem

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet


class ConfigurationError(Exception):
    """The configuration is invalid. `problems` has all problems, not only the first.

    `usable`: the valid jobs of invalid job files. Only config.loading uses these.
    """

    def __init__(self, problems: Iterable[Problem], usable: JobSet | None = None) -> None:
        self.problems = tuple(problems)
        self.usable = usable
        super().__init__(format_problems(self.problems))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Warnings of the valid jobs."""
        return self.usable.warnings if self.usable is not None else ()


def format_warning(warning: Problem) -> str:
    """Return the text of a warning: like a problem, with the word `warning` after the location."""
    return str(replace(warning, key=": ".join(filter(None, ("warning", warning.key)))))


def format_problems(problems: Iterable[Problem]) -> str:
    """Return plain text for a terminal: one problem a line, with its location first, so that an editor can open it."""
    return "\n".join(str(problem) for problem in problems)
