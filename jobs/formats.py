"""Forms of values as text: counts, durations, instants, hosts, wildcard patterns and YAML of definitions. Pure.

Durations are floats of seconds in code, or of milliseconds if they were measured; an instant is an aware UTC datetime.
`parse_duration` and `format_duration` are for the form of job files, such as `500ms` and `1h30m`, `describe_...` for
people. Separate from jobs.model_base so that a schedule can be parsed without importing pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import urlsplit


def format_count(number: int, singular: str, plural: str = "") -> str:
    """Format as `1 job`, `2 jobs`. `plural`: the words for any other number than 1; empty: `singular` with an s."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def escape_controls(text: str) -> str:
    """The text on one line. What a terminal would act upon is escaped: targets have a say in some texts."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def matches_wildcard(text: str, pattern: str) -> bool:
    """Return whether the whole text matches the pattern; each `*` matches any text, including the empty one."""
    first, *parts = pattern.split("*")
    if not parts:
        return text == pattern
    last = parts.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


DEFAULT_PORTS = {"http": 80, "https": 443}


def effective_port(scheme: str, port: int | None) -> int:
    """Return the port of a URL, or else the default one of its scheme."""
    return port or DEFAULT_PORTS.get(scheme, 80)


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host (empty if the URL has none) and the effective port of a URL. Raises ValueError."""
    parts = urlsplit(url)
    return parts.hostname or "", effective_port(parts.scheme, parts.port)


def format_host_port(host: str, port: int) -> str:
    """Format host and port: `db.internal:5432`, `[::1]:5432`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./%+-]*(:[/A-Za-z0-9][A-Za-z0-9 _./%+-]*)*(?<! )")
_YAML_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Texts that some YAML parsers read as other values."""


def write_definition(definition: Mapping[str, Any]) -> str:
    """Return a definition as YAML, as it stands in a job file."""
    import yaml

    text: str = yaml.dump(
        dict(definition), Dumper=_create_dumper(), sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text


def _create_dumper() -> Any:
    import yaml

    class _Dumper(yaml.SafeDumper):
        """Quotes each text that a parser could read as another value."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        is_plain = _PLAIN.fullmatch(text) is not None and text.casefold() not in _YAML_BOOLEANS
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')

    _Dumper.add_representer(str, represent_text)
    return _Dumper


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_WORDS = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*"
    r"(?P<unit>ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)
_ISO = re.compile(r"p(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?")
DURATION_PATTERN = r"^\s*(\d+(\.\d+)?([mM]?[sS]|[mMhHdD]))+\s*$"
"""A duration in the syntax of JSON schemas."""
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
    match = _WORDS.fullmatch(text) or _ISO.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    if "number" in match.groupdict():
        unit = match["unit"]
        return f"{match['number']}{'ms' if unit.startswith(('ms', 'milli')) else unit[0]}"
    return "".join(f"{number}{unit}" for number, unit in zip(match.groups(), "dhms", strict=True) if number)


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


def format_instant(instant: datetime) -> str:
    """Format for people: `2026-11-25 01:50:30Z`, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def format_iso_instant(instant: datetime, *, precise: bool = False) -> str:
    """Format as ISO 8601 for programs: `2026-11-25T01:50:30Z`, UTC; `precise` adds milliseconds."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds" if precise else "seconds")
    return text.replace("+00:00", "Z")


def parse_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """Parse ISO 8601 to an aware UTC datetime; without an offset it is local time of `zone`. Raises ValueError."""
    instant = datetime.fromisoformat(text.strip())
    try:
        return (instant.replace(tzinfo=zone) if instant.tzinfo is None else instant).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside of the years 1 to 9999") from None


def format_run_instant(instant: datetime) -> str:
    """Format an instant as in run ids: `20261125T015030.000Z`, UTC, milliseconds."""
    return format_iso_instant(instant, precise=True).replace("-", "").replace(":", "")


def parse_run_instant(text: str) -> datetime:
    """Parse the format of run ids. Raises ValueError."""
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
