"""Many processes of functions_style, each at the cost of a fork: for tests that kill them faster than Python starts.

    async with Herd(environ, Platform(hidden=4), output) as herd:
        pid = await herd.start("worker")
        os.kill(pid, signal.SIGKILL)                # ProcessLookupError: it has ended by itself

One process has imported everything, and nothing else: it holds no connection, thread or loop that a fork would share.
What it started ends with it, and it ends with the test's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Self

from tests.parts.functions_style import VARIABLE, Kind, Platform, be, prepare
from tests.parts.proc import ROOT, clean_environment

_USED = (
    "aiohttp",
    "azure.data.tables.aio",
    "azure.storage.queue.aio",
    "scheduler.dispatch.azure_depth",
    "scheduler.dispatch.azure_queue",
    "scheduler.hosts.functions.program_loader",
    "scheduler.stores.azure.store",
    "scheduler.stores.azure.opening",
)
"""What a process would import when its first message comes."""


class Herd:
    """`output` takes what the processes say."""

    def __init__(self, environ: Mapping[str, str], platform: Platform, output: IO[bytes]) -> None:
        self._environ = clean_environment({**environ, VARIABLE: json.dumps(asdict(platform))})
        self._output = output

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.parts.functions_herd",
            cwd=ROOT,
            env=self._environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._output,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def start(self, kind: Kind) -> int:
        """Its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind}\n".encode())
        return int(await self._process.stdout.readline())


def main() -> None:
    """Fork a process for each line of stdin that names a kind, and write its id; at the end of stdin kill them all."""
    prepare()
    for name in _USED:
        importlib.import_module(name)
    # Killed processes are not awaited.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pids = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(line.strip())
        pids.append(pid)
        print(pid, flush=True)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _become(kind: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        be(kind)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
