"""Each request has an id: in its response, its problems, its log lines, and the audit trail."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re

import pytest

from jobs.redaction import Redactor
from jobs.trace_ids import current_request_id, run_for_request
from observability.logs import configure_logging
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient

OURS = re.compile(r"[0-9a-f]{32}")


@virtual_time
async def test_a_request_without_an_id_gets_one() -> None:
    async with ApiClient() as at:
        ids = [(await at.get(path)).headers["X-Request-ID"] for path in ("/api/jobs", "/api/jobs", "/api/health/live")]

    assert all(OURS.fullmatch(each) for each in ids)
    assert len(set(ids)) == 3


@virtual_time
async def test_the_id_of_the_client_is_used() -> None:
    async with ApiClient() as at:
        response = await at.request("GET", "/api/jobs/unknown", headers={"X-Request-ID": "deploy-2026.11_28"})

    assert response.headers.get_list("X-Request-ID") == ["deploy-2026.11_28"]
    assert response.json()["request_id"] == "deploy-2026.11_28"


@pytest.mark.parametrize("given", ["", "short", "x" * 101, "with space", "semi;colon", "newline\\n-here", "ümlaut-id"])
@virtual_time
async def test_an_id_that_is_not_valid_is_replaced(given: str) -> None:
    async with ApiClient() as at:
        response = await at.request("GET", "/api/jobs", headers={"X-Request-ID": given.encode()})

    assert OURS.fullmatch(response.headers["X-Request-ID"])


@virtual_time
async def test_of_two_ids_neither_is_used() -> None:
    async with ApiClient() as at:
        headers = [("X-Request-ID", "first-id"), ("X-Request-ID", "second-id")]
        response = await at.request("GET", "/api/jobs", headers=headers)

    assert OURS.fullmatch(response.headers["X-Request-ID"])


@virtual_time
async def test_requests_that_are_rejected_early_have_an_id_too() -> None:
    async with ApiClient() as at:
        response = await at.request("POST", "/api/jobs/checkout/pause", headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@virtual_time
async def test_the_caller_of_an_operation_has_the_id() -> None:
    async with ApiClient() as at:
        await at.request("POST", "/api/jobs/checkout/pause", headers={"X-Request-ID": "deploy-1"})
        ((caller, _),) = at.shop.audit.changes

    assert caller.request_id == "deploy-1"


def test_log_lines_of_a_request_have_its_id_and_others_have_none() -> None:
    stream = io.StringIO()
    log = configure_logging(level="info", format="json", redactor=Redactor(), stream=stream)

    with run_for_request("deploy-1"):
        logging.getLogger("scheduler.audit").info("inside")
    logging.getLogger("scheduler.audit").info("outside")
    log.close()

    lines = {line["Message"]: line.get("RequestId") for line in map(json.loads, stream.getvalue().splitlines())}
    assert lines == {"inside": "deploy-1", "outside": None}


async def test_a_task_that_outlives_its_request_has_no_id() -> None:
    async def work() -> list[str]:
        before = current_request_id()
        await asyncio.sleep(0.01)
        return [before, current_request_id()]

    with run_for_request("deploy-1"):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)

    assert await task == ["deploy-1", ""]
