"""Sends test messages to notification channels, and sends again or discards what no channel could deliver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from jobs.formats import format_count
from jobs.incidents.values import Incident
from jobs.notifications.port import plain_text
from jobs.ports import Clock
from jobs.problems import format_value
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.alerting.channel_testing import ChannelTestResult, ChannelTestSender
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.errors import Conflict, NotFound
from scheduler.features.channels.models import ChannelTestModel, RetriedModel
from scheduler.features.channels.queries import ChannelQueries
from scheduler.identity.principal import Caller
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.outbox import StoredLetter, UndeliveredRows
from scheduler.stores.port import RowChanged

_LATEST = 20
"""Incidents among which the latest one that the caller sees is searched."""


class ChannelTester(Operation):
    def __init__(self, catalog: Catalog, incidents: IncidentLog, tester: ChannelTestSender, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._incidents = incidents
        self._tester = tester
        self._audit = audit

    async def send_test(self, channel: str, incident: str | None = None, *, caller: Caller) -> ChannelTestModel:
        """Send a message with the content of an incident, else of the latest one, else of a sample; marked as a test.

        A channel that does not accept it is a result, not an error.

        Raises:
            NotFound: the channel or the incident does not exist.
            StoreError: nothing was sent.
        """
        channels = self._catalog.snapshot.alerting.channels
        model = channels.get(channel)
        if model is None:
            near = did_you_mean(suggest_name(channel, channels))
            raise NotFound(f"there is no notification channel {format_value(channel)}{near}")
        shown = await self._find_latest() if incident is None else await self._find(incident)
        content = "a sample" if shown is None else f"incident {shown.id}"
        summary = f"a test message was sent to channel {channel} with the content of {content}"
        async with audited(self._audit, caller, AuditedChange("channel.test", channel, summary)):
            reason = f"requested by {caller.principal.id}"
            return view_test(await self._tester.send(channel, model, shown, reason, records_failure=False))

    async def _find(self, incident: str) -> Incident:
        found = await self._incidents.find(incident)
        if found is None or not self._is_visible(found):
            raise NotFound(f"there is no incident {format_value(incident)}: list the incidents to find its id")
        return found

    async def _find_latest(self) -> Incident | None:
        page = await self._incidents.list_page(limit=_LATEST)
        return next((each for each in page.incidents if self._is_visible(each)), None)

    def _is_visible(self, incident: Incident) -> bool:
        return all(self._catalog.is_visible(member.key.subject) for member in incident.members)


def view_test(result: ChannelTestResult) -> ChannelTestModel:
    """Return what a test has sent and what the service answered. Of several messages the first one is shown."""
    message = result.messages[0]
    return ChannelTestModel.from_object(
        result,
        delivered=result.is_delivered,
        answers=list(result.answers),
        title=message.title,
        text=message.text,
        duration_ms=round(result.duration * 1000, 1),
        full_text=plain_text(message),
        message_count=len(result.messages),
    )


class UndeliveredManager(Operation):
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

    async def retry(self, channel: str, ids: Sequence[str] = (), *, caller: Caller) -> RetriedModel:
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
        return RetriedModel(retried=retried, skipped=[letter.id for letter in letters if letter.id not in retried])

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
        by_id = {letter.id: letter for letter in await self._channels.find_letters(channel)}
        missing = next((each for each in ids if each not in by_id), None)
        if missing is not None:
            raise _not_found(channel, missing)
        return [letter for letter in by_id.values() if not ids or letter.id in ids]


def _count(letters: Sequence[StoredLetter]) -> str:
    return format_count(len(letters), "notification")


def _not_found(channel: str, letter_id: str) -> NotFound:
    return NotFound(
        f"there is no undelivered notification {letter_id!r} of channel {channel}: it was sent again or discarded, or "
        "the id is wrong; list them"
    )
