"""Other programs that watch targets, measured for comparison: Gatus, and Prometheus' blackbox_exporter.

Used by bench.run_cost. Written by their public documentation; the user gives the paths of the programs. Gatus schedules
its checks itself. The exporter probes on request, so a process of ours sends the requests, as Prometheus would; its
cost is not counted.

Started as a program it is that process: `python -m bench._peers URL EVERY PATH...`
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from bench._parts import ROOT, await_answer, free_port, on_core, tail

PATIENCE = 60.0
"""Seconds until a peer must answer; reading ten thousand targets takes it a while."""

Peer = Callable[[Path, Sequence[str], int], AbstractContextManager[int]]
"""Run over a temporary folder, the targets' URLs and the seconds between two checks of one; gives its process id."""


def gatus(path: Path) -> Peer:
    """Gatus with a condition on the status and results in memory, all checks at a time as it likes."""

    @contextmanager
    def run(folder: Path, urls: Sequence[str], every: int) -> Iterator[int]:
        port = free_port()
        configuration = {
            "web": {"address": "127.0.0.1", "port": port},
            "storage": {"type": "memory"},
            "concurrency": 0,  # no limit; older versions know the other word
            "disable-monitoring-lock": True,
            "endpoints": [
                {"name": f"e{number}", "url": url, "interval": f"{every}s", "conditions": ["[STATUS] == 200"]}
                for number, url in enumerate(urls)
            ],
        }
        file = folder / "gatus.yaml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        environ = os.environ | {"GATUS_CONFIG_PATH": str(file), "GATUS_LOG_LEVEL": "WARN"}
        with _running([str(path)], folder, f"http://127.0.0.1:{port}/health", environ) as process:
            yield process.pid

    return run


def blackbox(path: Path) -> Peer:
    """blackbox_exporter with an HTTP module that takes every 2xx."""

    @contextmanager
    def run(folder: Path, urls: Sequence[str], every: int) -> Iterator[int]:
        address = f"127.0.0.1:{free_port()}"
        file = folder / "blackbox.yml"
        module = {"prober": "http", "timeout": "10s", "http": {"preferred_ip_protocol": "ip4"}}
        file.write_text(json.dumps({"modules": {"http_2xx": module}}))
        command = [str(path), f"--config.file={file}", f"--web.listen-address={address}"]
        with _running(command, folder, f"http://{address}/-/healthy", dict(os.environ)) as process:
            paths = [f"/probe?module=http_2xx&target={quote(url, safe='')}" for url in urls]
            (folder / "probes.txt").write_text("\n".join(paths))
            prober = [sys.executable, "-m", "bench._peers", f"http://{address}", str(every), str(folder / "probes.txt")]
            with on_core(1), _stopped(subprocess.Popen(prober, cwd=ROOT)):
                yield process.pid

    return run


@contextmanager
def _running(
    command: Sequence[str], folder: Path, ready: str, environ: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The program until the block ends, from when it answers on."""
    output = folder / "peer.txt"
    with output.open("wb") as log, on_core(0):
        try:
            process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        except OSError as error:
            sys.exit(f"{command[0]} cannot be started: {error.strerror}")
    with _stopped(process):
        try:
            await_answer(ready, process, PATIENCE)
        except RuntimeError as error:
            sys.exit(f"{error}\n{tail(output)}")
        yield process


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the process with the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _ask_all(url: str, every: float, paths: Sequence[str]) -> None:
    """Request each path every so many seconds, spread over them, on persistent connections."""
    address = urlsplit(url)
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send_request(path: str) -> None:
        connection = free.pop() if free else await asyncio.open_connection(address.hostname or "", address.port or 0)
        reader, writer = connection
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await _read_body(reader, head)
        except (OSError, EOFError, ValueError):
            writer.close()
        else:
            free.append(connection)

    probes: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    for number in itertools.count():
        due = began + number * every / len(paths)
        if (left := due - time.monotonic()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(send_request(paths[number % len(paths)]))
        probes.add(task)
        task.add_done_callback(probes.discard)


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Raises ValueError if the connection cannot be used again."""
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
    if headers.get(b"connection") == b"close":
        await reader.read()
        raise ValueError("it is closed")
    if headers.get(b"transfer-encoding") == b"chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        await reader.readexactly(int(headers[b"content-length"]))


if __name__ == "__main__":
    asyncio.run(_ask_all(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]).read_text().split("\n")))
