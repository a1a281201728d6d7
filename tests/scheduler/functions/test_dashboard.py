"""Every page of the dashboard in Microsoft's worker: as on the embedded host, with a function key or without."""

from __future__ import annotations

import re
import sys
from copy import copy
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from scheduler.api.app import create_api
from scheduler.api.description.examples import RequestExample
from scheduler.authentication.port import open_authentication
from scheduler.stores.dead_letters import DeadLetter
from tests.parts.api_alerting import INCIDENT_ID, prepare_alerting
from tests.parts.http_target import HttpTarget
from tests.scheduler.api.dashboard.every_page.page_list import list_addresses
from tests.scheduler.api.dashboard.page_text import find_links, visible_text
from tests.scheduler.functions.hosted import Hosted, write_jobs

HTML = {"accept": "text/html"}
KEY = "code=key-of-read"
TIMES = re.compile(r"\d+ (d|h|min|s)\b|\d\d:\d\d(:\d\d)?|\d+(\.\d+)? m?s\b|\b(now|ago|in)\b|\d+ (runs?|jobs?)")
NAMES_THE_CALLER = "/api/dashboard/settings"
STATIC = "/api/dashboard/static/"


@pytest.fixture
def jobs(tmp_path: Path, target: HttpTarget) -> Path:
    """A job that is down, with a circuit, and one that waits for it."""
    target.on("/down", 503)
    check = {"kind": "http", "url": f"{target.url}/down"}
    circuit = {"consecutive_failures": 5, "open_for": "10m"}
    failing = {"check": check, "circuit": circuit, "retry": {"attempts": 1}, "tags": {"team": "payments"}}
    write_jobs(tmp_path / "jobs", checkout=failing, reports={"check": check, "schedule": "0 0 3 * * *"})
    return tmp_path / "jobs"


async def prepare(hosted: Hosted) -> dict[str, str]:
    """Let something of everything exist. Return an example of each parameter of a page."""
    await hosted.worker.http("POST", "/api/jobs/checkout/run", key="operate")
    await hosted.deliver()
    paused = await hosted.worker.http("POST", "/api/jobs/reports/pause", key="operate", body={"reason": "a release"})
    assert paused.status == 200
    (run,) = (await hosted.worker.http("GET", "/api/runs?job=checkout", key="read")).json()["runs"]
    record = await hosted.runs.find(run["id"])
    assert record is not None
    now = datetime.now(UTC)
    letter = DeadLetter.from_ticket(record.ticket, "the worker ended 3 times", now, 3)
    await hosted.dead_letters.add(letter)
    request = RequestExample("get_incident", "read", "GET", "/api/incidents/{incident_id}", "")
    await prepare_alerting(hosted.store, request, "checkout", now)
    values = {"name": "checkout", "run_id": run["id"], "letter_id": letter.id, "incident_id": INCIDENT_ID}
    return values | {"key": "checkout", "number": "1"}


def main_text(page: str) -> str:
    main = re.search(r"<main.*?</main>", page, re.DOTALL)
    assert main is not None
    return " ".join(TIMES.sub("", visible_text(main[0])).split())


async def test_every_page_is_the_same_as_on_the_embedded_host(hosted: Hosted) -> None:
    addresses = list_addresses(await prepare(hosted))
    program = (await sys.modules["scheduler.hosts.functions"].host._get_loader().load()).program
    program = copy(program)
    program.authentication = open_authentication()
    embedded = httpx.ASGITransport(create_api(program))
    files: set[str] = set()
    async with httpx.AsyncClient(transport=embedded, base_url="http://127.0.0.1") as client:
        for address in addresses:
            with_key = f"{address}{'&' if '?' in address else '?'}{KEY}"
            page = await hosted.worker.http("GET", with_key, key="read", headers=HTML)
            expected = await client.get(address, headers=HTML)

            assert (page.status, expected.status_code) == (200, 200), address
            if address != NAMES_THE_CALLER:
                assert main_text(page.body.decode()) == main_text(expected.text), address
            links = [link for link in find_links(page.body.decode()) if link.startswith("/")]
            assert [link for link in links if KEY not in link] == [], address
            files |= {link for link in links if link.startswith(STATIC)}
            assert (await hosted.worker.http("GET", address, headers=HTML)).status == 401

    for file in files:
        assert (await hosted.worker.http("GET", file, key="read")).status == 200, file


async def test_a_page_without_a_key_in_its_address_works_with_the_header(hosted: Hosted) -> None:
    page = await hosted.worker.http("GET", "/api/dashboard", key="read", headers=HTML)

    files = [link for link in find_links(page.body.decode()) if link.startswith(STATIC)]
    assert [(await hosted.worker.http("GET", file, key="read")).status for file in files] == [200] * len(files)
    assert all("code=" not in file for file in files)


async def test_the_buttons_of_a_page_work_with_their_function_keys(hosted: Hosted) -> None:
    await prepare(hosted)
    page = await hosted.worker.http("GET", f"/api/dashboard/incidents/{INCIDENT_ID}?{KEY}", key="read", headers=HTML)
    assert f"/api/incidents/{INCIDENT_ID}" in page.body.decode()

    resumed = await hosted.worker.http("POST", "/api/jobs/reports/resume", key="operate")
    refused = await hosted.worker.http("POST", "/api/jobs/reports/resume", key="read")

    assert (resumed.status, refused.status) == (200, 401)
