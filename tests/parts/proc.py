"""The program in a separate process: `python -m scheduler ...`, with a clean environment, limited to loopback.

    port = free_port()
    async with Program("serve", "--port", str(port), env={"SCHEDULER_...": "..."}, cwd=tmp_path) as program:
        await program.ready(f"http://127.0.0.1:{port}/health/ready")    # until 2xx; `within` seconds, default 90
        program.signal(signal.SIGTERM)                                  # or program.kill() for a crash
        code = await program.exited()                                   # `within` seconds, default 90
        program.stdout, program.stderr                                  # so far

    finished = await run("validate", "jobs.yaml")                         # to its end: .code, .stdout, .stderr
    Program("-c", "print(1)", module=None)                                # any other Python program
    ForkedProgram("pause", "checkout")                                    # as Program, without the time of imports

The environment holds PATH, HOME, the language, the project on PYTHONPATH, and what `env` adds. SCHEDULER_PROCESSES
in the environment of pytest counts for all hosts that tests start. A child that looks up or connects to anything but
loopback fails the test (see network_guard). What is running at the end of the block is killed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.parts.forks import Fork
from tests.parts.network_guard import REFUSED

ROOT = Path(__file__).resolve().parents[2]
GUARDED = Path(__file__).resolve().parent / "guarded"

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_PROCESSES = {name: os.environ[name] for name in ("SCHEDULER_PROCESSES",) if name in os.environ}
_POLL_SECONDS = 0.02


_held = contextlib.ExitStack()
atexit.register(_held.close)


def free_port() -> int:
    """A port that is this process's as long as it lives: other tests of this machine that ask for one get another one,
    and no client's connection begins there. A program that gets its number can listen on it, one after the other."""
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(socket.socket())
        # So that others may bind it, too, and listen, as long as this one does not.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        if sys.platform == "linux":
            _held.push(stack.pop_all())
        return int(holder.getsockname()[1])


def clean_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child process is given."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    measured = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    path = os.pathsep.join([str(GUARDED), str(ROOT)])
    return {**passed_on, **measured, **_PROCESSES, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})}


class Program:
    """A child process; it starts with the block."""

    def __init__(
        self,
        *arguments: str,
        module: str | None = "scheduler",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = [sys.executable, *(["-m", module] if module else []), *arguments]
        self._env = clean_environment(env)
        self._cwd = cwd
        self._output: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    @property
    def stdout(self) -> str:
        return self._output["stdout"].decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self._output["stderr"].decode(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    @property
    def state(self) -> str:
        """For a failure's message: whether it runs, and its whole output."""
        state = "the program runs" if self.running else f"the program ended with {self._process.returncode}"
        return f"{state}\n{self.stdout}\n{self.stderr}"

    async def _start(self) -> asyncio.subprocess.Process | Fork:
        return await asyncio.create_subprocess_exec(
            *self._command,
            env=self._env,
            cwd=self._cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __aenter__(self) -> Self:
        self._process = await self._start()
        self._readers = asyncio.gather(
            _collect(self._process.stdout, self._output["stdout"]),
            _collect(self._process.stderr, self._output["stderr"]),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self._process.wait()
        await self._read_the_rest()
        self._readers.cancel()
        refused = [line for line in self.stderr.splitlines() if REFUSED in line]
        assert not refused, f"the program left loopback: {refused}"

    async def _read_the_rest(self) -> None:
        """After its end: asyncio may report the end of a process before its pipes have been read."""
        # A grandchild may hold the pipes open.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._readers), 5)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """A crash, as SIGKILL makes it. Nothing happens when it has ended already."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ready(self, url: str, within: float = 90.0) -> None:
        """Until the URL answers 2xx. Raises AssertionError with the program's output when it ends or takes too long."""
        status: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.running:
                    status = await _status_of(url)
                    if status is not None and 200 <= status < 300:
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        if not self.running:
            await self._read_the_rest()
        state = f"it answers {status or 'nothing'}\n" if self.running else ""
        raise AssertionError(f"{url} is not ready after {within} s: {state}{self.state}")

    async def exited(self, within: float = 90.0) -> int:
        """The exit code; minus the signal's number when a signal ended it. Raises TimeoutError."""
        async with asyncio.timeout(within):
            code = await self._process.wait()
            await asyncio.shield(self._readers)
        return code


class ForkedProgram(Program):
    """`python -m scheduler ...` as a fork of a process that has imported it: the same but for the second of CPU time
    that Python needs to import it."""

    async def _start(self) -> Fork:
        return await Fork.start(self._command[3:], self._env, self._cwd)


@dataclass(frozen=True)
class Finished:
    """A program that ran to its end."""

    code: int
    stdout: str
    stderr: str


async def run(
    *arguments: str,
    module: str | None = "scheduler",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    within: float = 100.0,
) -> Finished:
    """Run to the end. Raises TimeoutError."""
    async with Program(*arguments, module=module, env=env, cwd=cwd) as program:
        code = await program.exited(within)
    return Finished(code, program.stdout, program.stderr)


async def _collect(stream: asyncio.StreamReader | None, output: bytearray) -> None:
    assert stream is not None
    while data := await stream.read(65536):
        output += data


async def _status_of(url: str) -> int | None:
    """Requested without a client: its pool would keep a connection that the program waits for at its end."""
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return None
    try:
        target = f"{parts.path or '/'}?{parts.query}".rstrip("?")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return int(line.split()[1]) if line.startswith(b"HTTP/") else None
    except OSError:
        return None
    finally:
        writer.transport.abort()
