"""Every page is known with its address, and shows a scheduler in use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from scheduler.api.dashboard.rendering.paths import NAVIGATION
from tests.docs.pages import TEXTS
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.page_list import (
    VIEWS,
    LacksExample,
    find_address,
    list_addresses,
    list_templates,
)
from tests.scheduler.api.dashboard.every_page.test_tasks import TASKS
from tests.scheduler.api.dashboard.every_page.world import PLAIN, fill, jobs_of
from tests.scheduler.api.dashboard.page_text import has_inline_code

HTML = {"accept": "text/html"}


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    async with ApiClient(jobs=jobs_of(PLAIN)) as found:
        yield found


def test_every_page_of_the_navigation_is_in_the_list() -> None:
    assert {entry.path for entry in NAVIGATION.values()} <= {*list_templates(), *VIEWS}


def test_a_parameter_without_an_example_is_named() -> None:
    with pytest.raises(LacksExample, match=r"/api/x/\{sort\}: add an example of sort"):
        find_address("/api/x/{sort}", {"name": "checkout"})


def test_the_documentation_lists_the_ten_tasks() -> None:
    section = TEXTS["docs/dashboard.md"].split("## Ten tasks")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(TASKS)


async def test_every_page_shows_a_scheduler_in_use(client: ApiClient) -> None:
    for address in list_addresses(await fill(client)):
        page = await client.request("GET", address, headers=HTML)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), address
        assert not has_inline_code(page.text), address
        assert (page.text.count("<h1"), page.text.count('id="main"')) == (1, 1), address
