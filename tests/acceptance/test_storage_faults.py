"""The storage account of the Functions host throttles, is slow, loses answers, is away, and its queue is flooded with
poison: every due instant of the jobs is accounted for once, and none that must not be repeated is."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from azure.storage.queue.aio import QueueClient

from jobs.runs import Outcome, Run, Ticket
from scheduler.dispatch.batches import TicketBatch, encode_batch
from scheduler.dispatch.queue_names import run_queue_name_from
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import Store
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors
from tests.parts.accounts import Account, read_stored_runs
from tests.parts.azurite import Azurite
from tests.parts.faulty_storage import Choose, Fault, FaultyStorage, healthy, some, unavailable
from tests.parts.functions_herd import Herd
from tests.parts.functions_style import Platform, environment
from tests.parts.http_target import HttpTarget

pytestmark = pytest.mark.azurite

JOBS = tuple(f"job-{number:02}" for number in range(20))
ONCE = frozenset(JOBS[::4])
LETTERED = frozenset(JOBS[::2])
PLATFORM = Platform(
    hidden=20,
    hidden_after_failure=2,
    longest_pause=0.2,
    tick=5,
    shortened={"scheduler.hosts.functions.timer.PLANNING_HORIZON": 10, "scheduler.dispatch.batches.BATCH_SLICE": 2},
)
"""The timer's minute is shortened, as each fault must hit several ticks; the clients' time-outs are the real ones."""
SECONDS = 8
"""Of each fault."""
IN_TIME_MS = 30_000.0
"""Of the median, while the queue is full of poison: an idle machine needs less than a second, a busy one up to 11."""
NO_BATCHES = (b"\xff\xfe %d", b"{%d", b"[" * 10_000 + b"%d", b"%d", b'{"version": 1, "tickets": [%d]}')
POISON = 60
UNREADABLE = POISON * len(NO_BATCHES) // (len(NO_BATCHES) + 1)
"""So many of the messages become dead letters; the others are batches of a job that there is not."""
FAULTS: Mapping[str, Choose] = {
    "busy": some(0.5, Fault.BUSY),
    "throttling": some(0.3, Fault.THROTTLED, Fault.BUSY),
    "slow": some(0.5, Fault.SLOW),
    "answers that are cut or lost": some(0.3, Fault.HALF, Fault.LOST, Fault.TIMED_OUT),
    "unavailable": unavailable,
}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_storage_that_fails_in_every_way_loses_and_doubles_no_run(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    async with HttpTarget() as target, FaultyStorage(azurite) as storage:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        environ = environment(storage.connection_string, storage_prefix, tmp_path / "jobs.json")
        async with _processes(environ, tmp_path / "said.txt"):
            await target.wait_for_requests(len(JOBS), timeout=60)
            since = _second(datetime.now(UTC))
            for fault in FAULTS.values():
                storage.fault = fault
                await asyncio.sleep(SECONDS)
                storage.fault = healthy
                await asyncio.sleep(SECONDS / 2)
            flooded_at = datetime.now(UTC)
            await _flood_with_poison(environ)
            await asyncio.sleep(SECONDS)
            store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
            account = Account(JOBS, since, _second(datetime.now(UTC)), ONCE, LETTERED)
            async with asyncio.timeout(120):
                while (await Cursors(store).read(PLANNED_UNTIL_CURSOR) or since) <= account.until:  # noqa: ASYNC110 - a store
                    await asyncio.sleep(0.25)
            await account.complete(store, within=120)
            async with asyncio.timeout(120):
                while (letters := await _letters_of_messages(store)) < UNREADABLE:
                    print(f"{letters} of {UNREADABLE} dead letters of messages")
                    await asyncio.sleep(1)
        found = await read_stored_runs(store, account.jobs)
        await store.aclose()
        hits = Counter(request.headers["idempotency-key"] for request in target.requests)

    print(account.summary(found, hits), dict(storage.counts))
    runs = [record.run for record in found.of_all if record.run is not None and record.ticket.job in JOBS]
    assert account.problems(found, hits) == []
    assert _failed(runs, hits) == []
    assert median(run.lateness_ms for run in runs if run.due_at >= flooded_at) < IN_TIME_MS
    assert min(storage.counts[fault] for fault in Fault) > 0


async def _flood_with_poison(environ: Mapping[str, str]) -> None:
    """Messages that are no batches, and batches of a job that there is not."""
    name = run_queue_name_from(environ)
    async with QueueClient.from_connection_string(environ["AzureWebJobsStorage"], name) as queue:
        for number in range(POISON):
            kind, _ = divmod(number, POISON // (len(NO_BATCHES) + 1))
            body = _of_no_job(number) if kind == len(NO_BATCHES) else NO_BATCHES[kind] % number
            await queue.send_message(base64.b64encode(body).decode())


def _of_no_job(number: int) -> bytes:
    begin = datetime.now(UTC) + timedelta(seconds=number)
    return encode_batch(
        TicketBatch(tuple(Ticket.scheduled("gone", begin + timedelta(milliseconds=at), "") for at in range(50)))
    ).encode()


async def _letters_of_messages(store: Store) -> int:
    letters = DeadLetters(store)
    count, after = 0, ""
    while page := await letters.list_letters(limit=200, after=after):
        count += sum(letter.ticket is None for letter in page)
        after = page[-1].id
    return count


def definitions(url: str) -> dict[str, Any]:
    return {
        job: {
            "schedule": {"every": "1s"},
            "check": {"url": f"{url}/{job}"},
            "catch_up": {"policy": "all"},
            "overlap": "allow",
            "dead_letter": job in LETTERED,
            "effect": "once" if job in ONCE else "repeatable",
        }
        for job in JOBS
    }


def _second(now: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(now.timestamp()), UTC)


def _failed(runs: list[Run], hits: Counter[str]) -> list[str]:
    """Runs that say something else than what the target saw; it is well throughout."""
    return [
        f"{run.id}: its target was asked {hits[run.id]} times; {run.message}"
        for run in runs
        if run.outcome is not Outcome.SUCCEEDED
    ]


@asynccontextmanager
async def _processes(environ: Mapping[str, str], text: Path) -> AsyncIterator[Herd]:
    """Two workers and a ticker, until the end of the block."""
    with text.open("wb") as output:
        async with Herd(environ, PLATFORM, output) as herd:
            for kind in ("worker", "worker", "ticker"):
                await herd.start(kind)  # type: ignore[arg-type]  # each is a Kind
            yield herd
