"""Sends notifications again that no channel could deliver, or discards them. Called by the API and the commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobs.formats.counts import format_count
from jobs.ports import Clock
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.errors import Conflict, NotFound
from scheduler.identity.principal import Caller
from scheduler.queries.alerting.channels import ChannelQueries
from scheduler.stores.alerting.undelivered import StoredLetter, UndeliveredRows
from scheduler.stores.port import RowChanged


@dataclass(frozen=True, slots=True)
class RetryResult:
    """`retried`: ids, oldest first. `skipped`: ids of those that another process retried or discarded meanwhile."""

    retried: tuple[str, ...]
    skipped: tuple[str, ...]


class UndeliveredManager:
    """All methods raise StoreError, and NotFound: there is no such channel or notification."""

    def __init__(
        self,
        channels: ChannelQueries,
        undelivered: UndeliveredRows,
        clock: Clock,
        audit: AuditTrail,
        on_retry: Callable[[Collection[str]], None] = lambda channels: None,
    ) -> None:
        """`on_retry`: called with the channel that has notifications to send."""
        self._channels = channels
        self._undelivered = undelivered
        self._clock = clock
        self._audit = audit
        self._on_retry = on_retry

    async def retry(self, channel: str, ids: Sequence[str] = (), *, caller: Caller) -> RetryResult:
        """Send these notifications to their channel again, without `ids` all of the channel.

        Raises Conflict: there is nothing to send.
        """
        letters = await self._select(channel, ids)
        if not letters:
            raise Conflict(f"channel {channel} has delivered everything: there is nothing to send again")
        retried: list[str] = []
        summary = f"{_count(letters)} for channel {channel} will be sent again"
        change = AuditedChange("notification.retry", channel, summary, after={"ids": [each.id for each in letters]})
        async with audited(self._audit, caller, change):
            for letter in letters:
                with suppress(RowChanged):  # another process has retried or discarded it
                    await self._undelivered.retry(letter, self._clock.now(), caller.principal.id)
                    retried.append(letter.id)
        self._on_retry([channel])
        return RetryResult(tuple(retried), tuple(each.id for each in letters if each.id not in retried))

    async def discard(self, channel: str, letter_id: str, *, caller: Caller) -> None:
        """Delete a notification that could not be delivered. The decisions of its incident record it."""
        (letter,) = await self._select(channel, [letter_id])
        before = {
            "incident": letter.letter.notification.incident,
            "number": letter.letter.notification.number,
            "error": letter.letter.error,
        }
        change = AuditedChange(
            "notification.discard", letter_id, f"notification {letter_id} for {channel} was discarded", before=before
        )
        async with audited(self._audit, caller, change):
            try:
                await self._undelivered.discard(letter, self._clock.now(), caller.principal.id)
            except RowChanged:
                raise _not_found(channel, letter_id) from None

    async def _select(self, channel: str, ids: Sequence[str]) -> list[StoredLetter]:
        known = {each.id: each for each in await self._channels.list_undelivered(channel)}
        missing = next((each for each in ids if each not in known), None)
        if missing is not None:
            raise _not_found(channel, missing)
        return [each for each in known.values() if not ids or each.id in ids]


def _count(letters: Sequence[StoredLetter]) -> str:
    return format_count(len(letters), "notification")


def _not_found(channel: str, letter_id: str) -> NotFound:
    return NotFound(
        f"there is no undelivered notification {letter_id!r} of channel {channel}: it was sent again or discarded, or "
        "the id is wrong; list them"
    )
