"""The routes of incidents, alerts, silences, windows and channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.alerting.alert import Verdict, advance
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    Incident,
    IncidentStatus,
    Member,
    Notification,
    TransitionKind,
)
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import JobSnapshot
from scheduler.identity.principal import Principal
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START, entry

OURS, THEIRS = "1772366400000-00000001", "1772366400000-00000002"
JOBS = [entry("checkout", tags={"team": "payments"}), entry("shop", tags={"team": "shop"})]


async def store_incident(client: ApiClient, incident_id: str, subject: str, *others: str) -> None:
    key = AlertKey(subject, "failed")
    member = Member(key, 1, "down", 20, START, START, "3 of 3 runs failed")
    members = (member, *(replace(member, key=AlertKey(each, "failed")) for each in others))
    announced = (Announcement("mail", 1),)
    empty = Incident(incident_id, 0, IncidentStatus.OPEN, START, members, key, announced=announced)
    step = IncidentStep(None, empty)
    step.add_transition(TransitionKind.OPENED, START, f"{subject}: 3 of 3 runs failed", key=key)
    step.decide("announced", START, "no window and no silence applies", key=key)
    rows = client.shop.repositories.engine_rows
    await rows.write((await rows.read()).head, START, [step])
    alerts = client.shop.repositories.alert_rows
    stored = await alerts.read(key)
    await alerts.write(advance(stored.alert, Verdict(True, "3 of 3 runs failed", START), START), stored.etag)


@asynccontextmanager
async def open_client(principal: Principal | None = None) -> AsyncIterator[ApiClient]:
    """An incident of each of two teams. `principal`: of all requests."""
    authentication = None if principal is None else Authentication(Fixed(principal))
    async with ApiClient(jobs=JOBS, authentication=authentication) as client:
        await store_incident(client, OURS, "checkout")
        await store_incident(client, THEIRS, "shop")
        yield client


@virtual_time
async def test_incidents_are_listed_page_by_page_and_filtered() -> None:
    async with open_client() as client:
        everything = await client.get_all("/api/incidents", "incidents", limit=1)
        assert {each["id"] for each in everything} == {OURS, THEIRS}
        for query in ({"job": "shop"}, {"tag": "team=shop"}):
            found = (await client.get("/api/incidents", **query)).json()["incidents"]
            assert [(each["subject"], each["url"]) for each in found] == [("shop", f"/api/incidents/{THEIRS}")]
        assert (await client.get("/api/incidents", status="resolved")).json() == {"incidents": [], "continuation": None}
        assert (await client.get("/api/incidents", job="shp")).status_code == 404
        wrong = await client.get("/api/incidents", status="closed")
        assert (wrong.status_code, "open" in wrong.json()["detail"]) == (400, True)


@virtual_time
async def test_an_incident_has_members_transitions_channels_and_decisions() -> None:
    async with open_client() as client:
        detail = (await client.get(f"/api/incidents/{OURS}")).json()

        assert (detail["announced"], detail["member_count"], detail["transitions_continuation"]) == (["mail"], 1, None)
        assert [each["evidence"] for each in detail["members"]] == ["3 of 3 runs failed"]
        assert [each["kind"] for each in detail["transitions"]] == ["opened"]
        decisions = (await client.get(f"/api/incidents/{OURS}/decisions")).json()["decisions"]
        assert [(each["code"], each["subject"]) for each in decisions] == [("announced", "checkout")]
        assert (await client.get("/api/incidents/none")).status_code == 404


@virtual_time
async def test_each_member_of_an_incident_has_its_target_and_what_its_failed_run_showed() -> None:
    jobs = [entry("checkout", check={"url": "https://shop.internal/pay?key=c4nary"}, description="Takes the orders")]
    async with ApiClient(answer(503, body=b"no healthy\nupstream"), jobs=jobs) as client:
        await store_incident(client, OURS, "checkout")
        unknown = (await client.get(f"/api/incidents/{OURS}")).json()["members"][0]
        await client.perform()
        response = await client.get(f"/api/incidents/{OURS}")

    assert (unknown["target"], unknown["expected"]) == ("GET https://shop.internal/pay", "")
    (member,) = response.json()["members"]
    facts = [member[name] for name in ("target", "description", "expected", "observed", "answer")]
    assert facts == ["GET https://shop.internal/pay", "Takes the orders", "status 2xx", "503", "no healthy upstream"]
    assert "c4nary" not in response.text


async def test_all_alerts_of_an_incident_are_listed_page_by_page_in_the_order_in_which_they_fired() -> None:
    subjects = ["checkout", *(f"j{number:03}" for number in range(120))]
    async with ApiClient(jobs=[entry(name) for name in subjects]) as client:
        await store_incident(client, OURS, *subjects)
        detail = (await client.get(f"/api/incidents/{OURS}")).json()
        assert (len(detail["members"]), detail["member_count"]) == (50, 121)
        listed: list[str] = []
        path = f"/api/incidents/{OURS}/members?limit=50"
        page = (await client.get(path)).json()
        while page["continuation"]:
            listed += [each["subject"] for each in page["members"]]
            page = (await client.get(f"{path}&continuation={page['continuation']}")).json()
        listed += [each["subject"] for each in page["members"]]
        assert listed == sorted(subjects)
        assert (await client.get(f"{path}&continuation=x")).status_code == 422
        assert (await client.get("/api/incidents/none/members")).status_code == 404


@virtual_time
async def test_an_incident_shows_a_caller_of_one_team_no_target_of_another() -> None:
    jobs = [
        entry("checkout", tags={"team": "payments"}, retry={"attempts": 1}),
        entry("shop", tags={"team": "shop"}, check={"url": "https://theirs.internal/"}, description="theirs"),
    ]
    said = answer(503, body=b"shop is away")
    async with ApiClient(said, jobs=jobs, authentication=Authentication(Fixed(PAYMENTS))) as client:
        await store_incident(client, OURS, "checkout", "shop")
        for job in ("checkout", "shop"):
            await client.perform(job)
        shown = await client.get(f"/api/incidents/{OURS}")
        page = await client.get(f"/api/dashboard/incidents/{OURS}")

    assert [(each["subject"], each["answer"]) for each in shown.json()["members"]] == [
        ("checkout", "another job is away")
    ]
    for text in (shown.text, page.text):
        assert "theirs" not in text
        assert "shop is away" not in text


@virtual_time
async def test_what_people_do_is_answered_with_the_incident() -> None:
    async with open_client() as client:
        snoozed = await client.post_json(f"/api/incidents/{OURS}/snooze", {"for": "2h"})
        assert snoozed.json()["snoozed_until"] == "2026-03-01T14:00:00Z"
        acknowledged = await client.post(f"/api/incidents/{OURS}/acknowledge")
        assert acknowledged.json()["handling"] == "acknowledged by local:loopback at 2026-03-01 12:00:00Z"
        withdrawn = await client.post_json(f"/api/incidents/{OURS}/unacknowledge", {"note": "not mine"})
        assert (withdrawn.json()["handling"], withdrawn.json()["acknowledged_by"]) == ("", "")
        assert (await client.post(f"/api/incidents/{OURS}/unacknowledge")).json() == withdrawn.json()
        assert (await client.post_json(f"/api/incidents/{OURS}/notes", {"note": "restarted"})).status_code == 200
        assert (await client.post(f"/api/incidents/{OURS}/resolve")).json()["status"] == "resolved"

        kinds = [
            each["kind"] for each in (await client.get(f"/api/incidents/{OURS}/transitions")).json()["transitions"]
        ]
        assert kinds == ["opened", "snoozed", "acknowledged", "unacknowledged", "note_added", "resolved"]
        refused = await client.post(f"/api/incidents/{OURS}/acknowledge")
        assert (refused.status_code, "only an open incident" in refused.json()["detail"]) == (409, True)
        assert client.shop.audit.actions[0] == ("incident.snooze", OURS)


@virtual_time
async def test_a_repeated_acknowledgement_with_the_same_key_is_made_once() -> None:
    async with open_client() as client:
        headers = {"idempotency-key": "deploy-1"}
        path = f"/api/incidents/{OURS}/acknowledge"
        first = await client.request("POST", path, headers=headers)
        second = await client.request("POST", path, headers=headers)

        assert (first.status_code, second.status_code, second.headers["idempotent-replayed"]) == (200, 200, "true")
        assert len(client.shop.audit.changes) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        (f"/api/incidents/{OURS}/snooze", {}, 422, "body.until: one of until and for is required"),
        (f"/api/incidents/{OURS}/snooze", {"for": "soon"}, 422, "body.for: 'soon' is not a duration"),
        (f"/api/incidents/{OURS}/snooze", {"untill": "x"}, 400, "until"),
        (f"/api/incidents/{OURS}/notes", {}, 400, "note"),
        (f"/api/incidents/{OURS}/notes", {"note": "x" * 2001}, 400, "2000"),
        ("/api/silences", {"select": {}, "for": "1h"}, 422, "body.select: selects nothing"),
        ("/api/silences", {"select": {"all": True}}, 422, "body.ends_at: one of ends_at and for is required"),
        ("/api/silences", {"for": "1h"}, 400, "select"),
        ("/api/windows", {"select": {"all": True}}, 422, "from requires one of until and for"),
        ("/api/windows", {"select": {"al": True}, "for": "1h"}, 400, "all"),
        ("/api/windows", {"select": {"all": True}, "for": "1h", "only_then": True}, 400, "only_then"),
    ],
)
@virtual_time
async def test_a_wrong_body_is_refused_with_what_to_change(
    path: str, body: dict[str, object], status: int, detail: str
) -> None:
    async with open_client() as client:
        answer = await client.post_json(path, body)

        assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text


@virtual_time
async def test_alerts_that_fire_are_listed() -> None:
    async with open_client() as client:
        alerts = await client.get_all("/api/alerts", "alerts", limit=1)
        assert [(each["subject"], each["status"]) for each in alerts] == [("checkout", "firing"), ("shop", "firing")]
        assert (await client.get("/api/alerts", status="pending", job="shop")).json()["alerts"] == []


@virtual_time
async def test_a_silence_is_created_ended_and_listed() -> None:
    async with open_client() as client:
        body = {"select": {"jobs": "check*"}, "for": "1h", "reason": "work"}
        created = await client.post_json("/api/silences", body)
        path = created.headers["location"]
        await asyncio.sleep(60)
        listed = (await client.get("/api/silences")).json()["silences"]
        ended = (await client.post(f"{path}/end")).json()
        again = await client.post(f"{path}/end")
        deleted = await client.request("DELETE", path)
        await client.shop.repositories.silences.archive_ended(client.shop.clock.now() + timedelta(hours=1))
        old = (await client.get("/api/silences", ended="true")).json()["silences"]

    assert (created.status_code, created.json()["jobs"], created.json()["state"]) == (201, ["checkout"], "active")
    assert created.json()["url"] == path
    assert [(each["select"], each["ends_at"]) for each in listed] == [({"jobs": ["check*"]}, "2026-03-01T13:00:00Z")]
    assert (ended["state"], ended["ends_at"]) == ("ended", "2026-03-01T12:01:00Z")
    assert (again.status_code, deleted.status_code) == (409, 409)
    assert [each["id"] for each in old] == [ended["id"]]


@virtual_time
async def test_a_planned_silence_is_deleted() -> None:
    async with open_client() as client:
        body = {"select": {"all": True}, "starts_at": "2026-03-01T14:00:00Z", "ends_at": "2026-03-01T15:00:00Z"}
        created = await client.post_json("/api/silences", body)
        deleted = await client.request("DELETE", created.headers["location"])
        absent = await client.get(created.headers["location"])

    assert (created.json()["state"], deleted.status_code, absent.status_code) == ("pending", 204, 404)


@virtual_time
async def test_a_window_of_a_pipeline_is_started_and_ended() -> None:
    async with open_client() as client:
        body = {"select": {"tags": {"team": "shop"}}, "for": "30m", "reason": "release 42", "change_id": "CHG0042"}
        started = await client.post_json("/api/windows", body)
        shown = (await client.get(started.headers["location"])).json()
        await asyncio.sleep(60)
        ended = (await client.post(f"{started.headers['location']}/end")).json()
        listed = await client.get_all("/api/windows", "windows", limit=1)

    assert (started.status_code, shown["state"], shown["ends_at"]) == (201, "active", "2026-03-01T12:30:00Z")
    assert started.json()["jobs"] == ["shop"]
    assert shown["name"].startswith("CHG0042-")
    assert shown["definition"]["for"] == "30m"
    assert (ended["state"], ended["ends_at"]) == ("ended", "2026-03-01T12:01:00Z")
    assert [each["id"] for each in listed] == [shown["id"]]


@virtual_time
async def test_windows_of_job_files_are_listed_and_cannot_be_changed() -> None:
    definition = {"name": "patching", "weekly": {"from": "SUN 10:00", "to": "SUN 14:00"}, "select": {"all": True}}
    windows = (DefinedEntry("", MaintenanceWindow.model_validate(definition), "jobs.yaml:7"),)
    async with open_client() as client:
        client.shop.catalog.replace(JobSnapshot(JOBS, alerting=define_alerting({"windows": windows})))
        (listed,) = (await client.get("/api/windows")).json()["windows"]
        shown = (await client.get("/api/windows/patching")).json()
        refused = [
            await client.post("/api/windows/patching/end"),
            await client.request("DELETE", "/api/windows/patching"),
        ]

    assert listed == shown
    assert (listed["id"], listed["origin"], listed["state"]) == (None, "jobs.yaml:7", "active")
    assert (listed["ends_at"], listed["begins_at"]) == ("2026-03-01T14:00:00Z", "2026-03-08T10:00:00Z")
    assert [each.status_code for each in refused] == [409, 409]
    assert "patching is defined in jobs.yaml:7: change it there" in refused[0].json()["detail"]


@virtual_time
async def test_channels_show_what_they_could_not_deliver_which_is_sent_again_or_discarded() -> None:
    async with open_client() as client:
        outbox = client.shop.repositories.outbox_rows
        state = replace(await outbox.read_channel("mail"), failing_since=START, error="got 503", given_up=2)
        letters = tuple(
            UndeliveredNotification(
                Notification(OURS, number, TransitionKind.OPENED, "mail", START), ("mail",), START, "got 503"
            )
            for number in (1, 2)
        )
        await outbox.commit(OutboxChanges(state, dead_letters=letters))
        channel = (await client.get("/api/channels")).json()["channels"][0]
        found = await client.get_all(channel["url"], "undelivered", limit=1)
        discarded = await client.request("DELETE", f"{channel['url']}/{found[0]['id']}")
        retried = (await client.post(f"{channel['url']}/retry")).json()
        nothing = await client.post(f"{channel['url']}/retry")
        unknown = await client.get("/api/channels/mial/undelivered")

    assert (channel["condition"], channel["undelivered"], channel["kind"]) == ("failing", 2, "")
    assert channel["summary"] == "has failed for 0 s: got 503; 2 notifications could not be delivered"
    assert [each["number"] for each in found] == [1, 2]
    assert (discarded.status_code, retried) == (204, {"retried": [f"{OURS}.2"], "skipped": []})
    assert (nothing.status_code, unknown.status_code) == (409, 404)


@virtual_time
async def test_for_a_caller_that_is_limited_to_tags_what_concerns_others_does_not_exist() -> None:
    async with open_client(PAYMENTS) as client:
        listed = [await client.get(f"/api/{name}") for name in ("incidents", "alerts")]
        ours = await client.post(f"/api/incidents/{OURS}/acknowledge")
        theirs = [
            await client.get(f"/api/incidents/{THEIRS}"),
            await client.get(f"/api/incidents/{THEIRS}/decisions"),
            await client.post(f"/api/incidents/{THEIRS}/acknowledge"),
        ]
        silence = await client.post_json("/api/silences", {"select": {"all": True}, "for": "1h"})
        channels = await client.get("/api/channels")
        audit = await client.get("/api/audit")

    assert "shop" not in "".join(each.text for each in listed)
    assert all("checkout" in each.text for each in listed)
    assert [each.status_code for each in theirs] == [404] * 3
    assert (ours.status_code, channels.status_code) == (200, 403)
    assert (silence.json()["limited_to"], silence.json()["jobs"]) == (["team=payments"], ["checkout"])
    assert "shop" not in audit.text
