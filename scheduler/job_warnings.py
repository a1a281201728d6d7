"""Logs the warnings about jobs at the start and after reloads, each one once. Made by scheduler.app."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from jobs.problems import Problem

MAX_LINES = 20
"""Warnings of one set that are logged; the others are counted."""

_log = logging.getLogger("scheduler.job_files")

_Key = tuple[str | None, str, str]


class WarningLog:
    """Remembers what it has logged of the set in force."""

    def __init__(self) -> None:
        self._logged: frozenset[_Key] = frozenset()

    def log(self, warnings: Iterable[Problem]) -> None:
        """Log the warnings of a set of jobs, without those that the set before had, too."""
        # Without the line: it moves with each edit above it.
        keyed = {(warning.file, warning.where, warning.message): warning for warning in warnings}
        new = [warning for key, warning in keyed.items() if key not in self._logged]
        self._logged = frozenset(keyed)
        for warning in new[:MAX_LINES]:
            _log.warning("%s", warning)
        if len(new) > MAX_LINES:
            _log.warning("job files: %d more warnings; the command `validate` shows all", len(new) - MAX_LINES)
