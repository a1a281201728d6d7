"""What every page has: its answer to a repeated request, preferences, and files that a browser caches."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/jobs/checkout"


@virtual_time
async def test_an_unchanged_page_is_not_sent_again() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.get(PATH)
        again = await client.request("GET", PATH, headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")


@virtual_time
async def test_a_page_whose_facts_have_changed_is_sent() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.get(PATH)
        await client.perform()
        again = await client.request("GET", PATH, headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 200


async def test_a_page_is_compressed_for_a_browser() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.request("GET", PATH, headers={"accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert page.text.startswith("<!doctype html>")


async def test_preferences_are_stored_in_cookies_and_lead_back() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        address = f"/api/dashboard/preferences?theme=dark&zone=Europe%2FBerlin&next={PATH}&code=KEY"
        stored = await client.request("GET", address)
        cookies = dict(stored.cookies.items())
        page = await client.request(
            "GET", PATH, headers={"cookie": "scheduler_theme=dark; scheduler_zone=Europe/Berlin"}
        )
    assert (stored.status_code, stored.headers["location"]) == (303, f"{PATH}?code=KEY")
    assert cookies == {"scheduler_theme": "dark", "scheduler_zone": '"Europe/Berlin"'}
    assert 'data-theme="dark"' in page.text
    assert re.search(r"as of <time [^>]*>\d\d:\d\d:\d\d Europe/Berlin<", page.text)


async def test_unknown_preferences_are_ignored() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        stored = await client.request(
            "GET", "/api/dashboard/preferences?theme=pink&zone=Mars%2FBase&next=//evil.example"
        )
        page = await client.request("GET", PATH, headers={"cookie": "scheduler_theme=pink; scheduler_zone=../../etc"})
    assert (stored.status_code, stored.headers["location"]) == (303, "/api/dashboard")
    assert "set-cookie" not in stored.headers
    assert "data-theme" not in page.text
    assert "UTC</time>" in page.text


async def test_files_of_this_version_are_cached_and_others_are_not() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.get(PATH)
        (address,) = re.findall(r'href="([^"]*styles\.css)"', page.text)
        current = await client.get(address)
        other = await client.get("/api/dashboard/static/0/styles.css")
    assert current.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert other.headers["cache-control"] == "no-store"
    assert current.text == other.text
    assert "--color-page" in current.text


async def test_scripts_hand_on_the_function_key_to_those_that_they_import() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        script = await client.get("/api/dashboard/static/0/js/main.js", code="a/key=")
        plain = await client.get("/api/dashboard/static/0/js/main.js")
    assert 'from "./refresh.js?code=a%2Fkey%3D";' in script.text
    assert 'from "./refresh.js";' in plain.text
    assert script.headers["content-type"].startswith("text/javascript")


async def test_pages_that_are_not_main_are_in_a_menu_that_is_marked_on_their_pages() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        overview, reference = await client.get("/api/dashboard"), await client.get("/api/docs")
    (menu,) = re.findall(r"<summary>More</summary>(.*?)</details>", overview.text, re.DOTALL)
    assert '<a href="/api/docs" data-page-key="d">API</a>' in menu
    assert 'href="/api/dashboard"' not in menu
    assert '<summary aria-current="true">More</summary>' in reference.text


async def test_all_scripts_are_small() -> None:
    """Less than the 60 kB that a phone may load."""
    from scheduler.api.dashboard.static_files import load_static_files

    files = load_static_files().files
    size = sum(len(gzip.compress(content)) for name, content in files.items() if name.endswith(".js"))
    assert size < 60_000


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("?state=dwn", "query.state: 'dwn' is not allowed"),
        ("/wall?state=dwn", "query.state: 'dwn' is not allowed"),
        ("/runs?outcome=bad", "query.outcome: 'bad' is not allowed"),
        ("/dead-letters?state=bad", "query.state: 'bad' is not allowed"),
        ("/secrets?state=bad", "query.state: 'bad' is not allowed"),
        ("/settings?source=bad", "query.source: 'bad' is not allowed"),
    ],
)
async def test_an_unknown_value_of_a_filter_is_named(address: str, message: str) -> None:
    """It is not ignored: the list would be that of another filter."""
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.request("GET", f"/api/dashboard{address}", headers={"accept": "text/html"})
    assert page.status_code == 400
    assert message in visible_text(page.text)


async def test_a_page_after_the_last_one_shows_the_last_jobs() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        text = visible_text((await client.get("/api/dashboard", page="99")).text)
    assert "http://127.0.0.1:9/" in text
