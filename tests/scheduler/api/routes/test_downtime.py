"""GET /api/jobs/{name}/downtime, and the query below it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import scheduler.features.incidents.exclusions
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, TransitionKind
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import JobSnapshot
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START, entry

HOUR = timedelta(hours=1)
JOBS = [
    entry("checkout", tags={"team": "payments"}, alerts=[{}]),
    entry("shop", tags={"team": "shop"}, alerts=[{}]),
    entry("wiki", tags={"team": "payments"}, alerts=[]),
]
OBSERVED = StateChange("checkout", 1, JobStatus.UP, START - 100 * HOUR, Cause("succeeded"))


async def store(client: ApiClient, *members: Member, replaced: Member | None = None) -> str:
    """Store an incident that the first member leads; hours are before now."""
    lead = members[0]
    incident_id = f"{int(lead.fired_at.timestamp() * 1000):013d}-00000001"
    ends = [member.resolved_at for member in members]
    is_open = None in ends
    incident = Incident(
        incident_id,
        0,
        IncidentStatus.OPEN if is_open else IncidentStatus.RESOLVED,
        lead.fired_at,
        members,
        lead.key,
        resolved_at=None if is_open else max(end for end in ends if end is not None),
    )
    step = IncidentStep(None, incident)
    step.add_transition(TransitionKind.OPENED, lead.fired_at, "opened", key=lead.key)
    if replaced is not None:
        step.add_transition(TransitionKind.REOPENED, lead.fired_at, "again", key=lead.key, replaced=replaced)
    rows = client.shop.repositories.engine_rows
    await rows.write((await rows.read()).head, START, [step])
    return incident_id


def failed(begin: float, end: float | None, subject: str = "checkout", **more: Any) -> Member:
    since = START - begin * HOUR
    ended = None if end is None else START - end * HOUR
    key = AlertKey(subject, more.pop("rule", "failed"))
    return Member(key, 1, more.pop("severity", "down"), 20, since, since, "no answer", resolved_at=ended, **more)


async def read(client: ApiClient, job: str = "checkout", **query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/jobs/{job}/downtime", **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@virtual_time
async def test_it_has_the_uptime_the_spans_with_their_incidents_and_what_is_excluded() -> None:
    async with ApiClient(jobs=JOBS) as client:
        window = {"name": "patching", "from": "2026-03-01T06:00", "for": "1h", "counts": False, "select": {"all": True}}
        entries = (DefinedEntry("", MaintenanceWindow.model_validate(window)),)
        client.shop.catalog.replace(JobSnapshot(JOBS, alerting=define_alerting({"windows": entries})))
        await client.shop.changes.write(OBSERVED, "")
        first = await store(client, failed(20, 19, has_replaced=True), replaced=failed(22, 21))
        second = await store(client, failed(5.5, None))
        await store(client, failed(23, None, subject="shop"))
        await store(
            client, failed(10, 8, "scheduler", severity="blind", rule="blind"), failed(10, 8, parent="scheduler")
        )

        found = await read(client, window="24h")

    spans = [(each["from"][11:16], each["to"][11:16], each["incidents"], each["open"]) for each in found["spans"]]
    assert spans == [
        ("14:00", "15:00", [first], False),
        ("16:00", "17:00", [first], False),
        ("07:00", "12:00", [second], True),
    ]
    excluded = [(each["reason"], each["name"], each["from"][11:16], each["to"][11:16]) for each in found["excluded"]]
    assert excluded == [("blind", "", "01:59", "04:00"), ("window", "patching", "06:00", "07:00")]
    assert (found["down_seconds"], found["excluded_seconds"]) == (7 * 3600, 3 * 3600 + 60)
    assert found["uptime"] == round(1 - 7 * 3600 / (21 * 3600 - 60), 6)
    assert (found["rules"], found["complete"]) == (["failed"], True)


@virtual_time
async def test_pauses_requested_windows_and_the_time_before_the_first_run_are_excluded() -> None:
    async with ApiClient(jobs=JOBS) as client:
        changes = client.shop.changes
        up = await changes.write(replace(OBSERVED, at=START - 8 * HOUR), "")
        paused = StateChange(
            "checkout", 2, JobStatus.PAUSED, START - HOUR, Cause("job_paused", "deploy"), "", JobStatus.UP, up.change.at
        )
        await changes.write(paused, up.etag)
        definition = {
            "name": "rollout",
            "from": "2026-03-01T06:00",
            "for": "1h",
            "effect": "pause",
            "select": {"all": True},
        }
        value = RequestedWindow(
            id="1772366400000-0000", window=MaintenanceWindow.model_validate(definition), author="ci", created_at=START
        )
        windows = client.shop.repositories.requested_windows
        await windows.insert(value)
        await windows.archive_ended(START)
        await store(client, failed(2, None))

        found = await read(client, **{"from": "10h"})

    assert [(each["reason"], each["name"] or each["text"]) for each in found["excluded"]] == [
        ("not_observed", ""),
        ("paused", "rollout"),
        ("paused", "deploy"),
    ]
    assert (found["down_seconds"], found["measured_seconds"]) == (3600, 6 * 3600)


@virtual_time
async def test_a_month_ends_now_at_the_latest_and_a_job_without_a_rule_that_counts_is_not_measured() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for job in ("checkout", "wiki"):
            await client.shop.changes.write(replace(OBSERVED, job=job), "")
        month = await read(client, month="2026-03", timezone="Europe/Berlin")
        assert (month["from"], month["to"], month["uptime"]) == ("2026-02-28T23:00:00Z", "2026-03-01T12:00:00Z", 1.0)
        wiki = await read(client, "wiki")
        assert (wiki["uptime"], wiki["rules"], wiki["from"]) == (None, [], "2026-01-30T12:00:00Z")
        assert (await read(client, month="2024-01"))["complete"] is False
        both = await client.get("/api/jobs/checkout/downtime", month="2026-03", window="7d")
        assert both.status_code == 422
        assert (await client.get("/api/jobs/chekout/downtime")).status_code == 404


@virtual_time
async def test_a_limited_caller_sees_its_downtime_without_the_ids_of_incidents_of_others() -> None:
    async with ApiClient(jobs=JOBS, authentication=Authentication(Fixed(PAYMENTS))) as client:
        await client.shop.changes.write(OBSERVED, "")
        await store(client, failed(5, 4, "shop"), failed(5, 4, parent="shop"))
        own = await store(client, failed(3, 2))
        found = await read(client, window="24h")
        assert [each["incidents"] for each in found["spans"]] == [[], [own]]
        assert (await client.get("/api/jobs/shop/downtime")).status_code == 404


@virtual_time
async def test_reads_are_bounded_and_the_result_admits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler.features.incidents.exclusions, "MAX_INCIDENTS_READ", 2)
    monkeypatch.setattr(scheduler.features.incidents.exclusions, "_INCIDENTS_AT_ONCE", 1)
    async with ApiClient(jobs=JOBS) as client:
        await client.shop.changes.write(OBSERVED, "")
        for begin in (9, 7, 5):
            await store(client, failed(begin, begin - 1))
        found = await read(client, window="24h")
    assert (found["complete"], found["down_seconds"]) == (False, 2 * 3600)
