"""What the benches share: a target and the program, each in a separate process, tables, percentiles."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
ANSWER = HEAD % 15 + b'{"status":"ok"}'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


OPEN_PRODUCTION = {
    "SCHEDULER_ENVIRONMENT": "test",
    "SCHEDULER_LOG__LEVEL": "info",
    "SCHEDULER_RETENTION__AGE": "30d",
    "SCHEDULER_SECRETS__UNBOUND": "deny",
    "SCHEDULER_IDENTITY__UNBOUND": "deny",
    "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8",
}
"""The settings of production, but the API needs no authentication and has no limits of requests."""
PROCESSES = "BENCH_PROCESSES"
"""Environment variable: how many processes the measured program has, 1 by default."""
_CORES = sorted(os.sched_getaffinity(0))
_RUN_ID = re.compile(rb"\r\nidempotency-key: *([^\r]+)", re.IGNORECASE)


class _Answering(asyncio.Protocol):
    """Answers every request alike and notes when it came, by path and by run."""

    def __init__(self, by_path: dict[str, list[float]], by_run: dict[str, list[float]]) -> None:
        self._arrivals = {"/arrivals": by_path, "/arrivals/runs": by_run}
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        now = time.time()
        path = self._head.split(b" ", 2)[1].decode()
        assert isinstance(self._transport, asyncio.WriteTransport)
        if path in self._arrivals:
            body = json.dumps(self._arrivals[path]).encode()
            self._transport.write(HEAD % len(body) + body)
        else:
            self._note(path, now)
            self._transport.write(ANSWER)
        self._transport.close()

    def _note(self, path: str, now: float) -> None:
        self._arrivals["/arrivals"].setdefault(path, []).append(now)
        if found := _RUN_ID.search(self._head):
            self._arrivals["/arrivals/runs"].setdefault(found[1].decode(), []).append(now)


async def _serve_target(port: int) -> None:
    by_path: dict[str, list[float]] = {}
    by_run: dict[str, list[float]] = {}
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answering(by_path, by_run), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


@contextmanager
def target() -> Iterator[str]:
    """A target process; gives its URL. `/arrivals` answers with the arrival times (Unix seconds) of every path,
    `/arrivals/runs` with those of every run."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench._parts", str(port)], cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(f"{url}/ready", process, 10)
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def program(
    folder: Path, jobs: Mapping[str, Any], command: Sequence[str] = (), **environ: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`python -m scheduler serve`, or another command that serves, over these jobs; its process and URL once ready."""
    job_folder = folder / "jobs"
    job_folder.mkdir(parents=True, exist_ok=True)
    (job_folder / "bench.json").write_text(json.dumps({"jobs": jobs}))
    port = free_port()
    settings = {
        **OPEN_PRODUCTION,
        "SCHEDULER_JOBS": str(job_folder),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'bench.db'}",
        "SCHEDULER_PORT": str(port),
        "SCHEDULER_PROCESSES": os.environ.get(PROCESSES, "1"),
    }
    command = command or [sys.executable, "-m", "scheduler", "serve"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=settings_removed(os.environ) | settings | environ, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        try:
            await_answer(f"{url}/api/health/ready", process, 60)
        except RuntimeError as error:
            sys.exit(f"{error}\n{tail(folder / 'log.txt')}")
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def settings_removed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the program's settings."""
    return {name: value for name, value in environ.items() if not name.startswith("SCHEDULER_")}


def tail(log: Path) -> str:
    """The last lines of a log that are not merely information."""
    lines = [line[:500] for line in log.read_text(errors="replace").splitlines() if '"Level":"INFO"' not in line]
    return "\n".join(lines[-10:])


def await_answer(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Until the URL answers 200. Raises RuntimeError if the process ends or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the process behind {url} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {seconds:g} s")


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """What is started in the block runs on this core alone, if there is one of that number (Linux)."""
    mine = os.sched_getaffinity(0)
    if number < len(_CORES):
        os.sched_setaffinity(0, {_CORES[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far (Linux)."""
    ticks = 0
    for each in (pid, *children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rss_mib(pid: int | str) -> float:
    """Resident memory of a process and its children, or of "self" (Linux)."""
    pids = (pid,) if pid == "self" else (pid, *children(int(pid)))
    lines = [line for each in pids for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def show(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table of text, numbers with three digits behind the point."""
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def finish(**figures: float) -> None:
    """The last line of every bench."""
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    asyncio.run(_serve_target(int(sys.argv[1])))
