"""`scheduler ...` as a fork of a process that has imported the program. Called by tests.parts.proc.

The fork has its own environment, working folder and pipes. At its end exit functions of Python run, as in a
process that Python has started. What the program imports when is not visible here; tests/scheduler/cli/test_main.py and
tests/scheduler/test_first_run.py prove it with processes of Python.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Self

from tests.parts.network_guard import GUARD

_FORKS = multiprocessing.get_context("forkserver")
PRELOADED = (
    "aiohttp",
    "anyio._core._sockets",
    "config.loading",
    "fastapi",
    "jobs.checks.kinds.http",
    "rich.status",
    "rich.table",
    "scheduler.api.app",
    "scheduler.app.program",
    "scheduler.app.read_only",
    "scheduler.cli.main",
    "scheduler.cli.context",
    "scheduler.cli.progress",
    "scheduler.cli.run_report",
    "scheduler.hosts.embedded.host",
    "scheduler.stores.azure.store",
    "scheduler.stores.sqlite.store",
    "secure.middleware",
    "uvicorn",
    "uvloop",
)


class Fork:
    """A running process, with the part of asyncio.subprocess.Process that Program uses."""

    def __init__(self, process: ForkServerProcess, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader) -> None:
        self._process = process
        self.stdout, self.stderr = stdout, stderr
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(process.sentinel, self._on_end)

    @classmethod
    async def start(cls, arguments: Sequence[str], environment: dict[str, str], folder: Path | None) -> Self:
        """Start `scheduler` with these arguments."""
        _FORKS.set_forkserver_preload([__name__, *PRELOADED])
        readers, writers = zip(*(_FORKS.Pipe(duplex=False) for _ in range(2)), strict=True)
        given = (writers, [*arguments], environment, str(folder or os.getcwd()))
        process = _FORKS.Process(target=_become_program, args=given, daemon=True)
        process.start()
        for writer in writers:
            writer.close()
        return cls(process, *[await _stream(reader) for reader in readers])

    def _on_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


async def _stream(reader: Connection) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(stream)
    pipe = os.fdopen(os.dup(reader.fileno()), "rb", buffering=0)
    reader.close()
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    return stream


def _become_program(
    writers: Sequence[Connection], arguments: list[str], environment: dict[str, str], folder: str
) -> None:
    """Run in the fork."""
    for descriptor, writer in zip((1, 2), writers, strict=True):
        os.dup2(writer.fileno(), descriptor)
        writer.close()
    sys.stdout, sys.stderr = (os.fdopen(each, "w", encoding="utf-8", buffering=1, closefd=False) for each in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    GUARD.announce = True
    GUARD.install()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["scheduler", *arguments]
    from scheduler.cli.main import main

    try:
        code = main()
    finally:
        with contextlib.suppress(BrokenPipeError):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    sys.exit(code)
