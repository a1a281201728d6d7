"""Merges mappings of jobs: a job over the defaults of its file, and over its preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.problems import KeyPath

_MERGED_PATHS: frozenset[KeyPath] = frozenset(
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


def merge_defaults(defaults: Mapping[str, Any], job: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """The job over the defaults."""
    result = dict(defaults)
    for key, value in job.items():
        below = (*path, key)
        default = result.get(key)
        if below in _MERGED_PATHS and isinstance(value, dict) and isinstance(default, dict):
            result[key] = merge_defaults(default, value, below)
        else:
            result[key] = value
    return result


def remaining_defaults(defaults: Mapping[str, Any], preset: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """Return the defaults that a preset does not set: merged into a job, they leave its preset unchanged."""
    result: dict[str, Any] = {}
    for key, value in defaults.items():
        below = (*path, key)
        if key not in preset:
            result[key] = value
        elif below in _MERGED_PATHS and isinstance(value, dict) and isinstance(preset[key], dict):
            result[key] = remaining_defaults(value, preset[key], below)
    return {key: value for key, value in result.items() if value != {}}


def has_value(value: Any, path: KeyPath) -> bool:
    """Whether something stands at this path."""
    for step in path:
        inside = step in value if isinstance(value, dict) else _is_index(step, value)
        if not inside:
            return False
        value = value[step]
    return True


def _is_index(step: str | int, value: Any) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)
