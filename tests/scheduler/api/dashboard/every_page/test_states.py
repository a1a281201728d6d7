"""Every page without a store and for a caller that may only read: what was last known, and which role is needed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.page_list import list_addresses
from tests.scheduler.api.dashboard.every_page.states import ADMIN, HTML, VIEWER
from tests.scheduler.api.dashboard.every_page.world import PLAIN, fill, jobs_of
from tests.scheduler.api.dashboard.page_text import visible_text

LIMITED = Principal(PrincipalKind.API_KEY, "ada", Role.ADMIN, (("team", "search"),))


class Desk:
    """A scheduler in use, whose caller and store a test replaces."""

    def __init__(self) -> None:
        self.caller = Fixed(ADMIN)
        self.client = ApiClient(jobs=jobs_of(PLAIN), authentication=Authentication(self.caller))
        self.addresses: list[str] = []

    async def page(self, address: str) -> tuple[int, str]:
        """The status and the main text."""
        sent = await self.client.request("GET", address, headers=HTML)
        main = re.search(r"<main.*?</main>", sent.text, re.DOTALL)
        assert main is not None, address
        return sent.status_code, visible_text(main[0])


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    async with desk.client:
        desk.addresses = list_addresses(await fill(desk.client))
        yield desk


async def test_without_a_store_every_page_shows_what_was_last_known_and_since_when(desk: Desk) -> None:
    before = {address: await desk.page(address) for address in desk.addresses}
    assert {status for status, _ in before.values()} == {200}
    desk.client.break_store()

    for address, (_, known) in before.items():
        status, text = await desk.page(address)
        if status == 200:  # it needs no store
            assert len(text) > len(known) / 2, address
            continue
        assert status == 503, address
        assert "the store is away" in text, address
        assert re.search(r"[Ll]ast known state, as of \d\d:\d\d:\d\d", text), address
        assert re.search(r"[Ss]ince \d\d:\d\d:\d\d \(\d", text), address


async def test_a_page_that_was_not_shown_before_reports_the_store(desk: Desk) -> None:
    desk.client.break_store()

    for address in desk.addresses:
        status, text = await desk.page(address)
        assert status == 200 or re.search(r"[Ss]ince \d\d:\d\d:\d\d \(\d+ s\): the store is away", text), address


async def test_another_caller_does_not_get_the_last_known_page(desk: Desk) -> None:
    await desk.page("/api/dashboard/jobs/checkout")
    desk.caller.principal = LIMITED
    desk.client.break_store()

    for address in desk.addresses:
        _, text = await desk.page(address)
        assert "checkout is" not in text, address
        assert PLAIN.target not in text, address


async def test_every_page_that_changes_something_names_the_role_that_a_viewer_lacks(desk: Desk) -> None:
    for address in desk.addresses:
        desk.caller.principal = ADMIN
        sent = await desk.client.request("GET", address, headers=HTML)
        desk.caller.principal = VIEWER
        status, text = await desk.page(address)
        assert status in (200, 403), address
        if status == 403:
            assert re.search(r"needs the role (operator|admin)", text), address
        elif 'data-action="' in sent.text:
            assert re.search(r"the role (operator|admin)|\(role (operator|admin)\)", text), address
            found = await desk.client.request("GET", address, headers=HTML)
            assert not re.search(r"<button[^>]*data-action=", found.text), address
            forms = re.findall(r"<form[^>]*data-action=.*?</form>", found.text, re.DOTALL)
            assert all('aria-disabled="true"' in form for form in forms), address
