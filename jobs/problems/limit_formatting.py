"""Writes a limit in the unit of the wrong value: `8m` instead of 480.0, `16KiB` instead of 16384.

Called by error_formatting.py.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args, get_origin

from pydantic import BeforeValidator, ByteSize

from jobs.formats.counts import format_count
from jobs.formats.durations import format_duration
from jobs.model_base import read_seconds

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_PER_UNIT = {
    **{unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))},
    **{unit: 1000**power for power, unit in enumerate(("KB", "MB", "GB", "TB"), start=1)},
}
_DURATION_PATTERN = re.compile(r"\s*\d+(?:\.\d+)?(ms|s|m|h|d)\s*", re.IGNORECASE)
_SIZE_PATTERN = re.compile(r"\s*\d+(?:\.\d+)?\s*([kmgt]?i?b)\s*", re.IGNORECASE)


def format_limit(limit: Any, at: Any, value: Any) -> str:
    """Format the limit of a field of type `at`, in the unit of `value` if the limit is a whole number of it."""
    if isinstance(limit, (int, float)):
        if _is_duration(at):
            return _duration(limit, value)
        if _is_size(at):
            return _size(int(limit), value)
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)


def _duration(limit: float, value: Any) -> str:
    found = _DURATION_PATTERN.fullmatch(value) if isinstance(value, str) else None
    unit = found[1].lower() if found else "s"
    count = limit / _SECONDS_PER_UNIT[unit]
    is_short = found is not None and count == int(count) and count < 10_000
    return f"{int(count)}{unit}" if is_short or limit == 0 else format_duration(limit)


def _size(limit: int, value: Any) -> str:
    found = _SIZE_PATTERN.fullmatch(value) if isinstance(value, str) else None
    written = next((unit for unit in _BYTES_PER_UNIT if found and unit.lower() == found[1].lower()), None)
    if written is not None and limit % _BYTES_PER_UNIT[written] == 0:
        return f"{limit // _BYTES_PER_UNIT[written]}{written}"
    binary = [unit for unit in _BYTES_PER_UNIT if unit.endswith("iB") and limit and limit % _BYTES_PER_UNIT[unit] == 0]
    return f"{limit // _BYTES_PER_UNIT[binary[-1]]}{binary[-1]}" if binary else format_count(limit, "byte")


def _is_duration(at: Any) -> bool:
    return any(isinstance(one, BeforeValidator) and one.func is read_seconds for one in _metadata(at))


def _is_size(at: Any) -> bool:
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    return at is ByteSize or any(one is ByteSize for one in get_args(at))


def _metadata(at: Any) -> list[Any]:
    """Return the metadata of the type, and of each member of a union."""
    found: list[Any] = []
    if get_origin(at) is Annotated:
        inner, *metadata = get_args(at)
        return [*metadata, *_metadata(inner)]
    for member in get_args(at):
        found += _metadata(member) if get_origin(member) is Annotated else []
    return found
