"""Where runs are stored: table, partition and key, all of them found from a run's id. Used by runs and its parts.

    runs      partition: the job            key: reverse milliseconds of the due instant, then the suffix if any
    timeline  partition: "open"             key: that, then `@job`: a queued or running run
              partition: a day, 20261125    the same for a finished run that was due on it
              partition: "days"             key: reverse day, for each day that has runs

Reverse means subtracted from a constant, so ascending keys give the newest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from jobs.runs import Ticket, instant_text, split_run_id

RUNS = "runs"
TIMELINE = "timeline"
OPEN = "open"
DAYS = "days"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST = 9_999_999_999_999
"""Milliseconds: the year 2286."""
_DIGITS = 13
_STAMP = len("@20261125T015030.000Z")
_DAY_MS = 86_400_000
_DAY = timedelta(days=1)
_LAST_DAY = 99_999_999
_LONGEST = 250
"""Characters of a stored key."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run's place. `key` is that of its row in RUNS."""

    job: str
    key: str

    @staticmethod
    def of(ticket: Ticket) -> RunKey:
        """Raises ValueError if the due instant lies outside the years 1970 to 2286."""
        return RunKey(ticket.job, reverse_ms(ticket.due_at) + ticket.id[len(ticket.job) + _STAMP :])

    @staticmethod
    def find(run_id: str) -> RunKey | None:
        """None if it cannot be the id of a stored run."""
        try:
            job, due_at, _ = split_run_id(run_id)
            key = RunKey(job, reverse_ms(due_at) + run_id[len(job) + _STAMP :])
        except ValueError:
            return None
        return key if key.run_id == run_id and len(key.pointer) <= _LONGEST else None

    @staticmethod
    def of_pointer(pointer: str) -> RunKey:
        """The inverse of `pointer`."""
        key, _, job = pointer.rpartition("@")
        return RunKey(job, key)

    @property
    def pointer(self) -> str:
        """The key of its row in TIMELINE."""
        return f"{self.key}@{self.job}"

    @property
    def due_at(self) -> datetime:
        return _EPOCH + self._ms * _MILLISECOND

    @property
    def day(self) -> str:
        """The partition of TIMELINE that it belongs to once it is finished."""
        return _day(self._ms // _DAY_MS)

    @property
    def run_id(self) -> str:
        return f"{self.job}@{instant_text(self.due_at)}{self.key[_DIGITS:]}"

    @property
    def _ms(self) -> int:
        return _LAST - int(self.key[:_DIGITS])


def reverse_ms(instant: datetime) -> str:
    """The start of the key of what is due at this instant. Raises ValueError outside of the years 1970 to 2286."""
    ms = (instant - _EPOCH) // _MILLISECOND
    if not 0 <= ms <= _LAST:
        raise ValueError(f"{instant.isoformat()} lies outside of the years that a run may have")
    return f"{_LAST - ms:0{_DIGITS}d}"


def before(now: datetime, age_s: float) -> datetime:
    """The instant `age_s` seconds ago, or 1970: a setting may ask for longer than there were runs."""
    return _EPOCH if age_s >= (now - _EPOCH).total_seconds() else now - timedelta(seconds=age_s)


def day_of(instant: datetime) -> str:
    """The day's partition."""
    return _day((instant - _EPOCH) // _DAY)


def day_key(day: str) -> str:
    """The key of a day in DAYS."""
    return f"{_LAST_DAY - int(day):08d}"


def day_of_key(key: str) -> str:
    """The inverse of `day_key`."""
    return f"{_LAST_DAY - int(key):08d}"


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return f"{_EPOCH + timedelta(days=number):%Y%m%d}"
