"""Runs a command of the CLI inside the test's process, in a pipe or on a terminal that is played.

said = invoke("next", "*/5 * * * *", "--count", "1")
said.code, said.stdout, said.stderr
invoke("jobs", terminal=True).stdout           # without colours and control sequences
await invoke_beside("run", "checkout-api")     # in a process, beside servers on the test's own loop
"""

from __future__ import annotations

import asyncio
import importlib
import io
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection

from scheduler.cli.main import main
from tests.parts.forks import PRELOADED
from tests.parts.network_guard import GUARD

_FORKS = multiprocessing.get_context("forkserver")
"""A command starts a fork of a process that has imported the program, which takes milliseconds."""
_FORKS.set_forkserver_preload([__name__, *PRELOADED])
_LIMIT = 60.0
"""Seconds after which a command that hangs fails its test."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True)
class CommandResult:
    """How a command ended and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def invoke(*arguments: str, terminal: bool = False, colours: bool = False) -> CommandResult:
    """To its end. `colours`: leave the control sequences of a terminal in the texts."""
    stdout, stderr = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    with redirect_stdout(stdout), redirect_stderr(stderr), _arguments(arguments):
        code = main()
    texts = (stdout.getvalue(), stderr.getvalue())
    return CommandResult(code, *(_CONTROL.sub("", text) if terminal and not colours else text for text in texts))


async def invoke_in_thread(*arguments: str, terminal: bool = False) -> CommandResult:
    """Run the command in a thread, beside servers: a tenth of the CPU of `invoke_concurrently`.

    For one command at a time, and not for those that handle signals.
    """
    return await asyncio.to_thread(invoke, *arguments, terminal=terminal)


async def invoke_concurrently(
    *arguments: str, terminal: bool = False, patches: Mapping[str, object] | None = None
) -> CommandResult:
    """Run the command in a process with this one's environment and folder.

    `patches`: values of module attributes that the process sets first, by dotted name. Raises TimeoutError, and
    AssertionError when the process ends without a result or leaves loopback.
    """
    receiver, sender = _FORKS.Pipe(duplex=False)
    given = (sender, arguments, terminal, dict(os.environ), os.getcwd(), dict(patches or {}))
    process = _FORKS.Process(target=_perform, args=given, daemon=True)
    process.start()
    sender.close()
    try:
        await _until_readable(receiver)
        output, attempts = receiver.recv()
    except EOFError:
        raise AssertionError(f"the process of {arguments} ended without a result, see its stderr") from None
    finally:
        receiver.close()
        process.kill()
        process.join()
    assert not attempts, f"the command tried to {', '.join(attempts)}"
    assert isinstance(output, CommandResult)
    return output


async def _until_readable(receiver: Connection) -> None:
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(receiver.fileno(), readable.set)
    try:
        async with asyncio.timeout(_LIMIT):
            await readable.wait()
    finally:
        loop.remove_reader(receiver.fileno())


def _perform(
    sender: Connection,
    arguments: tuple[str, ...],
    terminal: bool,
    environment: dict[str, str],
    folder: str,
    patches: dict[str, object],
) -> None:
    """Run in the process."""
    GUARD.install()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    for name, value in patches.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    output = invoke(*arguments, terminal=terminal)
    sender.send((output, GUARD.attempts))


@contextmanager
def _arguments(arguments: tuple[str, ...]) -> Iterator[None]:
    before, sys.argv = sys.argv, ["scheduler", *arguments]
    try:
        yield
    finally:
        sys.argv = before
