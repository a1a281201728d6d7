"""What SECURITY.md says about callers is what the embedded host does with them in prod."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from scheduler.identity.principal import Role
from tests.docs.pages import TEXTS
from tests.parts.proc import Program, free_port, run

PAGE = TEXTS["SECURITY.md"]
ROWS: dict[str, str] = dict(re.findall(r"^\| \*\*([^*]+)\*\*([^\n]*)", PAGE, re.M))
ROLES = {
    Role.METRICS: "Readers of metrics",
    Role.VIEWER: "Viewers",
    Role.OPERATOR: "Operators of the API",
    Role.ADMIN: "Administrators of the API",
}
JOB = {"name": "shop", "check": {"url": "https://example.com/"}}


def test_every_role_of_a_caller_has_a_row() -> None:
    assert ROLES.keys() == set(Role)
    assert set(ROLES.values()) <= ROWS.keys()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of a server in prod; its default headers are those of an administrator."""
    (tmp_path / "jobs").mkdir()
    variables = {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_JOBS": str(tmp_path / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'scheduler.db'}",
        "SCHEDULER_HTTP__HOSTS": "scheduler.example.com",
    }
    created = await run("keys", "create", "first", "--role", "admin", "--json", env=variables, cwd=tmp_path)
    port = free_port()
    async with Program("serve", "--port", str(port), env=variables, cwd=tmp_path) as program:
        url = f"http://127.0.0.1:{port}"
        await program.ready(f"{url}/api/health/ready")
        headers = {"X-API-Key": json.loads(created.stdout)["key"]}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            yield client


async def test_other_processes_of_the_machine_are_callers_without_a_credential(client: httpx.AsyncClient) -> None:
    assert "In prod: what a caller without a credential can do." in ROWS["Other processes of the machine"]
    assert (await client.get("/api/jobs", headers={"X-API-Key": ""})).status_code == 401


async def test_the_api_changes_stored_jobs_and_records_who_did(client: httpx.AsyncClient) -> None:
    assert "creating, changing and deleting [stored jobs]" in ROWS["Administrators of the API"]
    assert (await client.post("/api/jobs", json=JOB)).status_code == 201
    (entry,) = (await client.get("/api/audit", params={"job": "shop"})).json()["entries"]
    assert entry["principal"] == "api_key:first"


async def test_a_host_is_loopback_or_listed(client: httpx.AsyncClient) -> None:
    assert "`Host` must be a name of the embedded host: loopback, or one that a setting lists" in PAGE
    hosts = ("127.0.0.1", "scheduler.example.com", "evil.example.com")
    answers = [(await client.get("/api/jobs", headers={"Host": host})).status_code for host in hosts]
    assert answers[:2] == [200, 200]
    assert 400 <= answers[2] < 500
