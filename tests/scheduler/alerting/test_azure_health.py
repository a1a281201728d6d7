"""What Azure reports about the resources of incidents is attached once and when it changes. Nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.checks.azure import health
from jobs.incidents.engine.announcing import ActionRefused
from jobs.incidents.values import AlertDecision, AzureHealth, Incident
from jobs.redaction import Redactor
from scheduler.alerting import azure_health
from scheduler.alerting.azure_health import MAX_ATTACHED, MAX_CHANGES, REPORT_AGE, AzureHealthWatch, attach_health
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.stores.alerting.rows import OUTBOX_PREFIX, list_prefix
from tests.jobs.incidents.world import RULE
from tests.parts.azure_apis import SUBSCRIPTION, AzureHealthApis
from tests.parts.http_server import Answer
from tests.scheduler.alerting.desk import WEB, IncidentDesk, open_desk
from tests.scheduler.alerting.engine_world import WorldFacts
from tests.scheduler.fakes import entry

SHOP = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/Shop"
QUEUE = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ServiceBus/namespaces/bus/queues/orders"


class Room:
    """An incident desk and a watch of its own. `tags`: by job, the resource that it names."""

    def __init__(self, desk: IncidentDesk, azure: AzureHealthApis, resources: dict[str, str], **more: Any) -> None:
        self.desk, self.azure = desk, azure
        tags = {"router": "infra", "checkout": "payments", "search": "web", "seo": "web"}
        named = {name: {"azure_resource": resource} for name, resource in resources.items()}
        jobs = [entry(name, tags={"team": team, **named.get(name, {})}, **more) for name, team in tags.items()]
        self.catalog = Catalog(JobSnapshot(jobs))
        self.redactor = Redactor()
        self.watch = self.restart()

    def restart(self) -> AzureHealthWatch:
        """Another process, which knows what is stored."""
        desk, rows = self.desk, self.desk.stored
        self.runner = EngineRunner(rows.engine_rows, WorldFacts(desk.world), desk.clock)
        changes = IncidentChanges(rows.engine_rows, rows.incident_log, self.runner, desk.clock)
        redact = self.redactor.redact
        self.watch = AzureHealthWatch(
            self.runner, changes, rows.incident_log, self.catalog, self.azure.checks, redact, desk.clock
        )
        return self.watch

    async def fail(self, *subjects: str) -> None:
        await self.desk.fail(*subjects)
        await self.runner.run_pass()

    async def tick(self, after: float = 0.0) -> None:
        self.desk.move(after)
        await self.watch.tick()

    async def incident(self) -> Incident:
        return (await self.desk.stored.incident_log.list_page(limit=1)).incidents[0]

    async def attached(self) -> Sequence[AzureHealth]:
        return (await self.incident()).azure

    async def decisions(self) -> list[AlertDecision]:
        page = await self.desk.stored.incident_log.list_decisions((await self.incident()).id, limit=500)
        return [each for each in page.entries if each.code == "azure_health"]


@asynccontextmanager
async def open_room(folder: Path, resources: dict[str, str] | None = None, **more: Any) -> AsyncIterator[Room]:
    async with open_desk(folder) as desk, AzureHealthApis.open() as azure:
        azure.dependencies.azure_budget._buckets.clear()
        yield Room(desk, azure, {"checkout": SHOP} if resources is None else resources, **more)


async def test_what_azure_reports_is_a_part_of_the_incident_and_a_decision(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.resources[SHOP.lower()] = room.azure.availability(
            "Unavailable", context="Platform Initiated", category="Unplanned", summary="A host <b>failed</b>."
        )
        await room.fail("checkout")
        await room.tick()
        resource, subscription = await room.attached()
        assert resource.state == "Unavailable since 2026-03-01 02:58:00Z (Platform Initiated, Unplanned)"
        assert resource.text == f'Azure Resource Health: Microsoft.Web/sites/Shop: {resource.state}: "A host failed ."'
        assert subscription.text.endswith("no active service issue")
        first, second = await room.decisions()
        assert (first.text, second.text) == (resource.text, subscription.text)
        assert first.inputs == {"resource": SHOP, "state": resource.state}
        assert room.azure.requests[0].query == {"api-version": "2025-05-01"}


async def test_a_user_who_stopped_a_resource_is_named(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.resources[SHOP.lower()] = room.azure.availability(
            "Unavailable", context="Customer Initiated", reasonType="Customer Initiated"
        )
        await room.fail("checkout")
        await room.tick()
        assert (await room.attached())[0].state.endswith("(Customer Initiated)")


async def test_unknown_is_said_to_be_no_failure(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.resources[SHOP.lower()] = room.azure.availability("Unknown", occuredTime=None)
        await room.fail("checkout")
        await room.tick()
        assert (await room.attached())[0].state == "Unknown, which is not a failure"


async def test_only_active_service_issues_are_named(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.events = room.azure.issues("BC_1-FXZ", "A-2", "C", "D")
        await room.fail("checkout")
        await room.tick()
        assert (await room.attached())[1].state == "4 active service issues: A-2, BC_1-FXZ, C and 1 more"
        for answer in (room.azure.issues("M", kind="PlannedMaintenance"), room.azure.issues("R", status="Resolved")):
            room.azure.events = answer
            await room.tick(REPORT_AGE)
            assert (await room.attached())[1].state == "no active service issue"


async def test_nothing_is_attached_again_before_the_report_changes(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        await room.tick()
        await room.tick(REPORT_AGE)
        assert (len(room.azure.requests), len(await room.decisions())) == (4, 2)
        room.azure.resources[SHOP.lower()] = room.azure.availability("Degraded")
        await room.tick(REPORT_AGE)
        assert [each.inputs["state"] for each in await room.decisions()] == [
            "Available",
            "no active service issue",
            "Degraded since 2026-03-01 02:58:00Z",
        ]


async def test_a_report_is_reused_for_minutes(tmp_path: Path) -> None:
    async with open_room(tmp_path, {"checkout": SHOP, "seo": SHOP}) as room:
        await room.fail("checkout")
        for _ in range(10):
            await room.tick(10)
        assert len(room.azure.requests) == 2


async def test_a_restart_attaches_nothing_twice(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        await room.tick()
        room.restart()
        await room.runner.run_pass()
        await room.tick()
        assert (len(room.azure.requests), len(await room.decisions())) == (4, 2)


async def test_two_processes_attach_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        first = room.watch
        second = room.restart()
        await room.runner.run_pass()
        await asyncio.gather(first.tick(), second.tick())
        assert len(await room.decisions()) == 2


async def test_a_state_that_flaps_is_attached_a_limited_number_of_times(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        for turn in range(2 * MAX_CHANGES):
            room.azure.resources[SHOP.lower()] = room.azure.availability(["Available", "Degraded"][turn % 2])
            await room.tick(REPORT_AGE)
        assert len(await room.decisions()) == 1 + MAX_CHANGES + 1


async def test_a_missing_role_is_named(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.resources[SHOP.lower()] = room.azure.refusal(403, "AuthorizationFailed", "object id 'x'")
        await room.fail("checkout")
        await room.tick()
        attached = (await room.attached())[0]
        assert attached.state == ""
        assert "Microsoft.Web/sites/Shop: not known: management.azure.com refused the request (403" in attached.text
        assert f"lacks the role Reader at {SHOP}" in attached.text
        assert (await room.decisions())[0].inputs["state"] == "not known"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AzureHealthApis.refusal(429, "TooManyRequests", retry_after="120"), "throttles (429 TooManyRequests)"),
        (AzureHealthApis.refusal(503, "Busy"), "failed (503 Busy)"),
        (
            AzureHealthApis.refusal(404, "ResourceNotFound"),
            "or Azure does not cover its type (404)",
        ),
        (Answer(body=b"<html>"), "sent no JSON object"),
        (Answer.of_json({"properties": []}), "another form than expected"),
        (Answer.of_json({"properties": {"availabilityState": {"a": 1}}}), "another form than expected"),
        (Answer(reset=True), "not known"),
    ],
)
async def test_what_is_no_answer_is_not_known(tmp_path: Path, answer: Answer, reason: str) -> None:
    async with open_room(tmp_path) as room:
        room.azure.resources[SHOP.lower()] = answer
        await room.fail("checkout")
        await room.tick()
        attached = (await room.attached())[0]
        assert (attached.state, reason in attached.text) == ("", True), attached.text


async def test_not_known_replaces_nothing_and_is_replaced(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.azure.events = room.azure.refusal(500, "Oops")
        await room.fail("checkout")
        await room.tick()
        room.azure.events = room.azure.issues("A")
        room.azure.resources[SHOP.lower()] = room.azure.refusal(500, "Oops")
        await room.tick(REPORT_AGE)
        assert [each.state for each in await room.attached()] == ["Available", "1 active service issue: A"]


async def test_silence_of_azure_holds_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_health, "REQUEST_TIMEOUT", 0.3)
    async with open_room(tmp_path) as room:
        gate = asyncio.Event()
        room.azure.resources[SHOP.lower()] = Answer(gate=gate)
        await room.fail("checkout")
        asking = asyncio.create_task(room.watch.tick())
        await room.azure.wait_for_requests(1)
        room.desk.world.fail("seo")
        await room.desk.passes.write_alerts("seo")
        room.desk.move(60)
        await room.runner.run_pass()  # while Azure is silent
        assert not asking.done()
        assert len(await list_prefix(room.desk.store, OUTBOX_PREFIX)) == 2
        await asking
        gate.set()
        log = room.desk.stored.incident_log
        attached = [one.azure for one in (await log.list_page(limit=9)).incidents if one.lead.subject == "checkout"]
        assert attached[0][0].text.endswith("not known: no answer within 0.3 s")


async def test_hostile_texts_are_one_bounded_line_without_secrets(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.redactor.add_permanent("hunter2-hunter2")
        room.azure.resources[SHOP.lower()] = room.azure.availability(
            "Una\u202evailable\n" * 50,
            context="<script>alert(1)</script>hunter2-hunter2",
            category=["x"],
            summary="a\x00b\r\n## heading hunter2-hunter2 " * 1000,
            occuredTime="9999-99-99",
        )
        room.azure.events = room.azure.issues("<img src=x>\u2028" * 100)
        await room.fail("checkout")
        await room.tick()
        for each in await room.attached():
            assert each.text.isprintable()
            assert len(each.text) <= health.MAX_TEXT
            assert len(each.state) <= 250
            assert "hunter2" not in each.text + each.state
            assert "<script>" not in each.text


async def test_a_queue_that_has_no_health_has_that_of_its_namespace(tmp_path: Path) -> None:
    async with open_room(tmp_path, {"checkout": QUEUE}) as room:
        room.azure.resources[QUEUE.lower()] = room.azure.refusal(422, "UnsupportedResourceType")
        await room.fail("checkout")
        await room.tick()
        assert (await room.attached())[0].text == (
            "Azure Resource Health: Microsoft.ServiceBus/namespaces/bus: Available"
        )


async def test_few_resources_of_an_incident_are_queried_that_of_its_cause_first(tmp_path: Path) -> None:
    names = {name: f"{SHOP}-{name}" for name in ("router", "checkout", "search", "seo")}
    async with open_room(tmp_path, names) as room:
        await room.fail("router", "checkout", "search")
        incident = await room.incident()
        queried = [each.subject for each in azure_health.list_queries(incident, room.catalog)]
        assert queried == [names["router"], names["checkout"], names["search"], SUBSCRIPTION]
        shared = replace(incident, cause=f"resource {names['search'].lower()}")
        assert azure_health.list_queries(shared, room.catalog)[0].subject == names["search"]


@pytest.mark.parametrize(
    "resource", ["orders", "https://evil.example/", "/subscriptions", "/providers/x", "/subscriptions/a b/c", ""]
)
async def test_what_names_no_resource_is_not_queried(tmp_path: Path, resource: str) -> None:
    async with open_room(tmp_path, {"checkout": resource} if resource else {}) as room:
        await room.fail("checkout")
        await room.tick()
        assert (room.azure.requests, list(await room.attached())) == ([], [])


@pytest.mark.parametrize("end", ["/../../vaults/x", "?api-version=1", "#x", "/a b", "//x"])
async def test_an_id_that_leads_elsewhere_is_not_sent(tmp_path: Path, end: str) -> None:
    async with open_room(tmp_path, {"checkout": SHOP + end}) as room:
        await room.fail("checkout")
        await room.tick()
        assert set(room.azure.subjects) <= {SUBSCRIPTION}


async def test_an_incident_whose_members_change_keeps_few_resources(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        incident = await room.incident()
        for turn in range(3 * MAX_ATTACHED):
            reported = AzureHealth(f"{SHOP}-{turn}", incident.lead, "Available", "x", incident.opened_at)
            with suppress(ActionRefused):
                incident = attach_health(incident, incident.opened_at, [reported]).incident
        assert len(incident.azure) == MAX_ATTACHED


async def test_a_tick_sends_few_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name: f"{SHOP}-{name}" for name in ("router", "checkout", "search", "seo")}
    async with open_room(tmp_path, names) as room:
        monkeypatch.setattr(azure_health, "MAX_REQUESTS", 2)
        await room.fail("router", "seo")
        for sent in (2, 4, 4):
            await room.tick()
            assert len(room.azure.requests) == sent


async def test_a_slow_tick_sends_no_further_request(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        room.azure.on_request = lambda: room.desk.move(azure_health.MAX_TICK)
        await room.tick()
        assert len(room.azure.requests) == 1


async def test_without_an_open_incident_nothing_is_read_or_sent(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.runner.run_pass()
        room.watch._incidents = None  # type: ignore[assignment]
        await room.tick()
        assert room.azure.requests == []


async def test_a_resolved_incident_is_not_changed(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.fail("checkout")
        stale = await room.incident()
        await room.desk.recover("checkout")
        await room.watch._handle(stale)
        assert list(await room.attached()) == []


async def test_a_limited_caller_sees_nothing_about_jobs_of_others(tmp_path: Path) -> None:
    async with open_room(tmp_path, {"checkout": SHOP, "search": QUEUE}) as room:
        await room.fail("search", "checkout")
        await room.tick()
        page = await room.desk.stored.incident_log.list_page(limit=5)
        limited = SubjectVisibility(LimitedCatalog(JobSnapshot(list(room.catalog)), WEB))
        shown = [each for one in page.incidents if (found := limited.show_incident(one)) for each in found.azure]
        assert {each.key.subject for each in shown} <= {"search"}
        assert all("Microsoft.Web" not in each.text for each in shown)
        assert RULE in {each.key.rule for each in shown}
