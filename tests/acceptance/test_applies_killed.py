"""Killed with SIGKILL at random moments of an apply of 1,000 jobs: readers see the old set or the new one.

`APPLY_KILLS=200 ./dev test tests/acceptance/test_applies_killed.py -s` prints in which steps the processes died.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.stores.audit import AuditLog
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Row, Store, StoreDamaged, StoreUnavailable
from scheduler.stores.rows import decode_json, list_all_rows
from scheduler.stores.sqlite.connections import StoreAccess
from scheduler.stores.sqlite.store import open_sqlite
from scheduler.stores.stored_jobs.repository import (
    HEAD_KEY,
    HEAD_PARTITION,
    STORED_JOBS_TABLE,
    SWEEP_INTERVAL,
    StoredJobs,
    StoredJobSweeper,
)
from scheduler.stores.stored_jobs.tree import BUCKET_COUNT, JobTree
from tests.acceptance.forked_programs import ForkedPrograms, KillAfter
from tests.parts.azurite import Azurite
from tests.parts.proc import run

KILLS = int(os.environ.get("APPLY_KILLS", "6"))
KILLS_OF_A_STORE = 10
"""A store that holds the versions of a hundred sets makes Azurite slow."""
SEED = int(os.environ.get("KILLS_SEED", "1"))
COMPLETED = 3
"""One apply of so many is not killed, so that the next one starts from its set."""
JOBS = 1000
PAUSED = ("job-0050", "job-0400")
"""In the first set alone, and in both."""
CHANGES_INTERVAL, READ_INTERVAL = 0.1, 1.0
"""Seconds between two reads of a reader: of the one that reads what has changed, and of those that read everything."""
AFTER_ALL = timedelta(hours=2)
"""After the end of a process, when the rows that it has left are removed."""

ROWS = JOBS + JOBS // 10 + BUCKET_COUNT
"""Rows that an apply inserts: a version of each job, also of those that it removes, and the buckets."""
HEAD_WRITES = 4
"""Writes that follow: the claim of the head, the entry in the audit trail and its head, the head."""

Definitions = Mapping[str, Mapping[str, Any]]


def definition(number: int, mark: str) -> dict[str, Any]:
    return {
        "schedule": {"every": "24h"},
        "check": {"url": f"http://127.0.0.1:9/{number}"},
        "description": mark,
    }


SETS: Mapping[str, Definitions] = {
    "first": {f"job-{number:04}": definition(number, "first") for number in range(JOBS)},
    # A tenth is removed, a tenth is added, the others are changed.
    "second": {f"job-{number:04}": definition(number, "second") for number in range(JOBS // 10, JOBS + JOBS // 10)},
}


def name_set(found: Definitions) -> str:
    """Raises AssertionError: it is a mixture."""
    for name, jobs in SETS.items():
        if found == jobs:
            return name
    raise AssertionError(f"a mixture: {Counter(one['description'] for one in found.values())}, {len(found)} jobs")


def stored_definitions(tree: JobTree) -> Definitions:
    return {entry.name: decode_json(entry.text) for entry in tree.jobs()}


@dataclass
class Readers:
    """Read the store over and over, with and without the tree of the read before, and the jobs over HTTP."""

    store: Store
    seen: Counter[str] = field(default_factory=Counter)
    url: str = ""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in (self._read_changes(), self._read_whole(), self._read_pages())]
            yield
            for task in tasks:
                task.cancel()

    async def _read_changes(self) -> None:
        tree: JobTree | None = None
        while True:
            with available():
                new = await StoredJobs(self.store).read(tree)
                if new is not tree:
                    self.seen[f"changes: {name_set(stored_definitions(new))}"] += 1
                tree = new
            await asyncio.sleep(CHANGES_INTERVAL)

    async def _read_whole(self) -> None:
        while True:
            with available():
                self.seen[f"whole: {name_set(stored_definitions(await StoredJobs(self.store).read()))}"] += 1
            await asyncio.sleep(READ_INTERVAL)

    async def _read_pages(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                with suppress(httpx.TransportError):
                    if self.url and (found := await read_pages(client, self.url)) is not None:
                        self.seen[f"pages: {name_set(found)}"] += 1
                await asyncio.sleep(READ_INTERVAL)


@contextmanager
def available() -> Iterator[None]:
    """A store of a busy machine may not answer in time; that is no mixture."""
    try:
        yield
    except StoreDamaged:
        raise
    except StoreUnavailable:
        pass


async def read_pages(client: httpx.AsyncClient, url: str) -> Definitions | None:
    """The jobs in force of all pages; None if their ETags differ, because the set was changed in between."""
    found: dict[str, Mapping[str, Any]] = {}
    etags: set[str] = set()
    query = {"view": "full", "limit": "500"}
    while True:
        page = await client.get(f"{url}/api/jobs", params=query)
        assert page.status_code == 200, page.text
        etags.add(page.headers["ETag"])
        found |= {job["name"]: job["definition"] for job in page.json()["jobs"] if job["in_force"]}
        if (rest := page.json()["continuation"]) is None:
            return found if len(etags) == 1 else None
        query["continuation"] = rest


class Killed:
    """One store, whose servers are killed."""

    def __init__(
        self, store: Store, programs: ForkedPrograms, readers: Readers, luck: random.Random, writes: int
    ) -> None:
        """`writes`: of an apply, before the claim of the head."""
        self._store, self._programs, self._readers, self._luck = store, programs, readers, luck
        self._writes = writes
        self._url, self._pid, self._witnessed = "", 0, False
        self._current, self._plan_id, self._claim = "first", "", ""
        self._took = 1.0
        self._has_removed = False
        self.died: Counter[str] = Counter()

    async def prepare(self, *, with_witness: bool) -> None:
        """Apply the first set and pause jobs of it. `with_witness`: another server that is not killed is read."""
        async with self._server() as client:
            await self._apply(client, "first")
            for name in PAUSED:
                assert (await client.post(f"/api/jobs/{name}/pause")).status_code == 200
        if with_witness:
            self._readers.url, self._witnessed = (await self._programs.serve())[0], True

    async def apply_and_kill(self, number: int) -> None:
        if number % COMPLETED == 0 or self._claim:
            await self._complete()
        kill = self._choose_moment()
        async with self._server(kill) as client:
            self._plan_id = self._plan_id or await self._plan(client, self._other)
            audited, head = await self._audited(), await self._read_head()
            applying = asyncio.create_task(self._post(client, "apply", self._other, plan_id=self._plan_id))
            if kill is None:
                await asyncio.sleep(self._luck.random() * self._took)
            else:
                await asyncio.wait([applying])
            await self._programs.kill(self._pid)
            answer = None
            with suppress(httpx.TransportError):
                answer = await applying
        await self._judge(answer, head, await self._audited() > audited)

    def _choose_moment(self) -> KillAfter | None:
        """A moment in a write, of rows or of what follows them; or None: any moment, mostly before the first write."""
        kind = self._luck.choice(("any", "rows", "rows", "head", "head"))
        if kind == "any":
            return None
        first, last = (1, self._writes) if kind == "rows" else (self._writes, self._writes + HEAD_WRITES)
        return KillAfter(STORED_JOBS_TABLE, self._luck.randint(first, last), self._luck.uniform(0, 0.01))

    async def _complete(self) -> None:
        async with self._server() as client:
            await self._check(client)
            await self._apply(client, self._other)
            await self._sweep()

    async def finish(self) -> None:
        """The next apply succeeds, and no row is left of those that were killed."""
        async with self._server() as client:
            await self._check(client)
            await self._apply(client, self._other)
            await self._check(client)
        await self._sweep()
        tree = await StoredJobs(self._store).read()
        keys = {row.key for partition in _partitions() for row in await self._list(partition)}
        versions = {
            version.row_key
            for bucket in tree.buckets.values()
            for entry in bucket.values()
            for version in await StoredJobs(self._store).list_versions(entry)
        }
        assert keys == {*tree.head.buckets.values(), *versions}

    @property
    def _other(self) -> str:
        return "second" if self._current == "first" else "first"

    @asynccontextmanager
    async def _server(self, kill: KillAfter | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A server that is killed at the end of the block at the latest."""
        url, self._pid = await self._programs.serve(kill)
        if not self._witnessed:
            self._readers.url = url
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client
        await self._programs.kill(self._pid)

    async def _check(self, client: httpx.AsyncClient) -> None:
        """A new process has the set, and its jobs are paused as they were."""
        found = await read_pages(client, str(client.base_url))
        assert found is not None
        assert name_set(found) == self._current
        paused = (await client.get("/api/jobs", params={"state": "paused", "limit": "500"})).json()["jobs"]
        assert {*PAUSED[1:]} <= {job["name"] for job in paused} <= {*PAUSED} & {*SETS[self._current]}
        if self._current == "second":
            self._has_removed = True  # a later job of that name does not get its pause
        if self._has_removed:
            assert [job["name"] for job in paused] == [*PAUSED[1:]]

    async def _plan(self, client: httpx.AsyncClient, name: str) -> str:
        answer = await self._post(client, "plan", name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["plan_id"])

    async def _apply(self, client: httpx.AsyncClient, name: str) -> None:
        plan_id, started = self._plan_id or await self._plan(client, name), time.monotonic()
        answer = await self._post(client, "apply", name, plan_id=plan_id)
        assert answer.status_code == 200, answer.text
        if not self._claim:  # An abandoned claim is waited for.
            self._took = time.monotonic() - started
        self._current, self._plan_id, self._claim = name, "", ""

    async def _post(self, client: httpx.AsyncClient, verb: str, name: str, **query: str) -> httpx.Response:
        return await client.post(f"/api/sets/shop/{verb}", params=query, json={"jobs": SETS[name]})

    async def _judge(self, answer: httpx.Response | None, head: Row | None, is_audited: bool) -> None:
        """The set after a kill is the old one or the new one; the new one if the client was answered.

        `head`: before the apply. A store that stands still on a busy machine fails an apply, which gives up its claim.
        """
        tree = await StoredJobs(self._store).read()
        now, self._claim = name_set(stored_definitions(tree)), tree.head.claim
        is_new = now != self._current
        assert is_audited or not is_new
        if answer is not None:
            assert answer.status_code in (200, 503), answer.text
            assert is_new or answer.status_code == 503
        if is_new:
            self._current, self._plan_id = now, ""
            self.died["after its answer" if answer is not None else "after the head"] += 1
        elif self._claim:
            self.died["after the audit entry" if is_audited else "after the claim"] += 1
        else:
            assert not is_audited or head != await self._read_head()
            left = await self._sweep()
            self.died["before its rows" if left == 0 else "between its rows" if left < ROWS else "after its rows"] += 1

    async def _sweep(self) -> int:
        """Remove the rows of processes that have ended. Return how many there were."""
        sweeper, after = StoredJobSweeper(self._store, StoredJobs(self._store)), datetime.now(UTC) + AFTER_ALL
        # Only the second sweep removes the rows of a claimed head.
        return await sweeper.sweep(after) + await sweeper.sweep(after + 2 * SWEEP_INTERVAL)

    async def _read_head(self) -> Row | None:
        return await self._store.get_row(STORED_JOBS_TABLE, HEAD_PARTITION, HEAD_KEY)

    async def _audited(self) -> int:
        return (await AuditLog(self._store).read_head()).sequence

    async def _list(self, partition: str) -> Any:
        return await list_all_rows(self._store, STORED_JOBS_TABLE, partition, bodies=False)


def _partitions() -> list[str]:
    return [f"{number:02d}" for number in range(BUCKET_COUNT)]


async def kill_applies(store: Store, env: Mapping[str, str], folder: Path, kills: int, seed: int) -> Counter[str]:
    """Return in which steps the processes were killed."""
    readers = Readers(store)
    with (folder / "output.txt").open("wb") as output:
        async with ForkedPrograms(env, folder, output) as programs:
            is_shared = env["SCHEDULER_STORE"] == "azure"
            killed = Killed(store, programs, readers, random.Random(seed), BUCKET_COUNT if is_shared else ROWS)
            await killed.prepare(with_witness=is_shared)
            async with readers.reading():
                for number in range(kills):
                    await killed.apply_and_kill(number)
            await killed.finish()
    print(dict(killed.died), dict(readers.seen))
    verified = await run("audit", "verify", env=env, cwd=folder)
    assert verified.code == 0, verified.stdout + verified.stderr
    assert verified.stdout.startswith("valid: ")
    assert {seen.partition(":")[0] for seen in readers.seen} == {"changes", "whole", "pages"}
    return killed.died


DIED: defaultdict[str, Counter[str]] = defaultdict(Counter)
"""In which steps processes died, by store, in all rounds so far."""


def rounds() -> list[tuple[int, int]]:
    """The seed and the kills of each store."""
    return [(SEED + start, min(KILLS_OF_A_STORE, KILLS - start)) for start in range(0, KILLS, KILLS_OF_A_STORE)]


each_round = pytest.mark.parametrize(("seed", "kills"), rounds())
"""A test a round: each has its own timeout."""


@each_round
@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS_OF_A_STORE)
async def test_a_server_that_is_killed_during_applies_has_the_old_set_or_the_new_one(
    seed: int, kills: int, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    env = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(tmp_path / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
    }
    store = await open_sqlite(tmp_path / "state.db", StoreAccess.SHARED)
    DIED["SQLite"] += await kill_applies(store, env, tmp_path, kills, seed)
    print("SQLite:", dict(DIED["SQLite"]))
    await store.aclose()


@pytest.mark.skipif("APPLY_KILLS" not in os.environ, reason="takes minutes; APPLY_KILLS=20 runs it")
@each_round
@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS_OF_A_STORE)
async def test_a_process_that_is_killed_during_applies_on_azure_leaves_the_old_set_or_the_new_one(
    seed: int, kills: int, azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    env = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(tmp_path / "jobs"),
        **azurite.settings(storage_prefix),
    }
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
    DIED["Azurite"] += await kill_applies(store, env, tmp_path, kills, seed)
    print("Azurite:", dict(DIED["Azurite"]))
    await store.aclose()
