"""The port of the audit trail, what is recorded in it, and how a change is recorded as an auditor requires.

An operation records its change first, makes it, and writes it to the log. Authentication records what it refuses.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from scheduler.identity.principal import Caller, ChangeSource

TAGS_OF_JOBS: Final = "tags"
"""Member of `after` in an entry about several jobs: the combinations of tags that they have before and after. A caller
that is limited to tags sees the state only if it sees each of them."""
MAX_STATE_CHARACTERS = 64_000
"""Characters of `before` or `after` as JSON, unless a change sets another limit."""


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """A change that is about to be made.

    `action`: subject and verb, such as `job.pause`. `object_id`: what is changed, such as a job's name. `summary`: a
    clause for people, such as `job checkout was resumed`. `jobs`: the jobs that it concerns, which decide who sees the
    entry. `before`, `after`: JSON values without secrets. `max_state`: characters of each of them as JSON; of a larger
    one its hash and its start are stored.
    """

    action: str
    object_id: str
    summary: str
    jobs: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    max_state: int = MAX_STATE_CHARACTERS


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was denied, or a sign-in that failed.

    `principal`: the id of the caller if it is known, else "". `way`: how the caller authenticated or tried to, such as
    `api_key`. `route`: method and path template, without values. `reason`: a short text of ours, without parts of the
    request.
    """

    way: str
    route: str
    reason: str
    principal: str = ""
    address: str = ""
    request_id: str = ""


class ChangeRecorder(Protocol):
    """Records changes before they are made."""

    async def record(self, caller: Caller, change: AuditedChange) -> int:
        """Store an entry, before the change is made. Return its number.

        Raises StoreError: then the change must not be made.
        """
        ...


class AuditTrail(ChangeRecorder, Protocol):
    """Records changes, their failures, and requests that were refused."""

    async def record_failure(self, caller: Caller, change: AuditedChange, error: BaseException, number: int) -> None:
        """Store that the change of an entry failed. Logs what cannot be stored."""
        ...

    async def record_refusal(self, refusal: Refusal) -> None:
        """Count a refusal; entries are stored at a bounded rate. Logs what cannot be stored."""
        ...


_log = logging.getLogger("scheduler.audit")


def log_change(change: str, caller: Caller) -> None:
    """Log a change. `change` is a clause such as `job checkout was resumed`."""
    _log.info("%s, requested %s", change, caller.source)


def log_failed_change(action: str, object_id: str, caller: Caller, error: BaseException) -> None:
    """Log a change that was recorded and then failed."""
    _log.warning("could not complete %s of %s, requested %s: %s", action, object_id, caller.source, error)


@asynccontextmanager
async def audited(trail: AuditTrail, caller: Caller, change: AuditedChange) -> AsyncIterator[None]:
    """Record the change, make it in the block, log it. Raises StoreError like `recorded`."""
    async with recorded(trail, caller, change):
        yield
    log_change(change.summary, caller)


@asynccontextmanager
async def recorded(trail: AuditTrail, caller: Caller, change: AuditedChange) -> AsyncIterator[None]:
    """Record the change, and make it in the block. A block that raises is recorded as failed.

    A run that a ping starts is not recorded: pings would fill the trail.

    Raises StoreError: the change could not be recorded, and the block did not run.
    """
    if caller.source is ChangeSource.PING:
        yield
        return
    number = await trail.record(caller, change)
    try:
        yield
    except Exception as error:
        log_failed_change(change.action, change.object_id, caller, error)
        await trail.record_failure(caller, change, error, number)
        raise
