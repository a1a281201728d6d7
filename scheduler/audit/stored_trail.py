"""The audit trail in the store: the content of its entries, refused requests, and its periodic work.

An entry is JSON of a bounded size, without secrets. Refused requests are counted, so that an attacker cannot fill the
trail: the first refusal of a principal, an address and a reason is an entry; those of the following minute are another
one, with their number. Each costs a token of a bucket; without a token, all refusals together are an entry each ten
minutes. So a process adds at most 60 entries at once, and 200 an hour.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.ports import Clock
from jobs.redaction import Redactor
from scheduler.audit.trail import AuditedChange, ChangeRecorder, Refusal
from scheduler.identity.principal import PROGRAM_PRINCIPAL, Caller
from scheduler.stores.audit import AuditLog, RecordedJobSet, canonical_json, digest_of
from scheduler.stores.port import StoreError
from scheduler.stores.schedules import Cursors
from scheduler.turns import compute

MAX_JOBS_CHARACTERS = 400_000
"""Characters of the names of an entry's jobs."""
_MAX_TEXT = 1000
_MAX_DEPTH = 50
_STATE_START = 2000


def entry_content(
    at: datetime, kind: str, caller: Caller, change: AuditedChange, redactor: Redactor, **more: Any
) -> dict[str, Any]:
    """Return the fields of an entry about a change. `kind`: change or failure."""
    jobs = _fitting_names(change.jobs)
    omitted = len(change.jobs) - len(jobs)
    return {
        "at": at.isoformat(),
        "kind": kind,
        "action": change.action,
        "object": clean_text(change.object_id, redactor),
        "summary": clean_text(change.summary, redactor),
        "jobs": jobs,
        **({"jobs_omitted": omitted} if omitted else {}),
        "principal": caller.principal.id,
        "role": caller.principal.role.value,
        "source": caller.source.name.lower(),
        "address": caller.address[:100],
        "request_id": redactor.redact(caller.request_id),
        "before": _state(change.before, redactor, change.max_state),
        "after": _state(change.after, redactor, change.max_state),
        **more,
    }


def clean_text(text: str, redactor: Redactor) -> str:
    """Redact and cut a text."""
    return redactor.redact(text)[:_MAX_TEXT]


def _state(value: Mapping[str, Any] | None, redactor: Redactor, limit: int) -> Any:
    clean = _clean(value, redactor, _MAX_DEPTH)
    text = canonical_json(clean)
    if len(text) <= limit:
        return clean
    return {"cut": True, "characters": len(text), "sha256": digest_of(clean), "start": text[:_STATE_START]}


def _clean(value: Any, redactor: Redactor, depth: int) -> Any:
    """Return JSON: texts redacted, other values as texts."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str) or not depth:
        return redactor.redact(str(value))
    if isinstance(value, Mapping):
        return {redactor.redact(str(key)): _clean(each, redactor, depth - 1) for key, each in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_clean(each, redactor, depth - 1) for each in value]
    return redactor.redact(str(value))


def _fitting_names(names: Sequence[str]) -> list[str]:
    size, fitting = 0, list[str]()
    for name in names:
        size += len(name) + 3
        if size > MAX_JOBS_CHARACTERS:
            break
        fitting.append(name)
    return fitting


WINDOW = timedelta(minutes=1)
OVERFLOW_WINDOW = timedelta(minutes=10)
MAX_TOKENS = 60.0
TOKENS_PER_SECOND = 1 / 60

_Key = tuple[str, str, str, str]
_OVERFLOW = Refusal("any", "any", "too many refusals to record each")


@dataclass(frozen=True, slots=True)
class CountedRefusals:
    """`refusal`: the first one. `since`: its time."""

    refusal: Refusal
    count: int
    since: datetime


@dataclass(slots=True)
class _Window:
    refusal: Refusal
    since: datetime
    count: int = 0
    """Refusals that are not recorded yet."""

    def take(self) -> list[CountedRefusals]:
        count, self.count = self.count, 0
        return [CountedRefusals(self.refusal, count, self.since)] if count else []


class RefusalCounter:
    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}
        self._overflow: _Window | None = None
        self._tokens = MAX_TOKENS
        self._filled_at: datetime | None = None

    def count(self, refusal: Refusal, now: datetime) -> list[CountedRefusals]:
        """Count a refusal. Return what is to be recorded now."""
        due = self.collect(now)
        key = (refusal.principal, refusal.address, refusal.way, refusal.reason)
        if (window := self._windows.get(key)) is not None:
            window.count += 1
        elif self._take_token(now):
            self._windows[key] = _Window(refusal, now)
            due.append(CountedRefusals(refusal, 1, now))
        else:
            self._overflow = self._overflow or _Window(replace(_OVERFLOW), now)
            self._overflow.count += 1
        return due

    def collect(self, now: datetime, *, all_windows: bool = False) -> list[CountedRefusals]:
        """Return the counts of windows that have ended. `all_windows`: of all, because the program stops."""
        due: list[CountedRefusals] = []
        for key, window in list(self._windows.items()):
            if all_windows or now - window.since >= WINDOW:
                due += window.take()
                del self._windows[key]
        if self._overflow is not None and (all_windows or now - self._overflow.since >= OVERFLOW_WINDOW):
            due += self._overflow.take()
            self._overflow = None
        return due

    def _take_token(self, now: datetime) -> bool:
        if self._filled_at is not None:
            passed = max(0.0, (now - self._filled_at).total_seconds())
            self._tokens = min(MAX_TOKENS, self._tokens + passed * TOKENS_PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


_log = logging.getLogger("scheduler.audit")

REFUSAL_ACTION = "access.refuse"
BEST_EFFORT_TIMEOUT = 2.0
"""Seconds that a response waits for an entry that it does not require."""

_JOBS_INLINE = 50
"""Jobs of a change whose entry is made at once. That of more is made in a thread, so that runs start in time."""


class StoredAuditTrail:
    """Implements AuditTrail."""

    def __init__(self, log: AuditLog, clock: Clock, redactor: Redactor) -> None:
        self._entries = log
        self._clock = clock
        self._redactor = redactor
        self._refusals = RefusalCounter()

    async def record(self, caller: Caller, change: AuditedChange) -> int:
        """Store an entry, before the change is made. Return its number."""
        content = await self._content(caller, change)
        return (await self._entries.append(content)).sequence

    async def _content(self, caller: Caller, change: AuditedChange) -> dict[str, Any]:
        arguments = self._clock.now(), "change", caller, change, self._redactor
        return await compute(entry_content, *arguments, in_thread=len(change.jobs) > _JOBS_INLINE)

    async def record_failure(self, caller: Caller, change: AuditedChange, error: BaseException, number: int) -> None:
        """Store that the change of an entry failed. Log what cannot be stored."""
        text = clean_text(f"{type(error).__name__}: {error}", self._redactor)
        content = entry_content(
            self._clock.now(), "failure", caller, change, self._redactor, outcome="failed", error=text, of=number
        )
        await self._append_if_possible(content)

    async def record_refusal(self, refusal: Refusal) -> None:
        """Count a refusal, and store an entry at a bounded rate. Log what cannot be stored."""
        await self._store_refusals(self._refusals.count(refusal, self._clock.now()))

    async def flush_refusals(self, *, all_windows: bool = False) -> None:
        """Store the counts of the past minute. `all_windows`: all of them, because the program stops."""
        await self._store_refusals(self._refusals.collect(self._clock.now(), all_windows=all_windows))

    async def prune(self, age_s: float) -> int:
        """Delete entries that are older. Return their number. Raises StoreError."""
        content: dict[str, object] = {
            "kind": "retention",
            "object": "",
            "summary": "entries older than the retention were deleted",
            "jobs": [],
            "at": self._clock.now().isoformat(),
            "principal": PROGRAM_PRINCIPAL.id,
            "role": PROGRAM_PRINCIPAL.role.value,
            "source": "program",
            "address": "",
            "request_id": "",
            "before": None,
        }
        return await self._entries.prune(content, self._clock.now(), age_s)

    async def _store_refusals(self, counted: Sequence[CountedRefusals]) -> None:
        for each in counted:
            await self._append_if_possible(self._refusal_content(each))

    def _refusal_content(self, counted: CountedRefusals) -> dict[str, object]:
        refusal, count = counted.refusal, counted.count
        number = "a request was" if count == 1 else f"{count} requests were"
        return {
            "at": self._clock.now().isoformat(),
            "kind": "refusal",
            "action": REFUSAL_ACTION,
            "object": clean_text(refusal.route, self._redactor),
            "summary": clean_text(f"{number} refused: {refusal.reason}", self._redactor),
            "jobs": [],
            "principal": clean_text(refusal.principal, self._redactor),
            "role": "",
            "source": "api",
            "address": refusal.address[:100],
            "request_id": self._redactor.redact(refusal.request_id),
            "before": None,
            "after": {
                "way": refusal.way,
                "reason": clean_text(refusal.reason, self._redactor),
                "count": count,
                "since": counted.since.isoformat(),
            },
        }

    async def _append_if_possible(self, content: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(BEST_EFFORT_TIMEOUT):
                await self._entries.append(content)
        except (StoreError, TimeoutError) as error:
            cause = str(error) or f"no response within {BEST_EFFORT_TIMEOUT:g} s"
            _log.warning("could not record in the audit trail that %s: %s", content["summary"], cause)


ANCHOR_INTERVAL = timedelta(hours=1)
ANCHOR_CURSOR = "audit-anchored-at"

PublishHead = Callable[[int, str, int], None]
"""Gets the number and the hash of the last entry, and how many entries are stored."""


class AuditUpkeep:
    """The periodic work on the audit trail."""

    def __init__(
        self,
        trail: StoredAuditTrail,
        log: AuditLog,
        cursors: Cursors,
        clock: Clock,
        publish_head: PublishHead,
        age_s: float,
    ) -> None:
        self._trail = trail
        self._entries = log
        self._cursors = cursors
        self._clock = clock
        self._publish_head = publish_head
        self._age_s = age_s
        self._anchored_at: datetime | None = None
        """What the cursor was at least, so that it is read rarely."""

    async def tick(self) -> None:
        """Store counted refusals; once an hour, by any process, publish the head and delete old entries."""
        await self._trail.flush_refusals()
        now = self._clock.now()
        if self._anchored_at is not None and now - self._anchored_at < ANCHOR_INTERVAL:
            return
        try:
            self._anchored_at = await self._cursors.read(ANCHOR_CURSOR)
            if self._anchored_at is not None and now - self._anchored_at < ANCHOR_INTERVAL:
                return
            await self.publish_head()
            self._anchored_at = await self._cursors.advance(ANCHOR_CURSOR, now)
            if number := await self._trail.prune(self._age_s):
                _log.info("deleted %d old entries of the audit trail", number)
        except StoreError as error:
            _log.warning("could not publish the head of the audit trail: %s; retrying in a minute", error)

    async def publish_head(self) -> None:
        """Publish the head. Raises StoreError."""
        head, first = await self._entries.read_head(), await self._entries.read_first_sequence()
        self._publish_head(head.sequence, head.hash, head.sequence - first + 1 if first else 0)

    async def finish(self) -> None:
        """Store all counted refusals and publish the head, because the program stops."""
        await self._trail.flush_refusals(all_windows=True)
        try:
            await self.publish_head()
        except StoreError as error:
            _log.warning("could not publish the head of the audit trail: %s", error)


class JobSetRecorder:
    """Implements ChangeRecorder for changes whose `object_id` is the digest of a set."""

    def __init__(self, trail: ChangeRecorder, recorded: RecordedJobSet) -> None:
        self._trail = trail
        self._recorded = recorded

    async def record(self, caller: Caller, change: AuditedChange) -> int:
        """Record the change, unless the set is the one that was recorded last; return 0 then. Raises StoreError.

        A crash before the set is marked as recorded records it again.
        """
        before = await self._recorded.read()
        if before == change.object_id:
            return 0
        number = await self._trail.record(caller, replace(change, before={"digest": before or None}))
        await self._recorded.write(change.object_id)
        return number
