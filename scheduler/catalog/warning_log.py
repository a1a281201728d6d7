"""Logs each warning about job files once, at the start and after reloads. Called by scheduler.app.check_setup."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from jobs.problems import Problem

MAX_LOGGED_WARNINGS = 20
"""Maximum number of warnings logged for one set of jobs; the others are counted."""

_log = logging.getLogger("scheduler.job_files")

_WarningKey = tuple[str | None, str, str]


class WarningLog:
    """Remembers which warnings of the current set it has logged."""

    def __init__(self) -> None:
        self._logged: frozenset[_WarningKey] = frozenset()

    def log_new(self, warnings: Iterable[Problem]) -> None:
        """Log the warnings that the previous set of jobs did not have."""
        # Without the line number, which changes with each edit above it.
        keyed = {(warning.file, warning.key, warning.message): warning for warning in warnings}
        new = [warning for key, warning in keyed.items() if key not in self._logged]
        self._logged = frozenset(keyed)
        for warning in new[:MAX_LOGGED_WARNINGS]:
            _log.warning("%s", warning)
        if len(new) > MAX_LOGGED_WARNINGS:
            _log.warning(
                "job files: %d more warnings; the command `validate` lists all", len(new) - MAX_LOGGED_WARNINGS
            )
