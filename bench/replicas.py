"""Replicas of the embedded host on Azure Tables: one is killed, one is stopped for a while, and their clocks differ.

    ./dev bench replicas                                 two replicas, 300 jobs each 10 s, 10 minutes
    ./dev bench replicas --replicas 3 --jobs 60 --seconds 90 --stop 15

They run on Azurite. The leader is killed after a fifth of the time, and started again as a platform does; after half
of the time the leader of then is stopped (SIGSTOP). The first jobs fail for a while, so that incidents open and end.
At the end the store, the target and the receiver of messages must agree: each instant has one run, and each message
came once.
`--strict`: exit code 1 if they do not, or if a run costs more than `--operations` requests of the store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench._lateness import finished_runs
from bench._operations import Operations
from bench._parts import (
    OPEN_PRODUCTION,
    ROOT,
    await_answer,
    finish,
    free_port,
    get_json,
    percentile,
    settings_removed,
    show,
)
from jobs.runs import Run
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.runs.repository import Runs
from tests.parts.azurite import Azurite, fresh_prefix, running_azurite

FAILING = 3
"""Jobs whose target fails for a while."""
RESTART_AFTER = 5.0
"""Seconds after which the killed replica is started again."""


@dataclass(frozen=True)
class Scenario:
    """`stop`: seconds for which the second leader is stopped, 0: nothing is disturbed. `skew`: between the clocks.

    `every`: seconds between two runs of a job. `settle`: seconds at most for what is late at the end.
    """

    replicas: int = 2
    jobs: int = 300
    seconds: float = 600.0
    stop: float = 60.0
    skew: float = 5.0
    every: int = 10
    settle: float = 30.0

    def offset_ms(self, number: int) -> int:
        """Of a job, so that they are spread."""
        return number * self.every * 1000 // self.jobs


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is not an error."""


class World:
    """The target of all jobs, and the receiver of messages."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """By run: retries are off."""
        self.messages: list[tuple[str, str]] = []
        """The key of the message, and what it is about."""
        self.is_failing = False
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                world.requests[self.headers.get("idempotency-key", "")] += 1
                self._answer(503 if world.is_failing and self.path.startswith("/failing") else 200)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                world.messages.append((self.headers["webhook-id"], json.dumps(body)))
                self._answer(200)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Replica:
    """One process. `skew`: seconds by which its clock is ahead."""

    name: str
    skew: float
    environ: Mapping[str, str]
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)
    url: str = field(init=False)

    def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "bench._skewed", str(self.skew), "serve", "--port", str(port)]
        with (self.folder / f"{self.name}.txt").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log)

    def is_leading(self) -> bool:
        try:
            parts = get_json(f"{self.url}/api/health")["parts"]
        except (OSError, urllib.error.URLError, KeyError):
            return False
        return any(part["name"] == "leader" and "this process leads" in part["message"] for part in parts)


@dataclass
class Result:
    """What was found at the end; each list must be empty."""

    instants: int = 0
    missing: list[str] = field(default_factory=list)
    """The jobs and instants without a run; then those with several, and the runs that neither succeeded nor failed."""
    doubled: list[str] = field(default_factory=list)
    not_well: list[str] = field(default_factory=list)
    repeated_requests: list[str] = field(default_factory=list)
    repeated_messages: list[str] = field(default_factory=list)
    wrong_messages: list[str] = field(default_factory=list)
    wrong_counts: list[str] = field(default_factory=list)
    lateness_s: Sequence[float] = ()
    operations: float = 0.0
    by_kind: Mapping[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> Mapping[str, Sequence[str]]:
        """What must not be. Repeated requests of repeatable checks, in runs that were in flight, are not."""
        return {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, list) and value and isinstance(value[0], str)
        }


def measure(scenario: Scenario, folder: Path) -> Result:
    """Run the whole scenario on a new Azurite. Skips or exits without one."""
    prefix = fresh_prefix()
    operations = Operations(prefix)
    with running_azurite(operations.read) as azurite:
        return play(scenario, folder, azurite, prefix, operations.counts)


def play(
    scenario: Scenario,
    folder: Path,
    azurite: Azurite,
    prefix: str,
    count: Callable[[float, float], Mapping[str, int]] = lambda since, seconds: {},
) -> Result:
    """Run the whole scenario. `count`: the requests of the store by kind, from an instant on for some seconds."""
    world = World()
    with ExitStack() as stack:
        stack.callback(world.close)
        running = _start(scenario, folder, azurite, prefix, world.url)
        stack.callback(_end, running)
        for each in running:
            await_answer(f"{each.url}/api/health/ready", each.process, 60)
        began = time.time()
        if scenario.stop:
            _disturb(running, world, began, scenario.seconds, scenario.stop)
        _sleep_until(began + scenario.seconds)
        counts = count(began, scenario.seconds)
        judge = partial(_judge, scenario, azurite, prefix, world, began, counts)
        _settle(judge, scenario.settle)
        reported = _read_counts(running, scenario.jobs)
        _end(running)
        return asyncio.run(judge(reported))


def _settle(judge: Callable[[Mapping[str, int]], Coroutine[None, None, Result]], limit: float) -> None:
    """Wait for results and messages that are late, as on a loaded machine."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        time.sleep(2)
        result = asyncio.run(judge({}))
        if not (result.missing or result.wrong_messages):
            return


def _start(scenario: Scenario, folder: Path, azurite: Azurite, prefix: str, url: str) -> list[Replica]:
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    (folder / "jobs" / "bench.json").write_text(json.dumps(_job_file(scenario, url)))
    environ = {
        **settings_removed(os.environ),
        **OPEN_PRODUCTION,
        **azurite.settings(prefix),
        "SCHEDULER_JOBS": str(folder / "jobs"),
        "SCHEDULER_PROCESSES": "1",
    }
    found = []
    for number in range(scenario.replicas):
        ahead = scenario.skew * number / max(1, scenario.replicas - 1)
        found.append(Replica(f"replica-{number}", ahead, environ, folder))
        found[-1].start()
    return found


def _job_file(scenario: Scenario, url: str) -> Mapping[str, Any]:
    defined = {}
    for number in range(scenario.jobs):
        alerts = [{"open_after": 1, "close_after": 1, "notify": "ops"}] if number < FAILING else []
        path = f"failing/{number}" if number < FAILING else f"well/{number}"
        defined[_name(number)] = {
            "schedule": {"every": f"{scenario.every}s", "offset": f"{scenario.offset_ms(number)}ms"},
            "check": {"url": f"{url}/{path}"},
            "retry": {"attempts": 1},
            **({"alerts": alerts} if alerts else {}),
        }
    channels = {"ops": {"kind": "webhook", "url": f"{url}/messages"}}
    return {"alerting": {"channels": channels}, "jobs": defined}


def _name(number: int) -> str:
    return f"job-{number:04d}"


def _disturb(running: Sequence[Replica], world: World, began: float, seconds: float, stop: float) -> None:
    """Kill the leader, let targets fail, and stop the leader of then, each at its time."""
    _sleep_until(began + 0.2 * seconds)
    first = _leader(running)
    first.process.kill()
    first.process.wait()
    print(f"{time.time() - began:5.0f} s: {first.name} led and was killed", flush=True)
    time.sleep(RESTART_AFTER)
    first.start()
    _sleep_until(began + 0.4 * seconds)
    world.is_failing = True
    _sleep_until(began + 0.5 * seconds)
    second = _leader(running)
    print(f"{time.time() - began:5.0f} s: {second.name} leads and is stopped for {stop:g} s", flush=True)
    second.process.send_signal(signal.SIGSTOP)
    time.sleep(stop)
    second.process.send_signal(signal.SIGCONT)
    _sleep_until(max(time.time(), began + 0.7 * seconds))
    world.is_failing = False


def _leader(running: Sequence[Replica]) -> Replica:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for each in running:
            if each.is_leading():
                return each
        time.sleep(0.2)
    sys.exit("no replica leads")


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


def _end(running: Sequence[Replica]) -> None:
    for each in running:
        each.process.send_signal(signal.SIGCONT)
        each.process.terminate()
    for each in running:
        try:
            each.process.wait(20)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait()


def _read_counts(running: Sequence[Replica], jobs: int) -> Mapping[str, int]:
    """Return the runs of each job as the statistics of one replica have them."""
    url = running[-1].url
    return {
        name: get_json(f"{url}/api/jobs/{name}/stats")["stats"]["runs"]
        for name in (_name(n) for n in range(min(jobs, 20)))
    }


async def _judge(
    scenario: Scenario,
    azurite: Azurite,
    prefix: str,
    world: World,
    began: float,
    counts: Mapping[str, int],
    reported: Mapping[str, int],
) -> Result:
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)
    found = await finished_runs(Runs(store))
    await store.aclose()
    # A clock that is ahead has run what is due soon already; after a takeover by another one it is due again.
    since, ended = began + scenario.every + scenario.skew, began + scenario.seconds
    inside = [run for run in found if since <= run.due_at.timestamp() < ended]
    result = Result(instants=0)
    by_job: dict[str, list[Run]] = {}
    for run in inside:
        by_job.setdefault(run.job, []).append(run)
    for number in range(scenario.jobs):
        due = _instants(since, ended, scenario.offset_ms(number) / 1000, scenario.every)
        seen = Counter(round(run.due_at.timestamp(), 3) for run in by_job.get(_name(number), []))
        result.instants += len(due)
        result.missing += [f"{_name(number)}@{_show(at)}" for at in due if not seen[at]]
        result.doubled += [f"{_name(number)}@{_show(at)}" for at, times in seen.items() if times > 1]
    well = [run for run in inside if run.outcome.value in ("succeeded", "failed")]
    result.not_well = [f"{run.id}: {run.outcome}: {run.message}" for run in inside if run not in well]
    ids = {run.id for run in inside}
    result.lateness_s = [(run.started_at - run.due_at).total_seconds() for run in well if run.started_at]
    _judge_requests(result, world, ids)
    per_job = Counter(run.job for run in found)
    result.wrong_counts = [
        f"{name}: statistics have {number}, the store {per_job[name]}"
        for name, number in reported.items()
        if not 0 <= per_job[name] - number <= 3  # runs since the statistics were read
    ]
    result.by_kind = counts
    result.operations = sum(counts.values()) / max(
        1, len([run for run in found if began <= run.due_at.timestamp() < ended])
    )
    return result


def _judge_requests(result: Result, world: World, ids: set[str]) -> None:
    repeated = [f"{run}: {times} requests" for run, times in world.requests.items() if times > 1 and run in ids]
    result.repeated_requests = repeated
    keys = Counter(key for key, _ in world.messages)
    result.repeated_messages = [f"{key}: {times} times" for key, times in keys.items() if times > 1]
    bodies = [json.loads(body) for _, body in world.messages]
    # A message about the scheduler itself is of a machine that has too little CPU for all of this.
    kinds = Counter(body["transition"] for body in bodies if body["subject"].startswith("job-"))
    # Jobs that fail together are one incident.
    if not (1 <= kinds["opened"] <= FAILING and kinds == {"opened": kinds["opened"], "resolved": kinds["opened"]}):
        result.wrong_messages = [f"expected 1 to {FAILING} opened and as many resolved, got {dict(kinds)}"]


def _instants(began: float, ended: float, offset: float, every: int) -> list[float]:
    first = (began - offset) // every * every + offset
    candidates = (round(first + every * step, 3) for step in range(int((ended - began) // every) + 3))
    return [at for at in candidates if began <= at < ended]


def _show(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def main(words: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Scenario()
    options.add_argument("--replicas", type=int, default=usual.replicas)
    options.add_argument("--jobs", type=int, default=usual.jobs)
    options.add_argument("--seconds", type=float, default=usual.seconds)
    options.add_argument("--stop", type=float, default=usual.stop, help="seconds of a leader; 0: undisturbed")
    options.add_argument("--skew", type=float, default=usual.skew, help="seconds between the first and the last clock")
    options.add_argument("--operations", type=float, default=0.3, help="requests of the store for a run at most")
    options.add_argument("--folder", type=Path, help="for the logs; default: a temporary one")
    options.add_argument("--strict", action="store_true")
    chosen = options.parse_args(words)
    with _folder(chosen.folder) as folder:
        result = measure(Scenario(chosen.replicas, chosen.jobs, chosen.seconds, chosen.stop, chosen.skew), folder)
    show(("operation", "a run"), [(kind, number / max(1, result.instants)) for kind, number in result.by_kind.items()])
    for name, listed in result.problems.items():
        print(f"{name}: {len(listed)}, such as {'; '.join(listed[:5])}")
    lateness = result.lateness_s
    finish(
        instants=result.instants,
        missing=len(result.missing),
        doubled=len(result.doubled),
        not_well=len(result.not_well),
        repeated_requests=len(result.repeated_requests),
        repeated_messages=len(result.repeated_messages),
        lateness_p50=percentile(lateness, 0.5),
        lateness_p99=percentile(lateness, 0.99),
        lateness_max=max(lateness),
        operations=result.operations,
    )
    is_wrong = bool(result.problems) or result.operations > chosen.operations
    return 1 if chosen.strict and is_wrong else 0


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="scheduler-replicas-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
