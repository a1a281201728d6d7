"""Instants and lengths of time that commands take as options. What cannot be read ends the command with 2."""

from __future__ import annotations

from datetime import UTC, datetime

from scheduler.cli.output import fail


def instant_option(name: str, text: str | None) -> datetime | None:
    """ISO 8601; without an offset it is UTC."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"{name}: {text!r} is no instant in ISO 8601: write it like 2026-11-25T01:50:30Z")


def duration_option(name: str, text: str | None) -> float | None:
    """Seconds, from `30m` or `1h30m`."""
    from jobs.durations import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(f"{name}: {error}")
