"""The audit trail in the store. Created by scheduler.app.program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from jobs.ports import Clock
from jobs.redaction import Redactor
from scheduler.audit.content import clean_text, entry_content
from scheduler.audit.refusals import CountedRefusals, RefusalCounter
from scheduler.audit.trail import AuditedChange, Refusal
from scheduler.identity.caller import Caller
from scheduler.identity.principal import PROGRAM_PRINCIPAL
from scheduler.stores.audit import AuditLog
from scheduler.stores.port import StoreError
from scheduler.turns import compute

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
        """See AuditTrail.record."""
        content = await self._content(caller, change)
        return (await self._entries.append(content)).sequence

    async def _content(self, caller: Caller, change: AuditedChange) -> dict[str, Any]:
        arguments = self._clock.now(), "change", caller, change, self._redactor
        return await compute(entry_content, *arguments, in_thread=len(change.jobs) > _JOBS_INLINE)

    async def record_failure(self, caller: Caller, change: AuditedChange, error: BaseException, number: int) -> None:
        """See AuditTrail.record_failure."""
        text = clean_text(f"{type(error).__name__}: {error}", self._redactor)
        content = entry_content(
            self._clock.now(), "failure", caller, change, self._redactor, outcome="failed", error=text, of=number
        )
        await self._append_if_possible(content)

    async def record_refusal(self, refusal: Refusal) -> None:
        """See AuditTrail.record_refusal."""
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
