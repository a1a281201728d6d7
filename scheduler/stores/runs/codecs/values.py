"""Instants, durations and error classes in the stored text of a run. Used by runs.codec and runs.codecs.attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.runs import ErrorClass

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read_error(name: str | None) -> ErrorClass | None:
    if name is None:
        return None
    try:
        return ErrorClass(name)
    except ValueError:
        return ErrorClass.INTERNAL_ERROR


def to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def round_ms(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
