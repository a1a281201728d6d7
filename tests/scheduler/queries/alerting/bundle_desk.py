"""An incident whose cause a test plants: runs, an audit trail and an incident in the store of an API.

async with BundleDesk() as desk:
    await desk.run(-120, Outcome.SUCCEEDED)
    await desk.run(0, Outcome.FAILED, ErrorClass.DNS_FAILURE, "the name does not exist")
    await desk.open_incident()
    bundle = await desk.read()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import AlertKey, Announcement, Incident, IncidentStatus, Member, TransitionKind
from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run, Ticket, Trigger
from jobs.runs.details import Details
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange, audited
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.incidents.bundle_markdown import render_markdown
from scheduler.features.incidents.bundle_models import MAX_BUNDLE, IncidentBundle
from scheduler.identity.principal import LOCAL_PRINCIPAL, Caller, ChangeSource, Principal
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

ID = "1772366400000-00000001"
KEY = AlertKey("checkout", "failed")
RULES = [{"name": "failed", "runbook": "https://wiki.example.com/checkout"}]
CALLER = Caller(LOCAL_PRINCIPAL, ChangeSource.API)


class BundleDesk:
    """`since`: when the job began to fail. `principal`: of the requests of `client`."""

    def __init__(self, *jobs: CatalogJob, principal: Principal | None = None) -> None:
        authentication = None if principal is None else Authentication(Fixed(principal))
        listed = jobs or (entry(alerts=RULES, tags={"team": "payments"}),)
        self.client = ApiClient(jobs=listed, authentication=authentication)
        self.principal = principal or LOCAL_PRINCIPAL

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        self.since: datetime = self.client.shop.clock.now()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    async def run(
        self,
        seconds: float,
        outcome: Outcome,
        error: ErrorClass | None = None,
        message: str = "",
        *,
        generation: str = "abcdef123456",
        **attempt: Any,
    ) -> str:
        """Store a run that was due so long after `since`. Returns its id."""
        at = self.since + timedelta(seconds=seconds)
        ticket = Ticket.scheduled("checkout", at, generation)
        tried = Attempt(1, at, **{"phases": Phases(total_ms=90.0), "error": error, "message": message, **attempt})
        run = Run(
            ticket.id,
            "checkout",
            Trigger.SCHEDULE,
            outcome,
            ticket.due_at,
            at,
            at + timedelta(milliseconds=90),
            (tried,),
            error,
            message,
            generation=generation,
        )
        await self.client.shop.runs.insert_finished(ticket, run)
        return ticket.id

    async def run_with(self, seconds: float, outcome: Outcome, details: Details, *failed: Any) -> str:
        return await self.run(seconds, outcome, *failed, details=details)

    async def change(self, action: str, summary: str, **state: Any) -> None:
        """Record a change of the job. A test does so between its good and its failing run."""
        shop = self.client.shop
        trail = StoredAuditTrail(shop.audit_log, shop.clock, shop.redactor)
        async with audited(trail, CALLER, AuditedChange(action, "checkout", summary, ("checkout",), **state)):
            pass

    async def open_incident(
        self,
        *others: str,
        key: AlertKey = KEY,
        evidence: str = "3 of 3 runs failed",
        cause: str = "",
        parent: str = "",
        notes: Sequence[str] = (),
        decisions: Sequence[tuple[str, str]] = (("announced", "nothing holds it back"),),
        **values: Any,
    ) -> None:
        now = self.client.shop.clock.now()
        lead = Member(key, 1, "down", 20, now, self.since, evidence)
        members = (lead, *(replace(lead, key=AlertKey(each, "failed"), parent=parent) for each in others))
        announced = (Announcement("mail", 1),)
        empty = Incident(ID, 0, IncidentStatus.OPEN, now, members, key, cause=cause, announced=announced, **values)
        step = IncidentStep(None, empty)
        step.add_transition(TransitionKind.OPENED, now, f"{key.subject}: {evidence}", key=key)
        for member in members[1:]:
            step.add_transition(TransitionKind.JOINED, now, f"{member.key.subject}: {evidence}", key=member.key)
        for note in notes:
            step.add_transition(TransitionKind.NOTE_ADDED, now, note, actor="entra:ada")
        for code, text in decisions:
            step.decide(code, now, text, channel="mail", number="1")
        rows = self.client.shop.repositories.engine_rows
        await rows.write((await rows.read()).head, now, [step])

    async def read(self) -> IncidentBundle:
        """Return the bundle, whose two forms are within their bound."""
        bundle = await self.client.services.incident_reports.read_bundle(self.principal, ID)
        for text in (bundle.model_dump_json(), render_markdown(bundle)):
            assert len(text.encode()) <= MAX_BUNDLE
        return bundle


def tell(bundle: IncidentBundle) -> list[str]:
    """Return what points to the cause, as Markdown has it."""
    text = render_markdown(bundle)
    _, _, rest = text.partition("## Probable cause\n\n")
    return [line.removeprefix("- ") for line in rest.partition("\n\n")[0].splitlines()]
