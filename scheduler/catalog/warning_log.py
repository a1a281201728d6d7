"""Logs the warnings about jobs at the start and after reloads, each one once. Made by scheduler.app."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from jobs.problems import Problem

MAX_LOGGED_WARNINGS = 20
"""Warnings of one set that are logged; the others are counted."""

_log = logging.getLogger("scheduler.job_files")

_WarningKey = tuple[str | None, str, str]


class WarningLog:
    """Remembers what it has logged of the set in force."""

    def __init__(self) -> None:
        self._logged: frozenset[_WarningKey] = frozenset()

    def log_new(self, warnings: Iterable[Problem]) -> None:
        """Log the warnings of a set of jobs, without those that the set before had, too."""
        # Without the line: it moves with each edit above it.
        keyed = {(warning.file, warning.key, warning.message): warning for warning in warnings}
        new = [warning for key, warning in keyed.items() if key not in self._logged]
        self._logged = frozenset(keyed)
        for warning in new[:MAX_LOGGED_WARNINGS]:
            _log.warning("%s", warning)
        if len(new) > MAX_LOGGED_WARNINGS:
            _log.warning(
                "job files: %d more warnings; the command `validate` shows all", len(new) - MAX_LOGGED_WARNINGS
            )
