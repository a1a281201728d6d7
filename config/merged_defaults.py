"""Puts a job over the defaults of its file. Called by config.job_entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.problems import Path

_MERGED: frozenset[Path] = frozenset(
    {
        (),
        ("check",),
        ("check", "headers"),
        ("check", "query"),
        ("check", "tls"),
        ("timeout",),
        ("retry",),
        ("circuit",),
        ("tags",),
    }
)
"""Where a default and a job's own mapping are merged; everywhere else the job's value replaces the default."""


def merged(defaults: Mapping[str, Any], job: Mapping[str, Any], path: Path = ()) -> dict[str, Any]:
    """The job over the defaults."""
    result = dict(defaults)
    for key, value in job.items():
        below = (*path, key)
        default = result.get(key)
        if below in _MERGED and isinstance(value, dict) and isinstance(default, dict):
            result[key] = merged(default, value, below)
        else:
            result[key] = value
    return result


def holds(value: Any, path: Path) -> bool:
    """Whether something stands at this path."""
    for step in path:
        inside = step in value if isinstance(value, dict) else _is_index(step, value)
        if not inside:
            return False
        value = value[step]
    return True


def _is_index(step: str | int, value: Any) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)
