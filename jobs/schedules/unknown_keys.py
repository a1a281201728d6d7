"""Rejects unknown keys in a schedule's mappings. Called by jobs.schedules.parsing and the modules of .calendars."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jobs.errors import ScheduleError


def refuse_unknown_keys(value: Mapping[Any, Any], known: tuple[str, ...], owner: str, prefix: str = "") -> None:
    """Raise ScheduleError for the first unknown key; the message suggests the closest known one."""
    for key in value:
        if key not in known:
            near = get_close_matches(str(key).lower(), known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"{owner} has {', '.join(known[:-1])} or {known[-1]}"
            raise ScheduleError(f"{prefix}{str(key)[:40]}: unknown key, {meant}")
