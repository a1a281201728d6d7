"""Attaches to open incidents what Azure reports about the resources of their jobs: setting alerting.azure_health.

    await watch.run()       # embedded host: in the process that leads, until cancelled
    await watch.tick()      # Functions host: after the deliveries of a tick

It runs next to the engine, whose passes and messages never wait for it. A report is a part of the incident and a
decision `azure_health`, written like a person's change: two processes attach it once. Requests are Azure checks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from jobs.checks import Checks
from jobs.checks.azure.health import health_target, read_health, split_id
from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.incidents.engine.announcing import ActionRefused
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import AlertKey, AzureHealth, Incident, IncidentStatus
from jobs.policies.execution import NO_TRACE_CONTEXT
from jobs.ports import Clock
from jobs.redaction import Redact
from jobs.running.clocks import run_with_deadline
from jobs.runs import Observation, Phases
from jobs.targets.azure_apis import CloudName
from scheduler.alerting.causes import find_resource
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges, UnknownIncident
from scheduler.catalog.catalog import Catalog
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.alerting")

INTERVAL, MAX_TICK, REQUEST_TIMEOUT, REPORT_AGE = 10.0, 10.0, 5.0, 300.0
"""Seconds. After MAX_TICK a tick sends no further request; a report is reused for REPORT_AGE, a failure too."""
MAX_INCIDENTS, MAX_REQUESTS = 50, 12
"""Of a tick: the newest open incidents, and requests."""
MAX_RESOURCES, MAX_SUBSCRIPTIONS, MAX_ATTACHED, MAX_CHANGES = 3, 2, 10, 10
"""Of an incident: queried at a time, attached while its members change, and changes of the report about one."""
_MAX_MEMBERS, _MAX_SUBJECT = 500, 300


class HealthQuery(NamedTuple):
    """`subject`: a resource or a subscription. `tags`: of a job that names it: the token may require some."""

    subject: str
    cloud: CloudName
    tags: tuple[tuple[str, str], ...]
    key: AlertKey


def list_queries(incident: Incident, catalog: Catalog) -> list[HealthQuery]:
    """Return what to query about an incident: the resources of its jobs, that of its cause first, and subscriptions."""
    resources: dict[str, HealthQuery] = {}
    for member in sorted(incident.open_members[:_MAX_MEMBERS], key=incident.position_of):
        entry = catalog.find_job(member.key.subject)
        resource = "" if entry is None else find_resource(entry.job)
        if entry is not None and split_id(resource)[0]:
            cloud: CloudName = getattr(entry.job.check, "cloud", "public")
            found = HealthQuery(resource, cloud, tuple(sorted(entry.job.tags.items())), member.key)
            resources.setdefault(resource.lower(), found)
    ordered = sorted(resources, key=lambda name: f"resource {name[:_MAX_SUBJECT]}" != incident.cause)
    chosen = [resources[name] for name in ordered[:MAX_RESOURCES]]
    whole = [each._replace(subject=split_id(each.subject)[0]) for each in chosen]
    subscriptions = {each.subject.lower(): each for each in reversed(whole)}
    specific = [each for each in chosen if "/providers/" in each.subject.lower()]
    return [*specific, *list(subscriptions.values())[-MAX_SUBSCRIPTIONS:]]


def attach_health(incident: Incident, at: datetime, reports: Sequence[AzureHealth]) -> IncidentStep:
    """Attach what is new. Raises ActionRefused: nothing is, or the incident is resolved."""
    step, known = IncidentStep(incident, incident), {each.resource.lower(): each for each in incident.azure}
    for each in reports:
        before = known.get(each.resource.lower())
        if before is None and len(known) >= MAX_ATTACHED:
            continue
        if before is not None and (each.state in ("", before.state) or before.changes >= MAX_CHANGES):
            continue
        known[each.resource.lower()] = replace(each, at=at, changes=0 if before is None else before.changes + 1)
        subject, state = each.resource[:_MAX_SUBJECT], each.state or "not known"
        step.decide("azure_health", at, each.text, key=each.key, resource=subject, state=state)
    if not incident.is_open or not step.decisions:
        raise ActionRefused(f"the incident {incident.id} is resolved, or has this already")
    step.set(azure=tuple(known.values()))
    return step


@dataclass(slots=True)
class AzureHealthWatch:
    """Queries Azure about open incidents."""

    _runner: EngineRunner
    _changes: IncidentChanges
    _incidents: IncidentLog
    _catalog: Catalog
    _checks: Checks
    _redact: Redact
    _clock: Clock
    _reports: dict[tuple[object, ...], tuple[float, tuple[str, str]]] = field(default_factory=dict)
    _requests_left: int = 0
    _until: float = 0.0

    async def run(self) -> None:
        """Tick regularly, until cancelled."""
        while True:
            await self.tick()
            await self._clock.sleep(INTERVAL)

    async def tick(self) -> None:
        """Send the requests that are due, and attach what is new. Raises nothing of the store."""
        if not self._runner.open_by_severity:
            return
        now = self._clock.monotonic()
        self._requests_left, self._until = MAX_REQUESTS, now + MAX_TICK
        self._reports = {key: each for key, each in self._reports.items() if now - each[0] < REPORT_AGE}
        try:
            page = await self._incidents.list_page(status=IncidentStatus.OPEN, limit=MAX_INCIDENTS)
            for incident in page.incidents:
                await self._handle(incident)
        except StoreError as error:
            _log.warning("could not attach Azure's health to incidents: %s; retrying in %g s", error, INTERVAL)

    async def _handle(self, incident: Incident) -> None:
        reports, at = list[AzureHealth](), self._clock.now()
        for query in list_queries(incident, self._catalog):
            report = await self._find_report(query)
            if report is not None:
                reports.append(AzureHealth(query.subject, query.key, *report, at))
        with suppress(ActionRefused, UnknownIncident):
            attach_health(incident, at, reports)  # most often nothing is new
            await self._changes.apply(incident.id, partial(attach_health, reports=reports))

    async def _find_report(self, query: HealthQuery) -> tuple[str, str] | None:
        """Return a recent report; None if this tick must not send more."""
        if (known := self._reports.get(query[:3])) is not None:
            return known[1]
        if self._requests_left <= 0 or self._clock.monotonic() >= self._until:
            return None
        report = await self._request(query)
        self._reports[query[:3]] = self._clock.monotonic(), report
        return report

    async def _request(self, query: HealthQuery) -> tuple[str, str]:
        seen, (_, whole) = await self._observe(query.subject, query), split_id(query.subject)
        if whole and seen.status in (400, 404, 422):
            return read_health(whole, await self._observe(whole, query), self._redact)
        return read_health(query.subject, seen, self._redact)

    async def _observe(self, subject: str, query: HealthQuery) -> Observation:
        self._requests_left -= 1
        call = AttemptContext("azure-health", 1, PhaseClock(), tags=dict(query.tags), telemetry=NO_TRACE_CONTEXT)
        silence = Observation(Phases(), unknown=f"no answer within {REQUEST_TIMEOUT:g} s")
        try:
            target = health_target(subject, query.cloud)
            await asyncio.to_thread(self._checks.prepare, (target,))
            return await run_with_deadline(self._checks.observe(target, call), REQUEST_TIMEOUT, lambda: silence)
        except Exception as error:  # such as an id that leads elsewhere
            return Observation(Phases(), unknown=f"no request was completed: {type(error).__name__}")
        finally:
            call.values.close()
