"""Many processes of one program, each at the cost of a fork: for tests that kill them faster than Python starts.

    async with ForkServer("tests.parts.functions_herd", environ, ROOT, output) as server:
        pid = await server.fork("worker")           # a line, the order of the process

One process, the module that is named, has imported everything and nothing else: it holds no connection, thread or loop
that a fork would share. It calls `serve_forks`. What it started ends with it, and it ends with the test's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Self


class ForkServer:
    """`environ`: the whole environment. `output` gets the output of all processes."""

    def __init__(self, module: str, environ: Mapping[str, str], cwd: Path, output: IO[bytes]) -> None:
        self._module = module
        self._environ = environ
        self._cwd = cwd
        self._output = output

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            cwd=self._cwd,
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

    async def fork(self, order: str) -> int:
        """Start a process. Return its id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{order}\n".encode())
        return int(await self._process.stdout.readline())

    async def wait(self, pid: int) -> None:
        """Return when the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.002)


def serve_forks(modules: Iterable[str], become: Callable[[str], int]) -> None:
    """Fork a process for each line of stdin, and write its id; at the end of stdin kill them all.

    `modules` are imported before. `become`: obeys the line, and returns the exit code.
    """
    for name in modules:
        importlib.import_module(name)
    # Killed processes are not awaited.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pids = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(become, line.strip())
        pids.append(pid)
        print(pid, flush=True)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _run(become: Callable[[str], int], order: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    code = 1
    try:
        code = become(order)
    finally:
        os._exit(code)
