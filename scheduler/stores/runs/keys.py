"""The partition and keys of runs in table HISTORY_TABLE, all of them derived from a run's id.

    r~{job}~{reverse}{.suffix}    the run
    o~{job}~{reverse}{.suffix}    a pointer to a run that is open: queued, running, or finished and not acknowledged
    d~{reverse}{.suffix}@{job}    a pointer to a run that is done: finished

`reverse` is milliseconds of the due instant subtracted from a constant, so ascending keys give the newest first.

All rows of a run are in one partition, its job's shard, so that each transition is atomic on every store. The table,
SHARD_COUNT and the shard of a job are part of the stored format: another value needs a migration.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zlib import crc32

from jobs.fast_frozen import fast_frozen
from jobs.formats import format_run_instant
from jobs.runs import Run, Ticket, split_run_id
from scheduler.stores.rows import PREFIX_END

HISTORY_TABLE = "history"
SHARD_COUNT = 4
SHARD_NAMES: tuple[str, ...] = tuple([str(number) for number in range(SHARD_COUNT)])
RUN_PREFIX, OPEN_PREFIX, DONE_PREFIX = "r~", "o~", "d~"
"""Beginnings of keys."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MS = 9_999_999_999_999
"""Milliseconds: the year 2286."""
_DIGITS = 13
_STAMP_LENGTH = len("@20261125T015030.000Z")
_MAX_KEY = 250
"""Characters of a stored key."""


@fast_frozen(frozen=True, slots=True)
class RunKey:
    """The position of a run. `at` is its reverse instant and suffix: runs of one job are ordered by it."""

    job: str
    at: str

    @staticmethod
    def for_ticket(ticket: Ticket | Run) -> RunKey:
        """Raises ValueError if the due instant is outside the years 1970 to 2286."""
        return RunKey(ticket.job, reverse_ms(ticket.due_at) + ticket.id[len(ticket.job) + _STAMP_LENGTH :])

    @staticmethod
    def from_run_id(run_id: str) -> RunKey | None:
        """Return None if it cannot be the id of a stored run."""
        try:
            job, due_at, _ = split_run_id(run_id)
            key = RunKey(job, reverse_ms(due_at) + run_id[len(job) + _STAMP_LENGTH :])
        except ValueError:
            return None
        return key if key.run_id == run_id and len(key.run_key) <= _MAX_KEY else None

    @staticmethod
    def from_row_key(row_key: str) -> RunKey:
        """Parse the key of any of its rows."""
        if row_key.startswith(DONE_PREFIX):
            at, _, job = row_key[len(DONE_PREFIX) :].rpartition("@")
        else:
            job, _, at = row_key[len(RUN_PREFIX) :].partition("~")
        return RunKey(job, at)

    @property
    def shard(self) -> str:
        """The partition of its rows."""
        return shard_of_job(self.job)

    @property
    def run_key(self) -> str:
        return f"{RUN_PREFIX}{self.job}~{self.at}"

    @property
    def open_key(self) -> str:
        return f"{OPEN_PREFIX}{self.job}~{self.at}"

    @property
    def done_key(self) -> str:
        return f"{DONE_PREFIX}{self.sort_key}"

    @property
    def sort_key(self) -> str:
        """Orders the runs of all jobs: newest first, then by job."""
        return f"{self.at}@{self.job}"

    @property
    def due_at(self) -> datetime:
        return _EPOCH + (_LAST_MS - int(self.at[:_DIGITS])) * _MILLISECOND

    @property
    def suffix(self) -> str:
        """Of the run's id, with its dot; empty for the run of a scheduled instant."""
        return self.at[_DIGITS:]

    @property
    def run_id(self) -> str:
        return f"{self.job}@{format_run_instant(self.due_at)}{self.suffix}"


@lru_cache(maxsize=16_384)
def shard_of_job(job: str) -> str:
    """Return the partition of a job's runs."""
    return SHARD_NAMES[crc32(job.encode("utf-8", "replace")) % SHARD_COUNT]


def job_prefix(beginning: str, job: str) -> str:
    """Return the beginning of the keys of a job's runs or open runs: those after it and before it + PREFIX_END."""
    return f"{beginning}{job}~"


def reverse_ms(instant: datetime) -> str:
    """Return the beginning of the key of this due instant. Raises ValueError outside the years 1970 to 2286."""
    ms = (instant - _EPOCH) // _MILLISECOND
    if not 0 <= ms <= _LAST_MS:
        raise ValueError(f"{instant.isoformat()} is outside the years 1970 to 2286, the range of stored runs")
    return f"{_LAST_MS - ms:0{_DIGITS}d}"


@fast_frozen(frozen=True, slots=True)
class DueRange:
    """Runs due in [since, until], as a range of keys. Aware instants; None: without this bound."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def after(self) -> str:
        """`at` of their RunKey is greater than this."""
        if self.until is None:
            return ""
        # Due instants have whole milliseconds, and the newest comes first: the last key of the next one is the bound.
        too_late = (self.until - _EPOCH) // _MILLISECOND + 1
        return "" if too_late > _LAST_MS else f"{_LAST_MS - max(too_late, 0):0{_DIGITS}d}{PREFIX_END}"

    @property
    def end(self) -> str:
        """And it is less than this."""
        if self.since is None:
            return PREFIX_END
        first = -((_EPOCH - self.since) // _MILLISECOND)  # rounded up
        if first <= 0:
            return PREFIX_END
        return f"{_LAST_MS - first:0{_DIGITS}d}{PREFIX_END}" if first <= _LAST_MS else "0" * _DIGITS

    def contains(self, due_at: datetime) -> bool:
        return (self.since is None or self.since <= due_at) and (self.until is None or due_at <= self.until)


def instant_before(now: datetime, age_s: float) -> datetime:
    """Return the instant `age_s` seconds ago, or 1970: a setting may be longer than the history."""
    return _EPOCH if age_s >= (now - _EPOCH).total_seconds() else now - timedelta(seconds=age_s)
