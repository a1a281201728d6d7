"""Where runs are stored: partition and keys in table HISTORY, all of them found from a run's id. Used by runs and its
parts.

    r~{job}~{reverse}{.suffix}    the run
    o~{job}~{reverse}{.suffix}    a pointer to a run that is open: queued, running, or finished and not settled
    d~{reverse}{.suffix}@{job}    a pointer to a run that is done: finished

`reverse` is milliseconds of the due instant subtracted from a constant, so ascending keys give the newest first.

All rows of a run lie in one partition, its job's shard, so that each of its steps is all or none on every store. Table,
SHARDS and the shard of a job are part of what is stored: another value would need a migration.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

from jobs.runs import Run, Ticket, instant_text, split_run_id
from jobs.values import value

HISTORY = "history"
SHARDS = 4
SHARD_NAMES: tuple[str, ...] = tuple([str(number) for number in range(SHARDS)])
RUN, OPEN, DONE = "r~", "o~", "d~"
"""Beginnings of keys."""
END = "~"
"""Sorts behind whatever follows the beginning of a key, and stands in no job's name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST = 9_999_999_999_999
"""Milliseconds: the year 2286."""
_DIGITS = 13
_STAMP = len("@20261125T015030.000Z")
_LONGEST = 250
"""Characters of a stored key."""


@value(frozen=True, slots=True)
class RunKey:
    """A run's place. `at` is its reverse instant and suffix: runs of one job are ordered by it."""

    job: str
    at: str

    @staticmethod
    def of(ticket: Ticket | Run) -> RunKey:
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
        return key if key.run_id == run_id and len(key.run) <= _LONGEST else None

    @staticmethod
    def read(row_key: str) -> RunKey:
        """From the key of any of its rows."""
        if row_key.startswith(DONE):
            at, _, job = row_key[len(DONE) :].rpartition("@")
        else:
            job, _, at = row_key[len(RUN) :].partition("~")
        return RunKey(job, at)

    @property
    def shard(self) -> str:
        """The partition of its rows."""
        return shard(self.job)

    @property
    def run(self) -> str:
        return f"{RUN}{self.job}~{self.at}"

    @property
    def open(self) -> str:
        return f"{OPEN}{self.job}~{self.at}"

    @property
    def done(self) -> str:
        return f"{DONE}{self.order}"

    @property
    def order(self) -> str:
        """By this, runs of all jobs are ordered: newest first, then by job."""
        return f"{self.at}@{self.job}"

    @property
    def due_at(self) -> datetime:
        return _EPOCH + (_LAST - int(self.at[:_DIGITS])) * _MILLISECOND

    @property
    def suffix(self) -> str:
        """Of the run's id, with its dot; empty for the run that a schedule gives an instant."""
        return self.at[_DIGITS:]

    @property
    def run_id(self) -> str:
        return f"{self.job}@{instant_text(self.due_at)}{self.suffix}"


def shard(job: str) -> str:
    """The partition of a job's runs."""
    return SHARD_NAMES[crc32(job.encode("utf-8", "replace")) % SHARDS]


def of_job(beginning: str, job: str) -> str:
    """What the keys of a job's runs or of its open ones begin with: those after it and before it + END."""
    return f"{beginning}{job}~"


def reverse_ms(instant: datetime) -> str:
    """The start of the key of what is due at this instant. Raises ValueError outside of the years 1970 to 2286."""
    ms = (instant - _EPOCH) // _MILLISECOND
    if not 0 <= ms <= _LAST:
        raise ValueError(f"{instant.isoformat()} lies outside of the years that a run may have")
    return f"{_LAST - ms:0{_DIGITS}d}"


@value(frozen=True, slots=True)
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
        return "" if too_late > _LAST else f"{_LAST - max(too_late, 0):0{_DIGITS}d}{END}"

    @property
    def end(self) -> str:
        """And it is less than this."""
        if self.since is None:
            return END
        first = -((_EPOCH - self.since) // _MILLISECOND)  # rounded up
        if first <= 0:
            return END
        return f"{_LAST - first:0{_DIGITS}d}{END}" if first <= _LAST else "0" * _DIGITS

    def has(self, due_at: datetime) -> bool:
        return (self.since is None or self.since <= due_at) and (self.until is None or due_at <= self.until)


def before(now: datetime, age_s: float) -> datetime:
    """The instant `age_s` seconds ago, or 1970: a setting may ask for longer than there were runs."""
    return _EPOCH if age_s >= (now - _EPOCH).total_seconds() else now - timedelta(seconds=age_s)
