"""docs/api.md has a command for each route. Each is run as it is printed, by a shell and curl, against a live host."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from scheduler.stores.port import Store
from scheduler.stores.sqlite.connections import StoreAccess
from scheduler.stores.sqlite.store import open_sqlite
from tests.docs.pages import TEXTS, typed
from tests.parts import missing
from tests.parts.api_requests import EXAMPLE_SECRETS, api_requests, example_jobs, prepare
from tests.parts.host import Host, embedded
from tests.parts.http_target import HttpTarget
from tools.openapi.documents import DOCUMENT, PAGE, create_document_text, create_page_text

REQUESTS = {request.operation_id: request for request in api_requests()}


def printed_lines() -> list[str]:
    return [line for line in typed(TEXTS["docs/api.md"]) if line.startswith("curl ")]


def test_the_page_has_a_command_for_each_route() -> None:
    assert sorted(printed_lines()) == sorted(request.curl_line() for request in REQUESTS.values())


def test_the_page_and_the_document_are_those_of_the_routes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert create_page_text(page) == page, "./dev openapi writes it"
    assert create_document_text() == DOCUMENT.read_text(encoding="utf-8"), "./dev openapi writes it"


def write_channel(folder: Path, target: str) -> None:
    """The channel that the examples name."""
    folder.mkdir()
    channels = {"team-teams": {"kind": "webhook", "url": f"{target}/health"}}
    (folder / "alerting.json").write_text(json.dumps({"alerting": {"channels": channels}}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Host, Store]]:
    folder = tmp_path_factory.mktemp("api")
    async with HttpTarget() as target:
        target.on("/health", 200)
        write_channel(folder / "jobs", target.url)
        settings = {
            "SCHEDULER_HTTP__AUTHENTICATION": "own",
            "SCHEDULER_TARGETS__HOSTS": "127.0.0.1",  # a created job may come due: its target is not looked up
            **EXAMPLE_SECRETS,
        }
        async with embedded(folder, example_jobs(target.url), **settings) as host:
            store = await open_sqlite(folder / "state.db", StoreAccess.SHARED)
            yield host, store
            await store.aclose()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation_id", REQUESTS)
async def test_a_printed_command_succeeds(operation_id: str, host: tuple[Host, Store]) -> None:
    request = REQUESTS[operation_id]
    live, store = host
    await prepare(store, request)

    line = request.curl_line()
    if operation_id == "apply_set":  # its plan_id is that of a plan of the same jobs
        plan = await live.client.post("/api/sets/reports/plan", json=request.body)
        line = line.replace("0" * 32, plan.json()["plan_id"])
    status, output = await run_line(line, live.client)

    assert 200 <= status < 300, output


async def run_line(line: str, client: httpx.AsyncClient) -> tuple[int, str]:
    """The status and the output of a command, run by a shell with the URL and the key of the client."""
    if shutil.which("curl") is None:
        missing("curl is not installed")
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f"{line} --silent --show-error --write-out '\n%{{http_code}}'",
        env={
            "SCHEDULER": str(client.base_url).rstrip("/"),
            "AUTH": f"Authorization: {client.headers['authorization']}",
            "PATH": "/usr/bin:/bin",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    found = re.search(r"\n(\d{3})$", output)
    assert found is not None, output
    return int(found[1]), output
