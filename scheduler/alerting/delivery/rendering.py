"""Make messages of stored incidents. Implements scheduler.alerting.delivery.port.MessageRenderer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import Incident, Notification, Transition, TransitionKind
from jobs.notifications.message import Message
from jobs.notifications.port import SendFailed
from jobs.notifications.templates.incident_message import MessageDetails, make_message
from jobs.notifications.templates.sandbox import TemplateProblem
from jobs.notifications.templates.titles import DigestEntry, make_digest
from scheduler.alerting.delivery.composing import choose_kind
from scheduler.stores.alerting.incident_log import IncidentLog

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
