"""A database that version 0.1.0 has filled gives the same answers today: tests/data/old_database/README.md."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.loading import load_configuration
from scheduler.api.app import create_api
from scheduler.app.program import open_program
from scheduler.cli.command_profile import CommandProfile
from scheduler.stores.dead_letters import count_dead_letters, count_open_runs
from scheduler.stores.findings import SecretVersionStore, WatchdogReports
from scheduler.stores.gates import Cancellations
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import RUN_FILTERS, Runs
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors, ScheduleActivations
from scheduler.stores.slots import GroupFull, Slots
from scheduler.stores.sqlite.store import open_sqlite

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/old_database"
OLD: Mapping[str, Any] = json.loads(gzip.decompress((DATA / "answers.json.gz").read_bytes()))
NOW = datetime.fromisoformat(OLD["now"])

RENAMED: Mapping[str, str] = {
    "origin": "source",
    "text": "summary",
    "whole": "complete",
    "why": "reason",
    "tried_again_at": "retry_at",
    "forced": "override",
    "way": "source",
    "number": "ping_count",
}
"""Fields of the API that have another name today, at least in some objects."""
NOT_STORED = re.compile(r"\.summary$|/api/jobs(/[\w-]+|\[\d+\])\.(source|generation)$")
"""Fields that are made when they are read: sentences in today's words, where a job is defined, and its hash."""


class StoppedClock:
    """Shows the instant at which the old program was asked."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "scheduler.db"
    path.write_bytes(gzip.decompress((DATA / "scheduler.db.gz").read_bytes()))
    return path


@pytest.fixture
async def api(database: Path) -> AsyncIterator[httpx.AsyncClient]:
    environ = {"SCHEDULER_JOBS": str(DATA / "jobs.yaml"), "SCHEDULER_STORE": f"sqlite:///{database}"}
    # A scheduler opens the file first, which brings it up to date.
    await (await open_sqlite(database)).aclose()
    configuration = load_configuration(environ | {"SCHEDULER_ENVIRONMENT": "test"}, root=ROOT)
    async with (
        open_program(configuration, CommandProfile(), clock=StoppedClock()) as program,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(create_api(program)), base_url="http://scheduler.test"
        ) as client,
    ):
        yield client


async def test_the_api_answers_as_it_did(api: httpx.AsyncClient) -> None:
    differences = []
    for path, old in OLD["api"].items():
        today = await _answer(api, path)
        if path.startswith("/api/runs?"):
            today = [run["id"] for run in today]
        differences += _differences(path, old, today)
    assert differences == []


async def test_the_repositories_answer_as_they_did(database: Path) -> None:
    store = await open_sqlite(database)
    try:
        today = await _behind_the_api(store, [job["name"] for job in OLD["api"]["/api/jobs"]])
    finally:
        await store.aclose()
    assert [*_differences("", OLD["stores"], today)] == []


def test_the_old_answers_have_every_outcome_and_state() -> None:
    assert {path.rpartition("=")[2] for path, ids in OLD["api"].items() if path.startswith("/api/runs?") and ids} == {
        *RUN_FILTERS
    }


async def _answer(api: httpx.AsyncClient, path: str) -> Any:
    """The JSON at this path; the items of all pages of a list."""
    answer = (await api.get(path, params=None)).raise_for_status().json()
    if "continuation" not in answer:
        return answer
    items = []
    query = dict(httpx.URL(path).params)
    while True:
        (page,) = [value for value in answer.values() if isinstance(value, list)]
        items += page
        if answer["continuation"] is None:
            return items
        query["continuation"] = answer["continuation"]
        answer = (await api.get(path.partition("?")[0], params=query)).raise_for_status().json()


async def _behind_the_api(store: Store, jobs: Sequence[str]) -> Mapping[str, Any]:
    runs, counted, news = Runs(store), await count_open_runs(store), await SecretVersionStore(store).read()
    full = await Slots(store, "another").acquire("turns", 1, "x@20261127T000000.000Z", NOW + timedelta(minutes=1), NOW)
    assert isinstance(full, GroupFull)
    planned_until = await Cursors(store).read(PLANNED_UNTIL_CURSOR)
    return {
        "open runs": {
            record.ticket.id: [record.state, record.owner, _text(record.lease_until)]
            for record in await runs.list_unfinished()
        },
        "unacknowledged": [run.id for run in await runs.list_unacknowledged()],
        "states": {job: await runs.list_states_between(job, NOW - timedelta(hours=1), NOW) for job in jobs},
        "cursor": _text(planned_until),
        "schedules in force since": {job: _text(await ScheduleActivations(store).find_since(job)) for job in jobs},
        "counts": [counted.count, _text(counted.oldest_due_at), await count_dead_letters(store)],
        "cancellations": await Cancellations(store).list_requested(NOW),
        "secret versions": news.stamps,
        "secret expiry": {name: [_text(expiry.at), expiry.past] for name, expiry in news.expiring.items()},
        "slot holders": full.holders,
        "watchdog report": await WatchdogReports(store).load(),
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _differences(path: str, old: Any, today: Any) -> Iterator[str]:
    """One sentence each. What today's answer has in addition is no difference."""
    if isinstance(old, dict) and isinstance(today, Mapping):
        for name, value in old.items():
            new = RENAMED[name] if RENAMED.get(name) in today else name
            if new not in today:
                yield f"{path}: there is no {new}"
            elif not NOT_STORED.search(f"{path}.{new}"):
                yield from _differences(f"{path}.{new}", value, today[new])
    elif isinstance(old, list) and isinstance(today, Sequence) and len(old) == len(today):
        for number, (before, now) in enumerate(zip(old, today, strict=True)):
            yield from _differences(f"{path}[{number}]", before, now)
    elif isinstance(old, float):
        if today != pytest.approx(old, rel=1e-9):  # a sum of floats: its last digits depend on the order
            yield f"{path}: {old!r} is {today!r} today"
    elif old != today:
        yield f"{path}: {old!r} is {today!r} today"
