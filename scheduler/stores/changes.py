"""Stores the current state of each job, its changes, and the states of the entries of its health documents.

Keys in table CHANGES_TABLE:

    s~{job}                  the current state: the latest change of the job
    j~{job}~{reverse}        a change, for the list of its job
    a~{reverse}@{job}        the same change, for the list of all jobs
    h~{job}                  the states of the entries of its health documents

`reverse` is the reverse instant of scheduler.stores.runs.keys with the reverse number of the change within its job, so
ascending keys give the newest first. One partition: a change is one transaction on every store, and a page one request.

A change replaces the row of the state, fenced by its etag, in the same transaction that adds the change. Of several
processes one therefore writes it. A row of entries has at most MAX_TRACKED_ENTRIES of them with MAX_ENTRY_CHANGES
changes each. It is written only if an entry changes, fenced by its etag, and deleted with the last change of a job that
was removed. The first 100 are below `entries`, all that older programs read; the others below `more`, where one that is
up and never changed is its name and the number of its group, which is in `groups`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.formats import parse_instant
from jobs.runs.details import EntryEffect, EntryStatus, ReportedEntry
from jobs.runs.health_history import EntryChange, EntryHistory, HealthHistory
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.stores.port import MAX_ATOMIC_GROUP, Delete, Row, Store
from scheduler.stores.rows import InvalidContinuation, decode_json, encode_json, end_of, iterate_pages
from scheduler.stores.runs.keys import DueRange, instant_before, reverse_ms
from scheduler.stores.table import Table

CHANGES_TABLE = "changes"
CHANGES_PARTITION = "all"
STATE_PREFIX, JOB_PREFIX, ALL_PREFIX, HEALTH_PREFIX = "s~", "j~", "a~", "h~"

_LAST_NUMBER = 99_999_999


def reverse_position(change: StateChange) -> str:
    """Return the position among the changes of a job. Raises ValueError outside the years 1970 to 2286."""
    return f"{reverse_ms(change.at)}{_LAST_NUMBER - change.number:08d}"


def state_key(job: str) -> str:
    return f"{STATE_PREFIX}{job}"


def health_key(job: str) -> str:
    return f"{HEALTH_PREFIX}{job}"


def job_key(change: StateChange) -> str:
    return f"{list_prefix(change.job)}{reverse_position(change)}"


def all_key(change: StateChange) -> str:
    return f"{ALL_PREFIX}{reverse_position(change)}@{change.job}"


def job_key_of(all_key: str) -> str:
    """Return the key of the same change in the list of its job."""
    position, _, job = all_key[len(ALL_PREFIX) :].partition("@")
    return f"{list_prefix(job)}{position}"


def read_position(position: str) -> tuple[str, int]:
    """Return the job and the number of a change from its position in the list of all jobs."""
    at, _, job = position.partition("@")
    return job, _LAST_NUMBER - int(at[-8:])


def list_prefix(job: str | None) -> str:
    """Return the beginning of the keys of a list: of a job, or of all."""
    return ALL_PREFIX if job is None else f"{JOB_PREFIX}{job}~"


_POSITION = re.compile(r"\d{21}(?:@[^@/\x00-\x1f]{1,200})?")
_PRUNED_AT_ONCE = MAX_ATOMIC_GROUP // 4
"""Changes. Each has two rows, the last one of a removed job four."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """The latest change of a job, with the etag of its row."""

    change: StateChange
    etag: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Newest first. `positions`: of each change; the list continues after it."""

    changes: tuple[StateChange, ...]
    positions: tuple[str, ...]


class StateChanges:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = Table(store, CHANGES_TABLE, CHANGES_PARTITION, _encode_change, _decode_change)

    async def read_states(self) -> dict[str, StoredState]:
        """Return the state of each job."""
        states = await self._rows.list_stored(after=STATE_PREFIX, until=end_of(STATE_PREFIX))
        return {stored.value.job: StoredState(stored.value, stored.etag) for stored in states}

    async def read_state(self, job: str) -> StoredState | None:
        stored = await self._rows.get(state_key(job))
        return None if stored is None else StoredState(stored.value, stored.etag)

    async def write(self, change: StateChange, etag: str) -> StoredState:
        """Store a change. `etag`: of the state before; empty for the first one.

        Raises:
            RowExists, RowChanged: the job has another state: read it.
        """
        etags = await self._store.apply(
            self._rows.put(state_key(change.job), change, etag),
            self._rows.upsert(job_key(change), change),
            self._rows.upsert(all_key(change), change),
        )
        return StoredState(change, etags[0])

    async def list_page(
        self,
        job: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        limit: int,
        after: str = "",
    ) -> ChangePage:
        """Return changes of a job, or of all jobs, newest first; fewer than `limit` mean that no more exist.

        Raises InvalidContinuation: `after` is not a position.
        """
        if after and _POSITION.fullmatch(after) is None:
            raise InvalidContinuation(after)
        prefix, bounds = list_prefix(job), DueRange(since, until)
        rows = await self._list(prefix + max(after, bounds.after), prefix + bounds.end, limit)
        return ChangePage(tuple(map(_decode_change, rows)), tuple(row.key[len(prefix) :] for row in rows))

    async def list_positions(self, since: datetime, *, limit: int) -> set[str]:
        """Return the positions of the changes of all jobs since an instant. With `limit` or more, some may be missing.

        Reads keys only: `read_position` reads the job and the number of a change from its position.
        """
        until = ALL_PREFIX + DueRange(since, None).end
        positions: set[str] = set()
        async for rows in iterate_pages(
            self._store, CHANGES_TABLE, CHANGES_PARTITION, after=ALL_PREFIX, until=until, bodies=False
        ):
            positions.update(row.key[len(ALL_PREFIX) :] for row in rows)
            if len(positions) >= limit:
                break
        return positions

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete the changes that are older than `age_s`, and the states of jobs that were removed before."""
        deleted, after = 0, ALL_PREFIX + reverse_ms(instant_before(now, age_s))
        while rows := await self._list(after, end_of(ALL_PREFIX), _PRUNED_AT_ONCE):
            keys = [key for row in rows for key in (row.key, job_key_of(row.key))]
            removed = await self._delete_removed(map(_decode_change, rows))
            await self._store.apply(*map(self._rows.delete, keys), *removed)
            deleted, after = deleted + len(rows), rows[-1].key
        return deleted

    async def _delete_removed(self, changes: Iterable[StateChange]) -> list[Delete]:
        deletions = []
        for change in changes:
            if change.state is JobStatus.REMOVED:
                stored = await self.read_state(change.job)
                if stored is not None and stored.change.number == change.number:
                    deletions.append(self._rows.delete(state_key(change.job), stored.etag))
                    deletions.append(self._rows.delete(health_key(change.job)))
        return deletions

    async def _list(self, after: str, until: str, limit: int) -> list[Row]:
        return list(
            await self._store.list_rows(CHANGES_TABLE, CHANGES_PARTITION, after=after, until=until, limit=limit)
        )


def _encode_change(change: StateChange) -> str:
    body: dict[str, Any] = {
        "job": change.job,
        "number": change.number,
        "state": _encode_state(change.state),
        "at": change.at.isoformat(),
        "code": change.cause.code,
    }
    if change.state is JobStatus.WAITING or change.previous is JobStatus.WAITING:
        body["waiting"] = [change.state is JobStatus.WAITING, change.previous is JobStatus.WAITING]
    if change.cause.message:
        body["message"] = change.cause.message
    if change.run:
        body["run"] = change.run
    if change.previous is not None and change.previous_since is not None:
        body |= {"previous": _encode_state(change.previous), "previous_since": change.previous_since.isoformat()}
    if change.latest_due is not None:
        body |= {"latest_due": change.latest_due.isoformat(), "latest_run": change.latest_run}
    return encode_json(body)


def _encode_state(state: JobStatus) -> JobStatus:
    """Older programs that share the store cannot read the state `waiting`: for them it is unknown."""
    return JobStatus.UNKNOWN if state is JobStatus.WAITING else state


def _decode_change(row: Row) -> StateChange:
    body = decode_json(row.body)
    waits, waited = body.get("waiting", (False, False))
    previous = body.get("previous")
    return StateChange(
        job=body["job"],
        number=body["number"],
        state=JobStatus.WAITING if waits else JobStatus(body["state"]),
        at=datetime.fromisoformat(body["at"]),
        cause=Cause(body["code"], body.get("message", "")),
        run=body.get("run", ""),
        previous=JobStatus.WAITING if waited else None if previous is None else JobStatus(previous),
        previous_since=_read_instant(body.get("previous_since")),
        latest_due=_read_instant(body.get("latest_due")),
        latest_run=body.get("latest_run", ""),
    )


def _read_instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StoredHealthHistory:
    """The states of the entries of a job's health documents, with the etag of the row."""

    history: HealthHistory
    etag: str


class HealthHistories:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._rows = Table(store, CHANGES_TABLE, CHANGES_PARTITION, _encode_history, _decode_history)

    async def read(self, job: str) -> StoredHealthHistory | None:
        """Return the history of a job; None without a health document so far."""
        stored = await self._rows.get(health_key(job))
        return None if stored is None else StoredHealthHistory(stored.value, stored.etag)

    async def write(self, history: HealthHistory, etag: str) -> StoredHealthHistory:
        """Store a history. `etag`: of the one before; empty for the first one.

        Raises:
            RowExists, RowChanged: the job has another one: read it.
        """
        return StoredHealthHistory(history, await self._rows.write(health_key(history.job), history, etag))


_FIRST_ENTRIES = 100
_MAX_LONG_HISTORY = 500_000
"""Characters. A longer one, of texts that a target chose, is stored without them and with two changes an entry."""
_Group = tuple[str, str, int]
"""The word, the run and the instant in milliseconds of entries that are up and have never changed."""


def _encode_history(history: HealthHistory) -> str:
    text = _write_history(history)
    if len(text) <= _MAX_LONG_HISTORY:
        return text
    entries = (
        replace(each, entry=replace(each.entry, text="", observed=""), changes=each.changes[:2])
        for each in history.entries
    )
    return _write_history(replace(history, entries=tuple(entries)))


def _write_history(history: HealthHistory) -> str:
    first, more = history.entries[:_FIRST_ENTRIES], history.entries[_FIRST_ENTRIES:]
    body = {
        "due": history.latest_due.isoformat(),
        "run": history.latest_run,
        "entries": [*map(_encode_entry, first)],
    }
    if more:
        groups: dict[_Group, int] = {}
        body["more"] = [_encode_further(each, groups) for each in more]
        body["groups"] = list(groups)
    return encode_json(body)


def _encode_further(history: EntryHistory, groups: dict[_Group, int]) -> list[Any]:
    entry, change = history.entry, history.present
    if len(history.changes) > 1 or entry != ReportedEntry(entry.name, EntryStatus.UP, entry.word):
        return _encode_entry(history)
    group = (entry.word, history.run, (change.at - _EPOCH) // _MILLISECOND)
    return [entry.name, groups.setdefault(group, len(groups))]


def _encode_entry(history: EntryHistory) -> list[Any]:
    entry = history.entry
    changes = [[(change.at - _EPOCH) // _MILLISECOND, change.status] for change in history.changes]
    return [entry.name, entry.word, entry.status, entry.effect, entry.text, entry.observed, history.run, changes]


def _decode_history(row: Row) -> HealthHistory:
    body = decode_json(row.body)
    groups = [
        (word, run, (EntryChange(_EPOCH + at * _MILLISECOND, EntryStatus.UP),))
        for word, run, at in body.get("groups", ())
    ]
    entries = [*map(_decode_entry, body["entries"])]
    for parts in body.get("more", ()):
        if len(parts) > 2:
            entries.append(_decode_entry(parts))
            continue
        word, run, changes = groups[parts[1]]
        entries.append(EntryHistory(ReportedEntry(parts[0], EntryStatus.UP, word), run, changes))
    return HealthHistory(row.key[len(HEALTH_PREFIX) :], tuple(entries), parse_instant(body["due"]), body["run"])


def _decode_entry(parts: Sequence[Any]) -> EntryHistory:
    name, word, status, effect, text, observed, run, changes, *_ = parts
    entry = ReportedEntry(name, EntryStatus(status), word, text, None, observed, EntryEffect(effect))
    return EntryHistory(
        entry,
        run,
        tuple(
            EntryChange(_EPOCH + at * _MILLISECOND, None if entered is None else EntryStatus(entered))
            for at, entered, *_ in changes
        ),
    )
