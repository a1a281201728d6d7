"""Jobs of several steps in virtual time: worker, runner and checks as they are, with a stand-in for the HTTP client.

Each sign-in gives another token. One job in five fails with its token in the answer. Definitions change meanwhile. Used
by bench.steps_hour and its test.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from base64 import urlsafe_b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench._parts import rss_mib
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.steps import StepsCheck
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from observability.logs import configure_logging
from observability.telemetry import Telemetry
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.gates import SlotLeases, gates_in_order
from scheduler.hosts.embedded.ticker import Ticker
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Cancellations, Pauses, StoredCircuits
from scheduler.stores.runs.repository import Runs
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.virtual_time import LoopClock, VirtualTimeLoop
from tests.scheduler.stores.memory import MemoryStore

TOKEN_BYTES = 870
"""Of the part of a token that is another one each time: it has about 1,200 characters."""
ONE_FAILS_IN = 5
EDITED_EVERY = 10.0
"""Seconds of virtual time between two edits, each of one job."""
HISTORY = 60.0
"""Seconds for which finished runs stay in memory."""
_HEAD = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
_HOST = "http://shop.internal"


@dataclass(slots=True)
class Window:
    """Some minutes of virtual time. `held`: values that the redactor still holds at its end."""

    runs: int
    cpu_s: float
    rss_mib: float
    held: int

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU a run."""
        return self.cpu_s * 1000 / max(self.runs, 1)


@dataclass(slots=True)
class Hour:
    """The observations: a window each few minutes, outcomes of runs, and texts that contained a token."""

    windows: list[Window] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)


def simulate(seconds: float, window: float, rate: int, observed: Callable[[Window], None] = lambda _: None) -> Hour:
    """Run `rate` jobs each second for so many seconds of virtual time. `seen` is called after each window."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        # A thread would take real time, in which virtual time runs away.
        runner.get_loop().set_default_executor(_AtOnce())
        return runner.run(_simulate(seconds, window, rate, observed))


async def _simulate(seconds: float, window: float, rate: int, observed: Callable[[Window], None]) -> Hour:
    hour, clock = Hour(), LoopClock()
    redactor = Redactor()
    redactor.add_permanent("an-api-key-of-the-settings")
    client = _WorkerHarness()
    http = HttpCheck(MemorySecrets(), MemoryTokens(), redactor, client=client)
    jobs = [_job(number) for number in range(rate)]
    catalog = Catalog([_entry(job) for job in jobs])
    store = MemoryStore()
    store.changes = deque(maxlen=1)  # type: ignore[assignment]  # nobody looks at all of them
    runs = Runs(store, clock.monotonic)
    telemetry = _Heard(hour)
    worker = _worker(catalog, store, runs, {"steps": StepsCheck(http, redactor)}, redactor, telemetry, clock)
    with _logging(redactor):
        ticker = asyncio.create_task(Ticker(catalog, worker, clock).run())
        editing = asyncio.create_task(_edit(catalog, jobs))
        try:
            for _ in range(round(seconds / window)):
                hour.windows.append(await _windowed(window, hour, runs, redactor, clock))
                observed(hour.windows[-1])
        finally:
            ticker.cancel()
            editing.cancel()
            await asyncio.sleep(5.0)  # for in-flight runs
    hour.leaks += [row.body[:300] for row in store.data.rows.values() if _HEAD in row.body]
    await http.aclose()
    return hour


async def _windowed(seconds: float, hour: Hour, runs: Runs, redactor: Redactor, clock: LoopClock) -> Window:
    before, began, cpu = hour.outcomes.total(), clock.monotonic(), time.process_time()
    while clock.monotonic() < began + seconds:
        await asyncio.sleep(min(HISTORY, began + seconds - clock.monotonic()))
        await runs.prune(clock.now(), HISTORY, 1_000_000)
    return Window(hour.outcomes.total() - before, time.process_time() - cpu, rss_mib("self"), redactor.held_count)


def _worker(
    catalog: Catalog,
    store: MemoryStore,
    runs: Runs,
    checks: dict[str, Any],
    redactor: Redactor,
    telemetry: Telemetry,
    clock: LoopClock,
) -> Worker:
    circuits = CircuitBreakers(StoredCircuits(store))
    in_flight, pauses = RunRegistry(Cancellations(store), clock), Pauses(store, clock.monotonic)
    slots = SlotLeases(Slots(store, "bench"), clock)
    return Worker(
        WorkerDependencies(
            catalog,
            runs,
            Runner(checks, circuits, telemetry, clock, redactor),
            telemetry,
            clock,
            owner="bench",
            concurrency=200,
            registry=in_flight,
            gates=gates_in_order(clock=clock, pauses=pauses, runs=runs, cancel_local=in_flight.cancel, slots=slots),
            dead_letters=DeadLetters(store),
        )
    )


@contextmanager
def _logging(redactor: Redactor) -> Iterator[None]:
    """The log, written to nowhere."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.handlers.clear()
    with Path("/dev/null").open("w") as nowhere:
        logs = configure_logging(level="info", format="json", redactor=redactor, stream=nowhere)
        try:
            yield
        finally:
            logs.close()
            root.handlers[:] = handlers
            root.setLevel(level)


async def _edit(catalog: Catalog, jobs: list[JobDefinition]) -> None:
    edits = 0
    while True:
        await asyncio.sleep(EDITED_EVERY)
        edits += 1
        at = edits % len(jobs)
        jobs[at] = _job(at, edits)
        entries = {entry.job.name: entry for entry in catalog}
        entries[jobs[at].name] = _entry(jobs[at])
        catalog.replace(JobSnapshot(entries.values()))


def _entry(job: JobDefinition) -> CatalogJob:
    return CatalogJob(job, "bench")


def _job(number: int, edit: int = 0) -> JobDefinition:
    steps = [
        {"name": "sign in", "url": f"{_HOST}/sign-in", "save": {"token": {"json": "$.access_token"}}},
        {
            "name": "look",
            "url": "/fail" if number % ONE_FAILS_IN == 0 else "/look",
            "headers": {"Authorization": "Bearer ${token}"},
            "allow_plain_http": True,
            "expect": [{"status": 200}, {"body_contains": "well"}],
        },
    ]
    return JobDefinition.model_validate(
        {
            "name": f"steps-{number:03}",
            "schedule": {"every": "1s"},
            "check": {"kind": "steps", "steps": steps},
            "retry": {"attempts": 1},
            "dead_letter": False,
            "tags": {"edit": str(edit)},
        }
    )


class _WorkerHarness(httpx.AsyncClient):
    """Answers at once; each sign-in with another token."""

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._random = random.Random(1)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        await asyncio.sleep(0.01)
        match request.url.path:
            case "/sign-in":
                token = _HEAD + urlsafe_b64encode(self._random.randbytes(TOKEN_BYTES)).decode()
                return httpx.Response(200, content=json.dumps({"access_token": token}).encode(), request=request)
            case "/fail":
                output = f"no access with {request.headers['authorization']}"
                return httpx.Response(500, content=output.encode(), request=request)
            case _:
                return httpx.Response(200, content=b'{"status": "well"}', request=request)


class _Heard(Telemetry):
    """Counts how runs end."""

    def __init__(self, hour: Hour) -> None:
        super().__init__([])
        self._hour = hour

    def run_finished(self, event: Any) -> None:
        super().run_finished(event)
        self._hour.outcomes[event.run.outcome.value] += 1
        if _HEAD in repr(event.run):
            self._hour.leaks.append(repr(event.run)[:300])


class _AtOnce(ThreadPoolExecutor):
    """Does everything in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
