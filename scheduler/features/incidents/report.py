"""Reads everything that the page of an incident shows, as the caller may see it: also what became of its notifications,
by channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from jobs.incidents.headline import sort_members
from jobs.incidents.values import Incident, Member
from jobs.ports import Clock
from jobs.runs import Run
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.incidents.facts import (
    DefinedSubject,
    FailureHistory,
    MemberFacts,
    RecentChange,
    RecentChanges,
    find_subject,
    read_failure_history,
)
from scheduler.features.incidents.models import DecisionModel, TransitionModel
from scheduler.features.incidents.queries import SHOWN_MEMBERS, IncidentQueries, IncidentView
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.model_base import ListModel
from scheduler.stores.alerting.outbox import UndeliveredRows
from scheduler.stores.runs.repository import Runs


class DeliveryState(StrEnum):
    """That of a channel, from the worst to the best one."""

    UNDELIVERED = "undelivered"
    FAILING = "failing"
    WAITING = "waiting"
    DIGEST = "digest"
    """It is in a digest that is sent later."""
    DISCARDED = "discarded"
    MOVED = "moved"
    """To the fallback channel."""
    DELIVERED = "delivered"


_STATE_OF_CODE = {
    "delivered": DeliveryState.DELIVERED,
    "send_failed": DeliveryState.FAILING,
    "given_up": DeliveryState.UNDELIVERED,
    "moved_to_fallback": DeliveryState.MOVED,
    "retried": DeliveryState.WAITING,
    "discarded": DeliveryState.DISCARDED,
}
DELIVERY_CODES = frozenset(_STATE_OF_CODE)
"""Codes of decisions about a notification of one channel."""
DELIVERY_RESULTS = DELIVERY_CODES - {"send_failed"}
"""Those after which the channel does not try again by itself."""
_WORST_FIRST = tuple(DeliveryState)


@dataclass(frozen=True, slots=True)
class ChannelDelivery:
    """`count`: notifications that were delivered. `first_at`: of the first one. `at`, `text`: of what `state` is about.

    `due_at`: of the digest.
    """

    channel: str
    state: DeliveryState
    count: int = 0
    first_at: datetime | None = None
    at: datetime | None = None
    text: str = ""
    due_at: datetime | None = None


def summarize_deliveries(
    incident: Incident, decisions: Iterable[DecisionModel], now: datetime
) -> tuple[ChannelDelivery, ...]:
    """Return the channels of the incident and their fallback channels, in the order in which they were notified."""
    by_channel: dict[str, list[DecisionModel]] = {each.channel: [] for each in incident.announced}
    for decision in decisions:
        if decision.code in DELIVERY_CODES and (channel := decision.inputs.get("channel")):
            by_channel.setdefault(channel, []).append(decision)
    due = {each.channel: each.due_at for each in incident.announced}
    return tuple(_summarize(channel, own, due.get(channel), now) for channel, own in by_channel.items())


def _summarize(
    channel: str, decisions: Sequence[DecisionModel], due_at: datetime | None, now: datetime
) -> ChannelDelivery:
    if not decisions:
        is_digest = due_at is not None and due_at > now
        state = DeliveryState.DIGEST if is_digest else DeliveryState.WAITING
        return ChannelDelivery(channel, state, due_at=due_at if is_digest else None)
    # The last decision about a transition is what became of its notification.
    last = {each.inputs.get("number", ""): each for each in decisions}
    worst = min(reversed(last.values()), key=lambda each: _WORST_FIRST.index(_STATE_OF_CODE[each.code]))
    delivered = [each for each in decisions if each.code == "delivered"]
    return ChannelDelivery(
        channel,
        _STATE_OF_CODE[worst.code],
        len(delivered),
        delivered[0].at if delivered else None,
        worst.at,
        worst.text,
    )


MAX_ENTRIES_SHOWN = 200
"""Transitions, and decisions, of a page: the newest ones."""
_ENTRIES_AT_ONCE = 200
_MAX_ENTRIES_READ = 2000
"""Of an incident that was reminded of for months, the oldest ones are read; the rest is in the API."""
_CHANGES_BEFORE = timedelta(hours=1)
"""Before the failure, for changes of a job without a good run."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MemberView:
    """`is_job`: whether its subject is a job that exists. `latest`: its newest finished run."""

    member: Member
    is_job: bool
    latest: Run | None
    facts: MemberFacts


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """`kind`: of the transition, or the code of a decision about a delivery. `actor`: empty for the scheduler."""

    at: datetime
    kind: str
    text: str
    actor: str = ""


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """`members`: the first ones, the worst first. `timeline`, `decisions`: the newest first.

    `is_whole`: whether these two are complete. `changes`: of the job before it failed.
    """

    view: IncidentView
    subject: DefinedSubject
    history: FailureHistory
    changes: tuple[RecentChange, ...]
    members: tuple[MemberView, ...]
    deliveries: tuple[ChannelDelivery, ...]
    timeline: tuple[TimelineEntry, ...]
    decisions: tuple[DecisionModel, ...]
    is_whole: bool

    @property
    def lead_facts(self) -> MemberFacts:
        """What is known about the lead."""
        subject, shown = self.subject, self.history
        return MemberFacts(
            subject.describe_target(shown.step),
            subject.describe_job(),
            shown.expected,
            shown.observed,
            shown.answer,
            shown.failed_run,
        )


class IncidentReportReader(Query):
    """Raises StoreError."""

    def __init__(
        self,
        catalog: Catalog,
        incidents: IncidentQueries,
        runs: Runs,
        changes: RecentChanges,
        undelivered: UndeliveredRows,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._incidents = incidents
        self._runs = runs
        self._changes = changes
        self._undelivered = undelivered
        self._clock = clock

    async def find_undelivered(self) -> Mapping[str, frozenset[str]]:
        """Return the channels that could not deliver something about an incident, by the incident's id."""
        return await self._undelivered.list_channels_by_incident()

    async def read_report(self, incident_id: str, most: int = MAX_ENTRIES_SHOWN) -> IncidentReport:
        """Return the report. `most`: transitions, and decisions, the newest ones. Raises NotFound."""
        view = await self._incidents.find_view(incident_id)
        incident = view.incident
        subject = find_subject(self._catalog.snapshot, incident.leading.key)
        shown = sort_members(incident)[:SHOWN_MEMBERS]
        (transitions, all_transitions), (decisions, all_decisions), history, members = await asyncio.gather(
            _read_entries(
                lambda after: self._incidents.list_transitions(incident_id, limit=_ENTRIES_AT_ONCE, after=after)
            ),
            _read_entries(
                lambda after: self._incidents.list_decisions(incident_id, limit=_ENTRIES_AT_ONCE, after=after)
            ),
            self._read_history(incident, subject),
            self._view_members(shown),
        )
        changes = await self._read_changes(incident, subject, history)
        timeline = _build_timeline(transitions, decisions)
        return IncidentReport(
            view,
            subject,
            history,
            changes,
            members,
            summarize_deliveries(incident, decisions, self._clock.now()),
            timeline[:most],
            tuple(reversed(decisions[-most:])),
            all_transitions and all_decisions and max(len(timeline), len(decisions)) <= most,
        )

    async def _read_history(self, incident: Incident, subject: DefinedSubject) -> FailureHistory:
        if subject.entry is None:
            return FailureHistory()
        history = await read_failure_history(self._runs, incident, subject)
        visibility = SubjectVisibility(self._catalog)
        return replace(
            history,
            expected=visibility.hide(history.expected),
            observed=visibility.hide(history.observed),
            answer=visibility.hide(history.answer),
            unconfirmed=visibility.hide(history.unconfirmed),
        )

    async def _read_changes(
        self, incident: Incident, subject: DefinedSubject, history: FailureHistory
    ) -> tuple[RecentChange, ...]:
        if subject.entry is None:
            return ()
        job, since = subject.entry.job.name, history.last_good_at or incident.failing_since - _CHANGES_BEFORE
        until = max(incident.opened_at, incident.failing_since)
        found = await self._changes.list_between({job}, max(since, self._catalog.begin_of(job) or since), until)
        visibility = SubjectVisibility(self._catalog)
        return tuple(replace(each, text=visibility.hide(each.text)) for each in found)

    async def _view_members(self, members: Sequence[Member]) -> tuple[MemberView, ...]:
        names = [name for name in dict.fromkeys(member.key.subject for member in members) if name in self._catalog]
        latest: Mapping[str, Run | None] = {
            name: record.run for name, record in (await self._runs.find_latest_of_jobs(names)).items()
        }
        facts = await self._incidents.read_facts(members)
        return tuple(
            MemberView(member, member.key.subject in self._catalog, latest.get(member.key.subject), facts[member.key])
            for member in members
        )


async def _read_entries(read_page: Callable[[str], Awaitable[ListModel[_T]]]) -> tuple[list[_T], bool]:
    """Return the entries, oldest first, and whether these are all."""
    entries: list[_T] = []
    after: str | None = ""
    while after is not None and len(entries) < _MAX_ENTRIES_READ:
        page = await read_page(after)
        entries += page.items
        after = page.next_page
    return entries, after is None


def _build_timeline(
    transitions: Sequence[TransitionModel], decisions: Sequence[DecisionModel]
) -> tuple[TimelineEntry, ...]:
    """Return the transitions and what became of their notifications, the newest first, without repeated attempts."""
    entries = [TimelineEntry(each.at, str(each.kind), each.text, each.actor) for each in transitions]
    entries += [TimelineEntry(each.at, each.code, each.text) for each in decisions if each.code in DELIVERY_RESULTS]
    return tuple(sorted(entries, key=lambda each: each.at))[::-1]
