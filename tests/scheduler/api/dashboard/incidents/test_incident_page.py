"""The page of an incident, to which a message leads: what is down, why, who knows, and what can be done."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    AzureHealth,
    Incident,
    IncidentStatus,
    Member,
    SharedCause,
    TransitionKind,
)
from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.api.routes.test_incidents import OURS, open_client
from tests.scheduler.fakes import START, entry

PATH = f"/api/dashboard/incidents/{OURS}"
RULES = [{"name": "failed", "runbook": "https://wiki.example.com/checkout", "notify": []}]
HOSTILE = "<script>alert(1)</script>"


async def store(
    client: ApiClient, *subjects: str, evidence: str = "3 of 3 runs failed", cause: str = "", rule: str = "failed"
) -> None:
    """Store an incident of these subjects, led by the first one."""
    keys = [AlertKey(subject, rule) for subject in subjects]
    members = tuple(Member(key, 1, "down", 20, START, START + timedelta(seconds=1), evidence) for key in keys)
    announced = (Announcement("mail", 1), Announcement("pager", 1))
    shared = (SharedCause(cause, 2, 9, 1, ("cart",)),) if cause else ()
    incident = Incident(OURS, 0, IncidentStatus.OPEN, START, members, keys[0], announced=announced)
    reported = AzureHealth("/subscriptions/1", keys[0], "Unavailable", f"Azure Resource Health: {HOSTILE}", START)
    step = IncidentStep(None, replace(incident, cause=cause, shared=shared, azure=(reported,) if cause else ()))
    step.add_transition(TransitionKind.OPENED, START, f"{subjects[0]}: {evidence}", key=keys[0])
    sent = {"channel": "mail", "number": "1"}
    failed = {"channel": "pager", "number": "1"}
    step.decide("announced", START, "nothing holds it back", channels="mail, pager")
    step.decide("delivered", START, "delivered to mail", **sent)
    step.decide("given_up", START + timedelta(minutes=1), "could not be delivered: got 503", **failed)
    rows = client.shop.repositories.engine_rows
    await rows.write((await rows.read()).head, START, [step])


@virtual_time
async def test_what_cannot_be_checked_is_not_said_to_be_degraded_or_down() -> None:
    jobs = [entry(alerts=[{"name": "unknown", "when": "unknown", "notify": []}])]
    async with ApiClient(jobs=jobs) as client:
        await store(client, "checkout", evidence="the last 3 runs were unknown", rule="unknown")
        text = visible_text(await get_page(client, PATH))
    assert "checkout cannot be checked since 12:00:01" in text


@virtual_time
async def test_the_page_names_what_is_down_why_and_who_knows() -> None:
    jobs = [entry(retry={"attempts": 1}, alerts=RULES), entry("shop")]
    async with ApiClient(answer(), answer(503), jobs=jobs) as client:
        await client.perform(seconds=-60)
        await client.perform(seconds=5)
        await store(client, "checkout", "shop", cause="host checkout.internal")
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "checkout and 1 more on checkout.internal are down since 12:00:01" in text
    assert "3 of 3 runs failed" in text
    assert "Target GET http://127.0.0.1:9/ Expected status 2xx Observed 503 Common to all host" in text
    assert "2 of 9 jobs on checkout.internal fail, 6 not checked since, fine: cart" in text
    assert f"Azure Resource Health: {HOSTILE}" in text
    assert "notified mail since 12:00:00, 1 message" in text
    assert "not delivered pagercould not be delivered: got 503" in text
    assert "Alerts 2 of 2 open" in text
    assert "Last good run 12:00:00" in text
    assert {
        "https://wiki.example.com/checkout",
        f"/api/dashboard/jobs/checkout?incident={OURS}",
        "/api/dashboard/jobs/shop",
    } <= set(find_links(page))
    assert not has_inline_code(page)


@virtual_time
async def test_the_page_has_what_each_member_checks_expected_and_was_answered() -> None:
    check = {"url": "https://shop.internal/pay?key=c4nary"}
    jobs = [
        entry(retry={"attempts": 1}, description="Takes the orders"),
        entry("shop", retry={"attempts": 1}, check=check),
    ]
    hostile = b"<html><h1>503</h1>" + HOSTILE.encode() + b"&lt;img src=x&gt;\x1b upstream"
    async with ApiClient(answer(503, body=b"no upstream"), answer(503, body=hostile), jobs=jobs) as client:
        await client.perform("checkout", seconds=5)
        await client.perform("shop", seconds=5)
        await store(client, "checkout", "shop")
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "Takes the orders" in text
    assert "Observed 503 The target answered no upstream" in text
    assert "Target GET https://shop.internal/pay Expected status 2xx Observed 503 The target answered 503" in text
    assert "&lt;img src=x&gt;\\x1b upstream" in page
    assert HOSTILE not in page
    assert "c4nary" not in page


@virtual_time
async def test_the_history_has_who_did_what_the_newest_first() -> None:
    async with open_client() as client:
        await client.post_json(f"/api/incidents/{OURS}/notes", {"note": "restarted the gateway"})
        await client.post(f"/api/incidents/{OURS}/acknowledge")
        text = visible_text(await get_page(client, PATH))

    timeline = text[text.index("Timeline") :]
    acknowledged, noted, opened = (
        timeline.index(each)
        for each in (
            "acknowledged acknowledged by local:loopback",
            "note added restarted the gateway",
            "opened checkout",
        )
    )
    assert acknowledged < noted < opened
    assert "by local:loopback" in timeline[noted:opened]
    assert "1 decision with the values that decided" in timeline


@virtual_time
async def test_a_long_history_is_folded() -> None:
    async with open_client() as client:
        for number in range(31):
            await client.post_json(f"/api/incidents/{OURS}/notes", {"note": f"note {number}"})
        page = await get_page(client, PATH)

    folded = visible_text(page[page.index('<details id="earlier">') :])
    assert folded.startswith("2 earlier")
    assert folded.index("note 0") < folded.index("opened checkout")


@virtual_time
async def test_an_open_incident_has_actions_that_the_api_performs() -> None:
    async with open_client() as client:
        page = await get_page(client, PATH)
        await client.post(f"/api/incidents/{OURS}/acknowledge")
        after = await get_page(client, PATH)

    for action in ("acknowledge", "snooze", "notes", "resolve"):
        assert f'data-action="POST /api/incidents/{OURS}/{action}"' in page
    assert 'data-undo="POST /api/silences/{id}/end"' in page
    assert f'data-action="POST /api/incidents/{OURS}/acknowledge"' not in after
    assert "acknowledged by local:loopback" in visible_text(after)


@virtual_time
async def test_a_resolved_incident_has_its_duration_and_no_actions() -> None:
    async with open_client() as client:
        await asyncio.sleep(120)
        await client.post(f"/api/incidents/{OURS}/resolve")
        page = await get_page(client, PATH)

    assert "checkout was down for 2 min" in visible_text(page)
    assert "by local:loopback, although checkout still failed" in visible_text(page)
    assert "data-action" not in page


@virtual_time
async def test_a_caller_who_may_only_read_is_told_the_role() -> None:
    viewer = Principal(PrincipalKind.API_KEY, "ada", Role.VIEWER)
    async with open_client(viewer) as client:
        page = await get_page(client, PATH)

    assert "Acknowledge (role operator)" in visible_text(page)
    assert "data-action" not in page


@virtual_time
async def test_texts_of_targets_and_callers_are_shown_as_text() -> None:
    async with ApiClient(jobs=[entry(tags={"team": HOSTILE})]) as client:
        await store(client, "checkout", evidence=HOSTILE, cause=HOSTILE)
        await client.post_json(f"/api/incidents/{OURS}/notes", {"note": HOSTILE})
        pages = [await get_page(client, path) for path in (PATH, "/api/dashboard/incidents")]

    assert all(HOSTILE not in page for page in pages)
    assert visible_text(pages[0]).count(HOSTILE) >= 4


async def test_an_unknown_incident_is_not_found() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        found = await client.request("GET", PATH, headers={"accept": "text/html"})

    assert (found.status_code, "there is no incident" in found.text.lower()) == (404, True)


@virtual_time
async def test_the_link_of_a_message_leads_to_the_page_after_the_sign_in() -> None:
    from tests.scheduler.api.access.test_tag_limits import AuthenticationMode

    class Nobody(Fixed):
        async def authenticate(self, request: object) -> None:  # type: ignore[override]
            return None

    nobody = Nobody(Principal(PrincipalKind.API_KEY, "nobody", Role.VIEWER))
    assert nobody.mode is AuthenticationMode.OWN
    async with ApiClient(jobs=[entry()], authentication=Authentication(nobody)) as client:
        sent = await client.request("GET", PATH, headers={"accept": "text/html"}, follow_redirects=False)

    assert (sent.status_code, sent.headers["location"]) == (
        303,
        f"/api/dashboard/sign-in?next={PATH.replace('/', '%2F')}",
    )
