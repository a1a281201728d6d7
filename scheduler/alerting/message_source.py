"""What a message contains in addition to its incident: from the definitions in force, the runs and the audit trail.

Implements scheduler.alerting.delivery.rendering.MessageSource. The message is more important than its details: what
cannot be read, or not soon enough, is omitted.

    source = DefinitionMessageSource(catalog, runs, audit_log, incident_log, histories, public_url="https://...")
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from jobs.definition.alerting_section import DEFAULT_TEMPLATES
from jobs.expectations.health.document import list_missing
from jobs.incidents.downtime import counts_as_downtime
from jobs.incidents.values import Incident, Suppression, Transition, TransitionKind
from jobs.notifications.templates.definition import TemplatesSection
from jobs.notifications.templates.incident_message import MessageDetails
from jobs.notifications.templates.titles import format_clock
from scheduler.alerting.delivery.rendering import MessageTemplates
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.features.incidents.facts import (
    FailureHistory,
    RecentChange,
    RecentChanges,
    find_subject,
    read_failure_history,
)
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.audit import AuditLog
from scheduler.stores.changes import HealthHistories
from scheduler.stores.port import StoreError
from scheduler.stores.runs.reading import RunReads

LOG = logging.getLogger("scheduler.alerting")

INCIDENT_PAGE = "/api/dashboard/incidents"
"""The path of the page of an incident, which scheduler.api.dashboard serves."""
READ_TIMEOUT = 5.0
"""Seconds for the details of a message. What was not read then is omitted."""
_MAX_CHANGE_SPAN = timedelta(hours=1)
"""Before the failure, for changes of a job without a good run."""
_DECISIONS_PAGE, _MAX_PAGES = 200, 10
_AT_ONCE = timedelta(seconds=2)

_T = TypeVar("_T")
_NO_TEMPLATES = TemplatesSection()


class DefinitionMessageSource:
    """`public_url`: of the program, without a path of an incident; empty: messages have no link.

    `redact`: for texts of definitions, such as a URL whose path is the value of a secret.
    """

    def __init__(
        self,
        catalog: Catalog,
        runs: RunReads,
        audit_log: AuditLog | None,
        incidents: IncidentLog,
        health_histories: HealthHistories,
        *,
        public_url: str = "",
        redact: Callable[[str], str] = str,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._changes = None if audit_log is None else RecentChanges(audit_log)
        self._incidents = incidents
        self._health_histories = health_histories
        self._public_url = public_url.rstrip("/")
        self._redact = redact

    async def read_details(self, incident: Incident, transition: Transition, channel: str) -> MessageDetails:
        """Return what is known, soon. Raises nothing."""
        zone = self.find_templates(channel).zone
        subject = find_subject(self._catalog.snapshot, incident.leading.key)
        history, held_back, missing = FailureHistory(), "", ""
        changes: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                held_back = await _degrading(
                    "the decisions", lambda: self._read_held_back(incident, transition, zone), ""
                )
                missing = await _degrading("the entries", lambda: self._list_missing(subject.entry, incident), "")
                if transition.kind is not TransitionKind.RESOLVED and subject.entry is not None:
                    history = await _degrading(
                        "the runs", lambda: read_failure_history(self._runs, incident, subject), history
                    )
                    changes = await self._read_changes(incident, transition, subject.entry, history, zone)
        except TimeoutError:
            LOG.warning("could not read the details of a message about %s within %g s", incident.id, READ_TIMEOUT)
        return MessageDetails(
            target=subject.describe_target(history.step, self._redact),
            description=subject.describe_job(self._redact),
            expected=history.expected,
            observed=history.observed,
            answer=history.answer,
            last_good_at=history.last_good_at,
            changes=changes,
            missing=missing,
            tags=subject.tags or history.tags,
            runbook=subject.runbook,
            link=self.find_link(incident.id),
            also_notified=_list_others(incident, channel),
            zone=zone,
            held_back=held_back,
            is_downtime=_is_downtime(self._catalog.snapshot, incident),
            is_unknown=subject.is_about_unknown_runs,
            unconfirmed=history.unconfirmed,
        )

    def find_templates(self, channel: str) -> MessageTemplates:
        templates = self._catalog.snapshot.alerting.templates
        default = templates.get(DEFAULT_TEMPLATES, _NO_TEMPLATES)
        own = templates.get(channel, default)
        zone = own.timezone or default.timezone
        return MessageTemplates(
            own.title or default.title, own.text or default.text, UTC if zone is None else zone.info
        )

    def find_link(self, incident: str) -> str:
        return f"{self._public_url}{INCIDENT_PAGE}/{incident}" if self._public_url else ""

    def find_target(self, incident: Incident) -> str:
        return find_subject(self._catalog.snapshot, incident.leading.key).describe_target(redact=self._redact)

    async def _list_missing(self, entry: CatalogJob | None, incident: Incident) -> str:
        """Return the entries that the job has not reported any more since it fails: one of them can resolve it."""
        if entry is None or (rules := entry.job.entry_rules) is None:
            return ""
        stored = await self._health_histories.read(entry.job.name)
        return "" if stored is None else self._redact(list_missing(stored.history, incident.failing_since, rules))

    async def _read_changes(
        self, incident: Incident, transition: Transition, entry: CatalogJob, history: FailureHistory, zone: tzinfo
    ) -> tuple[str, ...]:
        since = history.last_good_at or incident.failing_since - _MAX_CHANGE_SPAN
        reader = self._changes
        changes: list[RecentChange] = []
        if reader is not None:
            until = max(transition.at, incident.failing_since)
            changes = await _degrading(
                "the audit trail", lambda: reader.list_between({entry.job.name}, since, until), changes
            )
        texts = [each.describe(transition.at, zone) for each in changes]
        # Files that changed while no process ran are not in the trail.
        if history.is_redefined and not any(each.is_definition for each in changes):
            texts.insert(0, f"the definition of the job ({entry.origin})")
        return tuple(texts)

    async def _read_held_back(self, incident: Incident, transition: Transition, zone: tzinfo) -> str:
        """Return until when and by what the opening was held back; empty if it was not."""
        is_opening = transition.kind in (TransitionKind.OPENED, TransitionKind.REOPENED)
        at_once = incident.notified_at is not None and incident.notified_at - transition.at < _AT_ONCE
        if not is_opening or at_once:
            return ""
        after = ""
        for _ in range(_MAX_PAGES):
            page = await self._incidents.list_decisions(incident.id, limit=_DECISIONS_PAGE, after=after)
            for decision in page.entries:
                if decision.code == "released" and decision.suppression is not None and decision.at >= transition.at:
                    return _describe_held(decision.suppression, decision.at, zone)
            if not page.continuation:
                break
            after = page.continuation
        return ""


async def _degrading(what: str, read: Callable[[], Coroutine[Any, Any, _T]], otherwise: _T) -> _T:
    try:
        return await read()
    except StoreError as error:
        LOG.warning("could not read %s for a message: %s; the message is sent without them", what, error)
        return otherwise


def _is_downtime(snapshot: JobSnapshot, incident: Incident) -> bool:
    """Return whether the time of the leading alert counts as downtime, or is not known to be none."""
    rule = find_subject(snapshot, incident.leading.key).rule
    return rule is None or counts_as_downtime(rule, snapshot.alerting.severities)


def _list_others(incident: Incident, channel: str) -> tuple[str, ...]:
    """Return the other channels that receive the messages of the incident."""
    return tuple(dict.fromkeys(each.channel for each in incident.announced if each.channel != channel))


def _describe_held(suppression: Suppression, until: datetime, zone: tzinfo) -> str:
    """Format as `until 06:00 by the window patching: CHG0042`."""
    reason = f": {suppression.reason}" if suppression.reason else ""
    return f"until {format_clock(until, until, zone)} by the {suppression.title}{reason}"
