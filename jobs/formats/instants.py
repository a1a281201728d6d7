"""Text forms of instants. In code an instant is an aware UTC datetime."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


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
