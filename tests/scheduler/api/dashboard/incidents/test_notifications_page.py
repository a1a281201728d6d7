"""The page of notifications: which channels work, and what could not be delivered."""

from __future__ import annotations

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from scheduler.catalog.catalog import JobSnapshot
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.notifications import make_channel
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.incidents.letters import store_letters
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.api.routes.test_incidents import OURS, open_client
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/notifications"


def define_channels(client: ApiClient, *names: str) -> None:
    entries = tuple(
        DefinedEntry(name, make_channel(kind="webhook", url="https://tickets.example.com/hook"), "jobs.yaml:1")
        for name in names
    )
    client.shop.catalog.replace(JobSnapshot([entry()], alerting=define_alerting({"channels": entries})))


async def test_without_a_channel_the_page_says_how_to_define_one() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        text = visible_text(await get_page(client, PATH))

    assert "No channel is defined" in text
    assert "Define a channel in a job file, in alerting.channels" in text


@virtual_time
async def test_what_could_not_be_delivered_comes_first_and_can_be_sent_again() -> None:
    async with open_client() as client:
        define_channels(client, "ahead", "mail")
        await store_letters(client, OURS, 1, 2)
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "1 of 2 channels fails" in text
    assert "mailwebhook failing for 0 sgot 503" in text
    assert "2 lost" in text
    assert f"opened of incident {OURS}, given up now got 503" in text
    assert text.index("mailwebhook") < text.index("aheadwebhook never used")
    assert f"/api/dashboard/incidents/{OURS}" in find_links(page)
    assert 'data-action="POST /api/channels/mail/test"' in page
    assert 'data-action="POST /api/channels/mail/undelivered/retry"' in page
    assert f'data-action="DELETE /api/channels/mail/undelivered/{OURS}.1"' in page
    assert not has_inline_code(page)


@virtual_time
async def test_a_caller_who_may_only_read_is_told_the_roles() -> None:
    viewer = Principal(PrincipalKind.API_KEY, "ada", Role.VIEWER)
    async with open_client(viewer) as client:
        define_channels(client, "mail")
        await store_letters(client, OURS, 1)
        text = visible_text(await get_page(client, PATH))

    assert "Test (role operator)" in text
    assert "Discard (role admin)" in text


@virtual_time
async def test_a_caller_that_is_limited_to_tags_does_not_see_channels() -> None:
    async with open_client(PAYMENTS) as client:
        found = await client.request("GET", PATH, headers={"accept": "text/html"})

    assert found.status_code == 403
