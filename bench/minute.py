"""10,000 jobs due in the same second: how long their runs take, how true their response times are, and the API.

The target answers after 50 ms and notes how long each request took at its side. `--starved` leaves the program
a tenth of each core next to `stress-ng`; no run may blame its target then. `--stop SECONDS` stops the process
(SIGSTOP) while 200 jobs are in all phases of an attempt instead. The exit code is 1 if a run failed, is missing or was
doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from bench._lateness import finished_runs
from bench._parts import (
    HEAD,
    PROCESSES,
    ROOT,
    await_answer,
    children,
    finish,
    free_port,
    get_json,
    percentile,
    program,
    show,
)
from jobs.runs import Run
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

ANSWER_S = 0.05
"""Seconds after which the target answers."""
DELAYS_S = (0.0, 0.3, 0.7, 1.2)
"""The same with `--stop`: the stop hits attempts before, in and after a request."""
PATIENCE_S = 240.0
"""Seconds in which the runs of the minute must be recorded."""
AFTER_STOP_S = 15.0
NICENESS = 10
"""Leaves a tenth of a core to a process next to one with the usual priority."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--processes", default="1", help="as the option of `serve`")
    options.add_argument("--starved", action="store_true", help="with a tenth of each core, next to stress-ng")
    options.add_argument("--stop", type=float, default=0.0, metavar="SECONDS", help="stop the process for so long")
    options.add_argument("--target", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    os.environ[PROCESSES] = chosen.processes
    if chosen.target:
        asyncio.run(_serve_target(chosen.target))
        return
    with tempfile.TemporaryDirectory() as folder, _target() as url:
        measure = _measure_stop if chosen.stop else _measure_minute
        sys.exit(measure(Path(folder), url, chosen))


def _measure_minute(folder: Path, url: str, chosen: argparse.Namespace) -> int:
    jobs = {
        f"minute-{number:05}": {"schedule": "0 * * * * *", "check": {"kind": "http", "url": f"{url}/after/{ANSWER_S}"}}
        for number in range(chosen.jobs)
    }
    with program(folder, jobs) as (process, api):
        due = (time.time() // 60 + 1) * 60
        with _stress(process.pid) if chosen.starved else nullcontext():
            time.sleep(max(0.0, due - 1 - time.time()))
            times, polling = _poll(api)
            runs = asyncio.run(_recorded(folder / "bench.db", due, chosen.jobs))
            polling.set()
        at_target = get_json(f"{url}/answers")
        incidents = [incident["subject"] for incident in get_json(f"{api}/api/incidents?limit=100")["incidents"]]
    return _report(runs, due, chosen.jobs, at_target, times, incidents)


def _report(
    runs: Sequence[Run],
    due: float,
    count: int,
    at_target: Mapping[str, list[list[float]]],
    api_s: Sequence[float],
    incidents: Sequence[str],
) -> int:
    outcomes = Counter(run.outcome.value for run in runs)
    answered = [run for run in runs if run.response_time_ms is not None and run.id in at_target]
    errors = [abs((run.response_time_ms or 0.0) - at_target[run.id][0][1] * 1000) for run in answered] or [0.0]
    trusted = [
        abs((run.response_time_ms or 0.0) - at_target[run.id][0][1] * 1000) for run in answered if not run.starved
    ] or [0.0]
    last_s = max((arrivals[-1][0] for arrivals in at_target.values()), default=due) - due
    doubled = len(runs) - len({run.id for run in runs}) + sum(len(arrivals) > 1 for arrivals in at_target.values())
    blamed = sum(run.outcome.down for run in runs)
    show(("runs of one second", "number"), list(outcomes.items()))
    for title in incidents:
        print(f"incident: {title}")
    figures = {
        "all_after_s": last_s,
        "error_p50_ms": percentile(errors, 0.5),
        "error_p99_ms": percentile(errors, 0.99),
        "reliable_error_p99_ms": percentile(trusted, 0.99),
        "api_p50_ms": percentile(api_s or [0.0], 0.5) * 1000,
        "api_p99_ms": percentile(api_s or [0.0], 0.99) * 1000,
        "blamed": blamed,
        "doubled": doubled,
        "missing": count - len({run.id for run in runs}),
    }
    show(("figure", "value"), list(figures.items()))
    finish(**figures)
    return 1 if blamed or doubled or figures["missing"] else 0


def _measure_stop(folder: Path, url: str, chosen: argparse.Namespace) -> int:
    count = min(chosen.jobs, 200)
    jobs = {
        f"stop-{number:03}": {
            "schedule": {"every": "2s", "offset": f"{number * 2000 // count}ms"},
            "check": {"kind": "http", "url": f"{url}/after/{DELAYS_S[number % len(DELAYS_S)]}"},
            "timeout": {"attempt": "2s", "run": "4s"},
            "retry": {"attempts": 1},
        }
        for number in range(count)
    }
    with program(folder, jobs) as (process, api):
        time.sleep(AFTER_STOP_S / 2)
        pids = [process.pid, *children(process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(chosen.stop)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        time.sleep(AFTER_STOP_S)
        runs = asyncio.run(_read_runs(folder / "bench.db"))
        changes = get_json(f"{api}/api/changes?limit=500")["changes"]
        incidents = get_json(f"{api}/api/incidents?limit=100")["incidents"]
    blamed = [run for run in runs if run.outcome.down]
    for run in blamed[:5]:
        print(f"{run.id}: {run.message}")
    down = [change for change in changes if change.get("to") == "down"]
    show(("runs", "number"), list(Counter(run.outcome.value for run in runs).items()))
    finish(stopped_s=chosen.stop, runs=len(runs), blamed=len(blamed), down=len(down), incidents=len(incidents))
    return 1 if blamed or down else 0


async def _recorded(store: Path, due: float, count: int) -> list[Run]:
    """Return the runs of the instant, once all are recorded or the time is over."""
    end = time.monotonic() + PATIENCE_S
    while True:
        await asyncio.sleep(5)
        runs = [run for run in await _read_runs(store) if run.due_at.timestamp() == due]
        if len(runs) >= count or time.monotonic() > end:
            return runs


async def _read_runs(path: Path) -> list[Run]:
    store = await open_sqlite(path, StoreAccess.READ_ONLY)
    try:
        return await finished_runs(Runs(store))
    finally:
        await store.aclose()


def _poll(api: str) -> tuple[list[float], threading.Event]:
    """Read the API four times a second, until the event is set. Return the growing list of seconds."""
    times: list[float] = []
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.25):
            began = time.perf_counter()
            with suppress(TimeoutError), urllib.request.urlopen(f"{api}/api/jobs?limit=50", timeout=60) as answer:
                answer.read()
            times.append(time.perf_counter() - began)

    threading.Thread(target=read, daemon=True).start()
    return times, over


@contextmanager
def _stress(pid: int) -> Iterator[None]:
    """Leave the process and its children a tenth of each core, next to a busy worker a core."""
    if shutil.which("stress-ng") is None:
        sys.exit("--starved needs stress-ng")
    for each in (pid, *children(pid)):
        os.setpriority(os.PRIO_PROCESS, each, NICENESS)
        for thread in Path(f"/proc/{each}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICENESS)
    process = subprocess.Popen(["stress-ng", "--quiet", "--cpu", str(os.cpu_count() or 1)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class _Answering(asyncio.Protocol):
    """Answers `/after/SECONDS` so late, and `/answers` with the arrival and the seconds of each run's requests."""

    def __init__(self, answers: dict[str, list[tuple[float, float]]]) -> None:
        self._answers = answers
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        path = self._head.split(b" ", 2)[1].decode()
        if path == "/answers":
            self._write(json.dumps(self._answers).encode())
            return
        delay = float(path.rpartition("/")[2]) if path.startswith("/after/") else 0.0
        asyncio.get_running_loop().call_later(delay, self._answer, time.time())

    def _answer(self, arrived: float) -> None:
        _, _, rest = self._head.lower().partition(b"\r\nidempotency-key:")
        run = self._head[len(self._head) - len(rest) :].split(b"\r\n")[0].strip().decode()
        self._answers.setdefault(run, []).append((arrived, time.time() - arrived))
        self._write(b'{"status":"ok"}')

    def _write(self, body: bytes) -> None:
        self._transport.write(HEAD % len(body) + body)
        self._transport.close()


async def _serve_target(port: int) -> None:
    answers: dict[str, list[tuple[float, float]]] = {}
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answering(answers), "127.0.0.1", port, backlog=16_384
    )
    await server.serve_forever()


@contextmanager
def _target() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.minute", "--target", str(port)], cwd=ROOT)
    try:
        await_answer(f"http://127.0.0.1:{port}/ready", process, 10)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
