"""Sends a test message to a notification channel. Called by the API and the command `notify test`."""

from __future__ import annotations

from jobs.incidents.values import Incident
from jobs.problems import format_value
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.alerting.channel_testing import ChannelTestResult, ChannelTestSender
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.errors import NotFound
from scheduler.identity.principal import Caller
from scheduler.stores.alerting.incident_log import IncidentLog

_LATEST = 20
"""Incidents among which the latest one that the caller sees is searched."""


class ChannelTester:
    def __init__(self, catalog: Catalog, incidents: IncidentLog, tester: ChannelTestSender, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._incidents = incidents
        self._tester = tester
        self._audit = audit

    async def send(self, channel: str, incident: str | None = None, *, caller: Caller) -> ChannelTestResult:
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
            return await self._tester.send(channel, model, shown, reason, records_failure=False)

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
