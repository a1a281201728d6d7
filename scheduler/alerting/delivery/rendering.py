"""Makes messages of stored incidents: which rows form a message, what it announces, and its text.

The rows of an incident in a channel stay in order: while the first one waits for its next attempt, the others wait with
it, and form one message together when it is sent. The rows of digests of several incidents form one message, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import Incident, Notification, Transition, TransitionKind
from jobs.notifications.port import REPEATED_KINDS, ChannelState, ChannelThread, Message, OutboxRow, SendFailed
from jobs.notifications.templates.incident_message import MessageDetails, make_message
from jobs.notifications.templates.sandbox import TemplateProblem
from jobs.notifications.templates.titles import DigestEntry, make_digest
from scheduler.alerting.delivery.port import MessageRenderer
from scheduler.stores.alerting.incident_log import IncidentLog

Batch = tuple[OutboxRow, ...]
"""Rows of one incident in order, or of several incidents in a digest, sent as one message."""

MAX_BATCH = 30
"""Rows of a message. A transaction has 100 rows: a deleted one, a new one and a decision for each of these."""
MAX_DIGEST = 300
"""Rows of a digest. Its result is recorded in several transactions."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def form_batches(rows: Sequence[OutboxRow], state: ChannelState, now: datetime) -> list[Batch]:
    """Return the messages that are due, those with fewer failures first.

    The message that a process was sending when it was killed comes first, of the same rows.
    """
    interrupted = find_interrupted(rows, state, now)
    groups = _group(rows)
    for row in interrupted:
        # Later rows of the incident wait for the next pass.
        groups.pop(_group_of(row), None)
    waits = _digest_waits(rows)
    due: list[Batch] = []
    digests: dict[tuple[str, ...], Batch] = {}
    for group in groups.values():
        batch = _due_rows(group, waits, now)
        if _is_digest(batch):
            digests[group[0].instead_of] = digests.get(group[0].instead_of, ()) + batch
        elif batch:
            due.append(batch)
    due += [
        batch[start : start + MAX_DIGEST] for batch in digests.values() for start in range(0, len(batch), MAX_DIGEST)
    ]
    due.sort(key=lambda batch: (batch[0].attempts, batch[0].key))
    return [interrupted, *due] if interrupted else due


def find_interrupted(rows: Sequence[OutboxRow], state: ChannelState, now: datetime) -> Batch:
    """Return the rows of which it is not known whether their message was sent.

    None if they must wait (DeliveryGate), or are reminders of an incident that was resolved meanwhile.
    """
    keys = frozenset(state.sending)
    interrupted = tuple(row for row in rows if row.key in keys)
    if any((row.next_attempt_at or now) > now for row in interrupted):
        return ()
    resolved = {row.notification.incident for row in rows if row.notification.kind is TransitionKind.RESOLVED}
    notifications = [row.notification for row in interrupted]
    is_moot = all(said.kind in REPEATED_KINDS and said.incident in resolved for said in notifications)
    return () if is_moot else interrupted


def find_next_due(rows: Sequence[OutboxRow]) -> datetime | None:
    """Return when the first of the rows is due, considering the order within incidents."""
    waits = _digest_waits(rows)
    return min((_next_due(group, waits) for group in _group(rows).values()), default=None)


def find_channel_due(
    rows: Sequence[OutboxRow], state: ChannelState, now: datetime, fallback_after: timedelta | None
) -> datetime:
    """Return when the channel is sent something, or its fallback channel. `fallback_after`: None without one."""
    due_at = find_next_due(rows) or now
    if state.sending or state.retry_at is None or state.retry_at <= due_at:
        return due_at
    if state.failing_since is None or fallback_after is None:
        return state.retry_at
    return max(due_at, min(state.retry_at, state.failing_since + fallback_after))


def list_incidents(batch: Batch) -> list[str]:
    """Return the incidents of the message: several in a digest."""
    return list(dict.fromkeys(row.notification.incident for row in batch))


def _group(rows: Sequence[OutboxRow]) -> dict[str, list[OutboxRow]]:
    groups: dict[str, list[OutboxRow]] = {}
    for row in rows:
        groups.setdefault(_group_of(row), []).append(row)
    return groups


def _group_of(row: OutboxRow) -> str:
    """Messages in place of another channel's are separate: they say for which channel they are."""
    return "\n".join((row.notification.incident, *row.instead_of))


def _is_digest(rows: Iterable[OutboxRow]) -> bool:
    return all(row.notification.is_digest for row in rows)


def _digest_waits(rows: Sequence[OutboxRow]) -> dict[tuple[str, ...], datetime]:
    """Return until when a digest that has failed waits: all of it with the row that has the back-off."""
    waits: dict[tuple[str, ...], datetime] = {}
    for row in rows:
        if row.notification.is_digest and row.next_attempt_at is not None:
            waits[row.instead_of] = max(waits.get(row.instead_of, row.next_attempt_at), row.next_attempt_at)
    return waits


def _next_due(group: Sequence[OutboxRow], waits: dict[tuple[str, ...], datetime]) -> datetime:
    """What is due at once takes along what waits for a digest before it."""
    due_at = group[0].next_attempt_at or min(row.notification.due_at for row in group)
    return max(due_at, waits.get(group[0].instead_of, _LONG_AGO)) if _is_digest(group) else due_at


def _due_rows(group: Sequence[OutboxRow], waits: dict[tuple[str, ...], datetime], now: datetime) -> Batch:
    if _next_due(group, waits) > now:
        return ()
    last = max((at for at, row in enumerate(group) if row.notification.due_at <= now), default=-1)
    return tuple(group[: min(last + 1, MAX_BATCH)])


async def render_batch(renderer: MessageRenderer, batch: Batch, thread: ChannelThread | None) -> Message:
    """Return the message of the batch. `thread`: of its incident in the channel. Raises as MessageRenderer.render."""
    earlier = _find_error(batch) if len(batch) > 1 else ""
    latest = list({row.notification.incident: row.notification for row in batch}.values())
    if len(latest) > 1:
        rendered = await renderer.render_digest(latest, earlier)
    else:
        covers = [row.notification.kind for row in batch]
        rendered = await renderer.render(latest[0], earlier, covers, _find_unheard(thread))
    notices = [text for text in (_describe_fallback(batch), _describe_delay(batch)) if text]
    return replace(rendered, text="\n".join((*notices, rendered.text)), dedup_key=batch[-1].dedup_key)


def _find_unheard(thread: ChannelThread | None) -> TransitionKind | None:
    """Return the opening that a channel has not heard of if the incident is open; None if it has."""
    if thread is None or thread.moved_to:
        return TransitionKind.OPENED
    return TransitionKind.REOPENED if thread.is_over else None


def choose_kind(covers: Sequence[TransitionKind], unheard: TransitionKind | None, *, is_open: bool) -> TransitionKind:
    """Return what a message about these transitions announces. `is_open`: the incident, now.

    `unheard`: the opening that the receiver has not heard of. What followed an opening does not hide it, unless the
    incident is over. No receiver hears of an open incident first that it is resolved, or that no messages follow.
    """
    if not is_open:
        return TransitionKind.RESOLVED if TransitionKind.RESOLVED in covers else covers[-1]
    opening = next((kind for kind in (TransitionKind.OPENED, TransitionKind.REOPENED) if kind in covers), None)
    presumes_opening = covers[-1] in (TransitionKind.RESOLVED, TransitionKind.FLAPPING)
    return opening or (unheard if presumes_opening else None) or covers[-1]


def _describe_fallback(batch: Batch) -> str:
    names = batch[-1].instead_of
    if not names:
        return ""
    label = "channel" if len(names) == 1 else "channels"
    return f"Sent here instead of to the {label} {', '.join(names)}: {_as_reason(batch[-1].reason)}."


def _describe_delay(batch: Batch) -> str:
    """Describe what the message covers. The rendered text contains the error of earlier messages."""
    if len(list_incidents(batch)) > 1:
        return ""
    if len(batch) > 1:
        kinds = (f"{row.notification.kind.replace('_', ' ')} {_clock(row.notification.due_at)}" for row in batch)
        return f"Covers {len(batch)} transitions: {', '.join(kinds)}."
    error = _find_error(batch)
    return f"Could not be sent at {_clock(batch[0].notification.due_at)}: {_as_reason(error)}." if error else ""


def _find_error(batch: Batch) -> str:
    return next((row.error for row in reversed(batch) if row.error), "")


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def _as_reason(error: str) -> str:
    return error.rstrip(".") or "unknown error"


LOG = logging.getLogger(__name__)

_PAGE = 200
_ANNOUNCEMENTS = (TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.RESOLVED)


@fast_frozen(frozen=True, slots=True)
class MessageTemplates:
    """Of a channel; None: the default. `zone`: of the times in its messages."""

    title: str | None = None
    text: str | None = None
    zone: tzinfo = UTC


class MessageSource(Protocol):
    """What a message contains in addition to its incident: from definitions, history and settings."""

    async def read_details(self, incident: Incident, transition: Transition, channel: str) -> MessageDetails:
        """Raises StoreError."""
        ...

    def find_templates(self, channel: str) -> MessageTemplates: ...

    def find_link(self, incident: str) -> str:
        """Return the URL of an incident; empty if the program has no public address."""
        ...

    def find_target(self, incident: Incident) -> str:
        """Return the name of the target of the lead; empty for a group, an objective and the scheduler."""
        ...


def first_transition(incident: Incident) -> Transition:
    """Return the opening, for a message that shows an incident."""
    key = incident.leading.key
    text = f"{key.subject} has failed"
    return Transition(incident.id, 1, TransitionKind.OPENED, incident.opened_at, text, key=key)


class StoredIncidentRenderer:
    """Renders the message of a notification from its stored incident. Implements IncidentRenderer."""

    def __init__(self, incidents: IncidentLog, source: MessageSource) -> None:
        self._incidents = incidents
        self._source = source

    async def render(
        self,
        notification: Notification,
        earlier: str,
        covers: Sequence[TransitionKind] = (),
        unheard: TransitionKind | None = None,
    ) -> Message:
        incident = await self._incidents.find(notification.incident)
        if incident is None:
            raise SendFailed(f"the incident {notification.incident} does not exist", is_permanent=True)
        covers = tuple(covers) or (notification.kind,)
        notification = replace(notification, kind=choose_kind(covers, unheard, is_open=incident.is_open))
        transition = await self._find_transition(notification)
        details = await self._source.read_details(incident, transition, notification.channel)
        details = replace(details, earlier=earlier, covers=covers)
        templates = self._source.find_templates(notification.channel)
        try:
            return make_message(
                incident,
                transition,
                notification,
                details,
                title_template=templates.title,
                text_template=templates.text,
            )
        except TemplateProblem as problem:
            LOG.warning(
                "could not render the templates of channel %s: %s; the default is used", notification.channel, problem
            )
            return make_message(incident, transition, notification, details)

    async def render_digest(self, notifications: Sequence[Notification], earlier: str) -> Message:
        found = [await self._incidents.find(each.incident) for each in notifications]
        entries = [
            DigestEntry(each, self._source.find_link(each.id), self._source.find_target(each))
            for each in found
            if each is not None
        ]
        if not entries:
            raise SendFailed("the incidents of the digest do not exist", is_permanent=True)
        last = notifications[-1]
        zone = self._source.find_templates(last.channel).zone
        return make_digest(entries, last.channel, last.due_at, zone, earlier)

    async def _find_transition(self, notification: Notification) -> Transition:
        """Return the transition. That of an opening or resolution is the latest one until then: others of the same pass
        or message are about members.
        """
        after, is_announcement = "", notification.kind in _ANNOUNCEMENTS
        opening: Transition | None = None
        while True:
            page = await self._incidents.list_transitions(notification.incident, limit=_PAGE, after=after)
            for transition in page.entries:
                if transition.kind is notification.kind:
                    opening = transition
                if transition.number == notification.number:
                    return opening if is_announcement and opening is not None else transition
            if not page.continuation:
                # An announcement can be later than its transition, and has its number; else a description is enough.
                text = notification.kind.replace("_", " ")
                return Transition(
                    notification.incident, notification.number, notification.kind, notification.due_at, text
                )
            after = page.continuation
