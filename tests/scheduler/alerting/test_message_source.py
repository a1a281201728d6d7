"""scheduler/alerting/message_source.py: what a message contains in addition to its incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from jobs.alerting.groups import AlertGroup
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.expectations import Expectation, judge
from jobs.incidents.values import (
    Announcement,
    Incident,
    Notification,
    Suppression,
    SuppressionKind,
    Transition,
    TransitionKind,
)
from jobs.model_base import FILE_CONTEXT
from jobs.notifications.templates.definition import TemplatesSection
from jobs.notifications.templates.incident_message import make_message
from jobs.redaction import Redactor
from jobs.runs import Attempt, Observation, Outcome, Phases, Run, Ticket
from jobs.runs.details import Details, EntryStatus, StepDetail, StepOutcome
from jobs.runs.outcomes import ReasonCode
from jobs.runs.run import Failure
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.audit import AuditLog
from scheduler.stores.changes import HealthHistories
from scheduler.stores.runs.repository import Runs
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, World
from tests.jobs.runs.test_health_history import DOWN, UP, after, ended
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.alerting.passes import StoredPasses
from tests.scheduler.stores.memory import MemoryData, MemoryStore

RULES = [{"name": "failed", "runbook": "https://wiki.example.com/checkout"}]


class Desk:
    """A job that fails at 03:00, over one store."""

    def __init__(self, alerting: AlertingDefinitions | None = None, **job: Any) -> None:
        self.data = MemoryData()
        self.store = MemoryStore(self.data)
        self.passes = StoredPasses(self.store, World())
        self.clock = VirtualClock(self.world.now)
        self.audit_log = AuditLog(self.store)
        job = {"alerts": RULES, "tags": {"team": "payments"}} | job
        snapshot = JobSnapshot([entry(**job)], alerting=alerting or AlertingDefinitions())
        self.catalog = Catalog(snapshot)
        self.runs = Runs(self.store)
        self.redactor = Redactor()
        self.source = DefinitionMessageSource(
            self.catalog,
            self.runs,
            self.audit_log,
            IncidentLog(self.store),
            HealthHistories(self.store),
            public_url="https://scheduler.example.com/",
            redact=self.redactor.redact,
        )

    @property
    def world(self) -> World:
        return self.passes.world

    async def run(
        self,
        before: timedelta,
        *failures: Failure,
        generation: str = "abc",
        message: str = "",
        outcome: Outcome | None = None,
        reason: ReasonCode | None = None,
        **attempted: Any,
    ) -> None:
        """Store a run that was due so long before now. `attempted`: of its attempt; a rejected run has none."""
        due_at = self.world.now - before
        outcome = outcome or (Outcome.FAILED if failures or message else Outcome.SUCCEEDED)
        ticket = Ticket.scheduled("checkout", due_at, generation)
        attempt = Attempt(1, due_at, Phases(1, 1, None, 1, 1), failures=failures, message=message, **attempted)
        run = Run(
            ticket.id,
            "checkout",
            ticket.trigger,
            outcome,
            due_at,
            due_at,
            due_at + SECOND,
            () if outcome is Outcome.REJECTED else (attempt,),
            message=message,
            reason=reason,
            generation=generation,
        )
        await self.runs.insert_finished(ticket, run)

    async def change(self, before: timedelta, action: str, summary: str, after: dict[str, Any] | None = None) -> None:
        self.clock.move((self.world.now - before - self.clock.now()).total_seconds())
        trail = StoredAuditTrail(self.audit_log, self.clock, Redactor())
        await trail.record(API_CALLER, AuditedChange(action, "checkout", summary, ("checkout",), after=after))

    async def open(self, subject: str = "checkout") -> tuple[Incident, Transition]:
        self.world.fail(subject)
        await self.passes.write_alerts(subject)
        self.world.now += 10 * SECOND
        return await self.run_pass()

    async def run_pass(self) -> tuple[Incident, Transition]:
        (step,) = (await self.passes.run()).steps
        transitions = (await IncidentLog(self.store).list_transitions(step.incident.id, limit=9)).entries
        return step.incident, transitions[-1]


STATUS = Failure("status", "200", "503")


async def test_a_message_has_what_was_expected_and_observed_last() -> None:
    desk = Desk()
    await desk.run(5 * MINUTE)
    await desk.run(1 * MINUTE, replace(STATUS, observed="500"))
    await desk.run(30 * SECOND, STATUS)
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert (details.expected, details.observed) == ("status 200", "503")
    assert details.last_good_at == desk.world.now - 5 * MINUTE - 9 * SECOND
    assert details.tags == {"team": "payments"}
    assert details.runbook == "https://wiki.example.com/checkout"


async def test_a_failure_without_expectations_has_the_message_of_its_run() -> None:
    desk = Desk()
    await desk.run(30 * SECOND, message="Connection refused.")
    assert (await desk.source.read_details(*await desk.open(), "mail")).observed == "Connection refused."


async def test_a_message_names_the_target_the_job_s_purpose_and_the_answer() -> None:
    desk = Desk(check={"url": "https://shop.internal/pay?key=c4nary"}, description="Takes\nthe orders")
    await desk.run(30 * SECOND, STATUS, body="<html><h1>503 Unavailable</h1>\x1b")
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert (details.target, details.description) == ("GET https://shop.internal/pay", "Takes the orders")
    assert details.answer == "503 Unavailable \\x1b"


async def test_a_message_about_several_steps_names_the_request_that_failed() -> None:
    steps = [{"name": "log in", "url": "https://shop.internal/login"}, {"name": "pay", "url": "/pay", "method": "POST"}]
    desk = Desk(check={"kind": "steps", "steps": steps})
    seen = (StepDetail("log in", 200, 1.0), StepDetail("pay", 503, 1.0, StepOutcome.FAILED))
    await desk.run(30 * SECOND, STATUS, details=Details(steps=seen))
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert details.target == "pay: POST https://shop.internal/pay"


async def test_a_secret_in_the_path_of_a_url_is_redacted_in_messages() -> None:
    desk = Desk(check={"url": "https://hooks.internal/services/c4nary-5ecret"}, description="Uses c4nary-5ecret")
    desk.redactor.add_permanent("c4nary-5ecret")
    incident, transition = await desk.open()
    details = await desk.source.read_details(incident, transition, "mail")
    assert (details.target, details.description) == ("GET https://hooks.internal/services/***", "Uses ***")
    assert desk.source.find_target(incident) == details.target


async def test_a_run_that_reached_the_target_explains_more_than_one_that_the_circuit_rejected() -> None:
    desk = Desk()
    await desk.run(50 * SECOND, STATUS, body="no healthy upstream")
    await desk.run(30 * SECOND, message="Rejected: the circuit is open.", outcome=Outcome.REJECTED)
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert (details.observed, details.answer) == ("503", "no healthy upstream")


async def test_a_group_has_no_target() -> None:
    group = AlertGroup.model_validate({"jobs": {"tags": {"app": "shop"}}, "alerts": RULES}, context=FILE_CONTEXT)
    desk = Desk(define_alerting({"groups": (DefinedEntry("shop", group),)}))
    details = await desk.source.read_details(*await desk.open("shop"), "mail")
    assert (details.target, details.description, details.answer) == ("", "", "")


async def test_the_cause_that_a_health_document_names_is_in_the_message() -> None:
    desk = Desk()
    await desk.run(5 * MINUTE)
    report = b'{"status": "Unhealthy", "entries": {"cosmosdb": {"status": "Unhealthy", "description": "timeout"}}}'
    entries: TypeAdapter[tuple[Expectation, ...]] = TypeAdapter(tuple[Expectation, ...])
    answer = Observation(Phases(), 503, body=report)
    await desk.run(30 * SECOND, *judge(answer, entries.validate_python([{"health": "aspnet"}])))
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert (details.expected, details.observed) == (
        "health no failing entry",
        "Unhealthy because of cosmosdb (timeout)",
    )


async def test_a_long_failure_finds_the_last_good_run() -> None:
    desk = Desk()
    await desk.run(3 * HOUR)
    for minute in range(2, 50):
        await desk.run(minute * MINUTE, message="Connection refused.")
    await desk.runs.enqueue(Ticket.scheduled("checkout", desk.world.now, "abc"))
    incident, transition = await desk.open()
    key = replace(incident.members[0], failing_since=desk.world.now - 2 * HOUR)
    details = await desk.source.read_details(replace(incident, members=(key,)), transition, "mail")
    assert details.last_good_at == desk.world.now - 3 * HOUR - 9 * SECOND


async def test_a_link_names_the_incident() -> None:
    desk = Desk()
    incident, transition = await desk.open()
    details = await desk.source.read_details(incident, transition, "mail")
    assert details.link == f"https://scheduler.example.com/api/dashboard/incidents/{incident.id}"


async def test_changes_since_the_last_good_run_are_listed_with_their_authors() -> None:
    desk = Desk()
    await desk.run(10 * MINUTE)
    await desk.change(20 * MINUTE, "job.patch", "job checkout was patched")
    await desk.change(8 * MINUTE, "job.run", "run 42 was queued")
    await desk.change(5 * MINUTE, "job.patch", "job checkout was patched")
    mark = {"reason": "release 42", "change_id": "CHG0042"}
    await desk.change(2 * MINUTE, "window.create", "maintenance window rollout of 1 jobs was created", mark)
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert details.changes == (
        "02:55 job checkout was patched by local:loopback",
        "02:58 maintenance window rollout of 1 jobs was created (release 42, CHG0042) by local:loopback",
    )


async def test_a_definition_that_changed_while_no_process_ran_is_named() -> None:
    desk = Desk()
    await desk.run(5 * MINUTE, generation="old")
    await desk.run(30 * SECOND, STATUS, generation="new")
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert details.changes == ("the definition of the job (jobs.yaml:1)",)


async def test_the_other_channels_are_named() -> None:
    desk = Desk()
    incident, transition = await desk.open()
    announced = (Announcement("mail", 1), Announcement("chat", 1))
    details = await desk.source.read_details(replace(incident, announced=announced), transition, "mail")
    assert details.also_notified == ("chat",)


async def test_an_opening_that_was_held_back_names_by_what_and_until_when() -> None:
    desk = Desk()
    desk.world.suppressions["checkout"] = Suppression(SuppressionKind.WINDOW, "patching", "CHG0042")
    await desk.open()
    del desk.world.suppressions["checkout"]
    desk.world.now += 3 * HOUR
    details = await desk.source.read_details(*await desk.run_pass(), "mail")
    assert details.held_back == "until 06:00 by the window patching: CHG0042"


async def test_without_the_store_a_message_has_what_is_defined(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    await desk.run(30 * SECOND, STATUS)
    incident, transition = await desk.open()
    desk.store.breaks_after = 0
    details = await desk.source.read_details(incident, transition, "mail")
    assert (details.observed, details.changes, details.tags) == ("", (), {"team": "payments"})
    assert "could not read the runs for a message" in caplog.text


async def test_a_group_has_its_own_tags_and_runbook() -> None:
    written = {"jobs": {"tags": {"app": "shop"}}, "tags": {"team": "shop"}, "alerts": RULES}
    group = AlertGroup.model_validate(written, context=FILE_CONTEXT)
    desk = Desk(define_alerting({"groups": (DefinedEntry("shop", group),)}))
    details = await desk.source.read_details(*await desk.open("shop"), "mail")
    assert (details.tags, details.runbook) == ({"team": "shop"}, "https://wiki.example.com/checkout")


async def test_templates_of_a_channel_precede_the_default() -> None:
    sections = {"default": {"title": "A", "text": "B", "timezone": "Europe/Berlin"}, "mail": {"title": "C"}}
    parts = tuple(DefinedEntry(name, TemplatesSection.model_validate(one)) for name, one in sections.items())
    desk = Desk(define_alerting({"templates": parts}))
    mail, chat = desk.source.find_templates("mail"), desk.source.find_templates("chat")
    assert (mail.title, mail.text, chat.title, chat.text) == ("C", "B", "A", "B")
    details = await desk.source.read_details(*await desk.open(), "mail")
    assert str(details.zone) == "Europe/Berlin"


UNKNOWN = {"outcome": Outcome.SKIPPED, "reason": ReasonCode.UNKNOWN, "message": "403: grant Reader on /queues."}


async def test_an_alert_about_unknown_runs_says_how_to_mend_it_and_never_down() -> None:
    desk = Desk(alerts=[{"when": "unknown", "name": "failed", "severity": "down"}])
    await desk.run(5 * MINUTE)
    await desk.run(30 * SECOND, **UNKNOWN)  # type: ignore[arg-type]
    incident, transition = await desk.open()
    details = await desk.source.read_details(incident, transition, "mail")
    assert (details.is_unknown, details.observed, details.unconfirmed) == (True, UNKNOWN["message"], "")
    note = Notification(incident.id, transition.number, TransitionKind.OPENED, "mail", transition.at)
    message = make_message(incident, transition, note, details)
    assert message.title.startswith("CANNOT CHECK checkout since ")
    assert "Observed: 403: grant Reader on /queues." in message.text
    assert "Whether the target is up or down is unknown until it can be checked again." in message.text
    assert [label for label, _ in message.facts if label.startswith("Unknown")] == ["Unknown since", "Unknown for"]


async def test_an_alert_about_failures_cannot_be_confirmed_while_runs_are_unknown() -> None:
    desk = Desk()
    await desk.run(30 * SECOND, STATUS)
    await desk.run(1 * SECOND, **UNKNOWN)  # type: ignore[arg-type]
    incident, transition = await desk.open()
    details = await desk.source.read_details(incident, transition, "mail")
    assert (details.observed, details.unconfirmed) == ("503", UNKNOWN["message"])
    note = Notification(incident.id, transition.number, TransitionKind.REMINDED, "mail", transition.at)
    text = make_message(incident, transition, note, details).text
    assert "This cannot be confirmed now, because the newest run is unknown: 403: grant Reader on /queues." in text


def reported(at: datetime, **statuses: EntryStatus) -> Run:
    run = ended(0, **statuses)
    return replace(run, due_at=at, finished_at=at)


@pytest.mark.parametrize("kind", [TransitionKind.OPENED, TransitionKind.RESOLVED])
async def test_a_message_names_the_entries_that_vanished_since_the_failure(kind: TransitionKind) -> None:
    desk = Desk(expect=[{"health": "auto"}])
    await desk.run(30 * SECOND, STATUS)
    incident, transition = await desk.open()
    before, since = incident.failing_since - MINUTE, incident.failing_since
    history = after(
        reported(before - MINUTE, old=UP, mail=UP, s3cret=UP, orders=DOWN),
        reported(before, mail=UP, s3cret=UP, orders=DOWN),
        reported(since),
    )
    await HealthHistories(desk.store).write(history, "")
    desk.redactor.add_permanent("s3cret")
    transition = replace(transition, kind=kind)
    details = await desk.source.read_details(incident, transition, "mail")
    note = Notification(incident.id, transition.number, kind, "mail", transition.at)
    facts = dict(make_message(incident, transition, note, details).facts)
    assert facts["No longer reported"] == "orders (was down), mail, ***"


@pytest.mark.parametrize("counts", [False, True])
async def test_an_incident_is_downtime_if_a_rule_counts(counts: bool) -> None:
    desk = Desk(alerts=[{"name": "failed", "counts_as_downtime": counts}])
    assert (await desk.source.read_details(*await desk.open(), "mail")).is_downtime is counts
