"""Durations, parsed and formatted. In code they are floats of seconds, or of milliseconds if they were measured.

`parse_duration` and `format_duration`: the form of job files, such as `500ms` and `1h30m`. `describe_...`: for people.
Used everywhere. Separate from `jobs.model_base.Duration` so that a schedule can be parsed without importing pydantic.
"""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_WORDS = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*"
    r"(?P<unit>ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)
_ISO = re.compile(r"p(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?")
DURATION_PATTERN = r"^\s*(\d+(\.\d+)?([mM]?[sS]|[mMhHdD]))+\s*$"
"""The same in the syntax of JSON schemas."""
MAX_DURATION = 999_999_999 * 86400.0
"""Seconds. The maximum of a timedelta."""
_EXAMPLES = "write it like 500ms, 10s, 2m or 1h30m"


def parse_duration(value: object) -> float:
    """Parse a duration into seconds.

    Raises:
        ValueError: not a text, no unit, an unknown unit, negative or too long; the message names the cause.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"{value!r} has no unit: {_EXAMPLES}")
    if not isinstance(value, str):
        raise ValueError(f"a duration must be a text: {_EXAMPLES}")
    text = value.strip().lower()
    if text.startswith("-") and _WHOLE.fullmatch(text[1:]):
        raise ValueError(f"{value!r} is negative: {_EXAMPLES}")
    if not _WHOLE.fullmatch(text):
        meant = suggest_duration(text)
        raise ValueError(f"{value!r} is not a duration: {f'write {meant}' if meant else _EXAMPLES}")
    seconds = float(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    if seconds > MAX_DURATION:
        raise ValueError(f"{value[:20]!r} is too long: the maximum is {MAX_DURATION / 86400:.0f} days")
    return seconds


def suggest_duration(text: str) -> str | None:
    """Convert `10 seconds` or `PT10S` to `10s`; None for any other text."""
    found = _WORDS.fullmatch(text) or _ISO.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    if "number" in found.groupdict():
        unit = found["unit"]
        return f"{found['number']}{'ms' if unit.startswith(('ms', 'milli')) else unit[0]}"
    return "".join(f"{number}{unit}" for number, unit in zip(found.groups(), "dhms", strict=True) if number)


def format_duration(seconds: float) -> str:
    """Format seconds as the shortest text that parse_duration reads back: 0.5 -> `500ms`, 90 -> `1m30s`.

    Precise to the millisecond; finer fractions are rounded.
    """
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def describe_seconds(value: float) -> str:
    """Format a limit or a wait for people, in one unit: `350 ms`, `2.5 s`, `120 s`."""
    if value < 1:
        return f"{max(value, 0) * 1000:.0f} ms"
    return f"{value:.1f}".removesuffix(".0") + " s"


def describe_milliseconds(value: float) -> str:
    """Format a measured time for people: `0.4 ms`, `431 ms`, `2.31 s`, `120 s`."""
    if value < 10:
        return f"{value:.1f}".removesuffix(".0") + " ms"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.3g} s" if value < 100_000 else f"{value / 1000:.0f} s"


def describe_span(seconds: float) -> str:
    """Format a span for people, in two units at most: `0.25 s`, `12 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def describe_distance(seconds: float) -> str:
    """Format the time until an instant: `in 12 s`, `now`, `3 min 20 s ago` for a negative one."""
    span = describe_span(round(abs(seconds)))
    if abs(seconds) < 0.5:
        return "now"
    return f"in {span}" if seconds > 0 else f"{span} ago"
