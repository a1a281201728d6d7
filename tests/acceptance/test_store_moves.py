"""A store that is moved to Azure Tables and back gives the same answers at every stop.

The store is one that version 0.1.0 has filled, to which today's program has added what is newer.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.loading import Configuration, load_configuration
from scheduler.api.app import create_api
from scheduler.app.backup_opening import open_restore_target, open_store_scan
from scheduler.app.program import Program, open_program
from scheduler.cli.command_profile import CommandProfile
from scheduler.features.backup.dumps import create_backup, verify_dump
from scheduler.features.backup.port import NoProgress
from scheduler.features.backup.restoring import copy_store, restore_dump
from scheduler.features.backup.tables import INCLUDED_TABLES
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.rows import finish_restore, save_restore_progress
from scheduler.stores.sqlite.store import open_sqlite
from tests.acceptance.test_old_database import DATA, NOW, OLD, ROOT, StoppedClock
from tests.parts.api_requests import EXAMPLE_SECRETS, api_requests, example_jobs, prepare
from tests.parts.azurite import Azurite

NOT_OF_THE_STORE = {"live", "health", "ready", "ping", "ping_result", "get_session", "list_sessions", "get_watchdog"}
"""Routes that show this process, that change something, or whose table is not in a backup."""
OLD_FILE = DATA / "scheduler.db.gz"
LISTS = (
    "/api/runs?limit=500",
    "/api/runs?limit=500&outcome=failed",
    "/api/dead-letters?limit=500",
    "/api/audit?limit=500",
    "/api/changes?limit=500",
    "/api/incidents?limit=500",
)
CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "/api/jobs/moved-job", {"check": {"url": "https://moved.example.com/"}, "enabled": False}),
    ("PATCH", "/api/jobs/moved-job", {"tags": {"team": "ümläut"}}),
    ("POST", "/api/jobs/checkout-api/pause", {"reason": "moving"}),
    ("POST", "/api/circuits/checkout-api/open", {"reason": "moving"}),
)
HEADERS = {
    "PUT": {"If-None-Match": "*"},
    "PATCH": {"If-Match": "*", "Content-Type": "application/merge-patch+json"},
}
Answers = Mapping[str, tuple[int, Any]]


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "old.yaml").write_bytes((DATA / "jobs.yaml").read_bytes())
    (folder / "new.yaml").write_text(json.dumps({"jobs": example_jobs("http://127.0.0.1:9")}))
    for name, value in EXAMPLE_SECRETS.items():
        monkeypatch.setenv(name, value)
    return folder


def configure(jobs: Path, store: Mapping[str, str]) -> Configuration:
    environ = {"SCHEDULER_JOBS": str(jobs), "SCHEDULER_ENVIRONMENT": "test", **EXAMPLE_SECRETS, **store}
    return load_configuration(environ, root=ROOT)


@asynccontextmanager
async def api_of(configuration: Configuration) -> AsyncIterator[tuple[Program, httpx.AsyncClient]]:
    async with (
        open_program(configuration, CommandProfile(), clock=StoppedClock()) as program,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(create_api(program)), base_url="http://scheduler.test"
        ) as client,
    ):
        yield program, client


async def read_answers(configuration: Configuration) -> Answers:
    """The status and the content of every route that reads the store."""
    paths = [
        request.path
        for request in api_requests()
        if request.method == "GET" and request.operation_id not in NOT_OF_THE_STORE
    ]
    async with api_of(configuration) as (_, client):
        found = {}
        for path in dict.fromkeys([*paths, *LISTS, *OLD["api"]]):
            response = await client.get(path)
            try:
                found[path] = response.status_code, response.json()
            except ValueError:
                found[path] = response.status_code, response.text
        return found


async def fill_old_store(path: Path, jobs: Path) -> Configuration:
    await asyncio.to_thread(path.write_bytes, gzip.decompress(OLD_FILE.read_bytes()))
    store = await open_sqlite(path)
    for request in api_requests():
        await prepare(store, request, NOW)
    await store.aclose()
    configuration = configure(jobs, {"SCHEDULER_STORE": f"sqlite:///{path}"})
    async with api_of(configuration) as (_, client):
        for method, target, body in CHANGES:
            (await client.request(method, target, json=body, headers=HEADERS.get(method))).raise_for_status()
    return configuration


async def move(source: Configuration, target: Configuration) -> None:
    async with (
        open_store_scan(source.settings) as scan,
        open_restore_target(target.settings, NOW) as opened,
    ):
        await copy_store(scan, opened, NOW, replace=False, progress=NoProgress())


def assert_same(before: Answers, after: Answers) -> None:
    assert {path: answer for path, answer in after.items() if answer != before[path]} == {}
    assert before.keys() == after.keys()


async def test_moving_to_azure_tables_and_back_changes_no_answer(
    tmp_path: Path, jobs: Path, azurite: Azurite, storage_prefix: str
) -> None:
    first = await fill_old_store(tmp_path / "first.db", jobs)
    before = await read_answers(first)
    assert len(before) > 150
    assert sum(status == 200 for status, _ in before.values()) > 140
    assert len(before["/api/audit?limit=500"][1]["entries"]) >= len(CHANGES)

    tables = configure(jobs, azurite.settings(storage_prefix))
    await move(first, tables)
    assert_same(before, await read_answers(tables))

    # The way back is a file, which is what a backup is for.
    dump, last = tmp_path / "dump.jsonl.gz", configure(jobs, {"SCHEDULER_STORE": f"sqlite:///{tmp_path}/last.db"})
    async with open_store_scan(tables.settings) as scan:
        await create_backup(scan, dump, "azure", lambda: NOW, NoProgress())
    async with open_restore_target(last.settings, NOW) as target:
        await restore_dump(dump, target, NOW, replace=False, progress=NoProgress())
    assert_same(before, await read_answers(last))

    _, trailer = await verify_dump(dump, NoProgress())
    missing = {table for table in INCLUDED_TABLES if table not in trailer.tables}
    assert missing <= {"announcements", "changes", "idempotency", "markers"}, "the test has rows of nearly every table"
    async with api_of(last) as (program, _):
        assert (await program.audit_queries.verify({})).findings == ()
    assert not any(secret.encode() in gzip.decompress(dump.read_bytes()) for secret in EXAMPLE_SECRETS.values())


async def test_the_program_refuses_tables_with_a_part_of_a_backup(
    jobs: Path, azurite: Azurite, storage_prefix: str
) -> None:
    tables = configure(jobs, azurite.settings(storage_prefix))
    async with open_restore_target(tables.settings, NOW) as target:
        await target.prepare("a digest", replace=False, progress=NoProgress())
        await save_restore_progress(target.store, "a digest", 7)
        with pytest.raises(StoreUnavailable, match="only a part of a backup: its restore ended after 7 rows"):
            async with api_of(tables):
                pass
        await finish_restore(target.store)
    async with api_of(tables):
        pass


async def test_no_secret_of_a_key_or_a_session_is_in_a_backup(tmp_path: Path, jobs: Path) -> None:
    path = tmp_path / "store.db"
    configuration = configure(jobs, {"SCHEDULER_STORE": f"sqlite:///{path}"})
    await (await open_sqlite(path)).aclose()
    async with api_of(configuration) as (_, client):
        created = (await client.post("/api/keys", json={"name": "deploy", "role": "operator"})).raise_for_status()
        secret = created.json()["key"]
    async with open_store_scan(configuration.settings) as scan:
        _, trailer = await create_backup(scan, tmp_path / "dump.jsonl", "sqlite", lambda: NOW, NoProgress())
    text = (tmp_path / "dump.jsonl").read_text("utf-8")
    assert trailer.tables["api_keys"].rows == 1
    assert secret not in text
    assert secret.rpartition("_")[2] not in text
    assert "sessions" not in trailer.tables
