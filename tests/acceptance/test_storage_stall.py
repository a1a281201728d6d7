"""The storage account stands still for half a minute under load: every due instant is accounted for once, and a little
later runs are in time again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from jobs.runs import Outcome, Run
from scheduler.stores.azure.opening import open_azure_tables
from tests.parts.accounts import Account, read_stored_runs
from tests.parts.azurite import Azurite, fresh_prefix, running_azurite
from tests.parts.functions_herd import Herd
from tests.parts.functions_style import Platform, environment
from tests.parts.http_target import HttpTarget

pytestmark = pytest.mark.azurite

JOBS = tuple(f"job-{number:03}" for number in range(100))
EVERY = timedelta(seconds=10)
STALL = 30.0
PLATFORM = Platform(
    hidden_after_failure=5,
    longest_pause=0.5,
    tick=10,
    shortened={"scheduler.hosts.functions.timer.PLANNING_HORIZON": 15},
)
"""The timer's minute is shortened, as a stall must hit several ticks; the client's time-outs are the real ones."""
BACK_TO_NORMAL = timedelta(seconds=25)
"""After the end of the stall; half of the minute that is promised."""
IN_TIME_MS = 10_000.0
"""Far more than an idle machine needs, far less than runs are late during a stall or that never recover from it."""


@pytest.fixture
def own_azurite() -> Iterator[Azurite]:
    """One that no other test shares, as it is stopped."""
    with running_azurite() as azurite:
        yield azurite


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_stall_of_the_storage_loses_and_doubles_nothing_and_is_over_within_a_minute(
    own_azurite: Azurite, tmp_path: Path
) -> None:
    prefix = fresh_prefix()
    async with HttpTarget() as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        environ = environment(own_azurite.connection_string, prefix, tmp_path / "jobs.json")
        async with _processes(environ, tmp_path / "said.txt"):
            await target.wait_for_requests(len(JOBS), timeout=60)
            since = _next_round(datetime.now(UTC))
            with _standing_still(own_azurite.pid):
                await asyncio.sleep(STALL)
            normal_from = datetime.now(UTC) + BACK_TO_NORMAL
            account = Account(JOBS, since, _next_round(normal_from), every=EVERY)
            await asyncio.sleep((account.until - datetime.now(UTC)).total_seconds())
            store = await open_azure_tables(connection_string=own_azurite.connection_string, prefix=prefix)
            await account.complete(store, within=90)
        found = await read_stored_runs(store, account.jobs)
        await store.aclose()
        hits = Counter(request.headers["idempotency-key"] for request in target.requests)

    print(account.summary(found, hits))
    runs = [record.run for record in found.of_all if record.run is not None]
    assert account.problems(found, hits) == []
    assert _unexplained(runs) == []
    assert median(run.lateness_ms for run in runs if normal_from <= run.due_at <= account.until) < IN_TIME_MS


def definitions(url: str) -> dict[str, Any]:
    return {job: {"schedule": {"every": "10s"}, "check": {"url": f"{url}/{job}"}} for job in JOBS}


def _next_round(now: datetime) -> datetime:
    """The next instant that is a multiple of EVERY."""
    seconds = EVERY.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


def _unexplained(runs: list[Run]) -> list[str]:
    """Runs that neither succeeded nor say why they were skipped."""
    return [run.id for run in runs if run.outcome is not Outcome.SUCCEEDED and not run.message]


@contextmanager
def _standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _processes(environ: Mapping[str, str], text: Path) -> AsyncIterator[None]:
    """Two workers and a ticker, until the end of the block."""
    with text.open("wb") as output:
        async with Herd(environ, PLATFORM, output) as herd:
            for kind in ("worker", "worker", "ticker"):
                await herd.start(kind)  # type: ignore[arg-type]  # each is a Kind
            yield
