"""Runs a command of the CLI inside the test's process, in a pipe or on a terminal that is played.

said = invoke("next", "*/5 * * * *", "--count", "1")
said.code, said.stdout, said.stderr
invoke("jobs", terminal=True).stdout           # without colours and control sequences
await invoke_beside("run", "checkout-api")     # in a thread, beside servers on the test's own loop
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial

from scheduler.cli.main import main

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True)
class Said:
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


def invoke(*arguments: str, terminal: bool = False) -> Said:
    """To its end."""
    stdout, stderr = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    with redirect_stdout(stdout), redirect_stderr(stderr), _arguments(arguments):
        code = main()
    texts = (stdout.getvalue(), stderr.getvalue())
    return Said(code, *(_CONTROL.sub("", text) if terminal else text for text in texts))


async def invoke_beside(*arguments: str, terminal: bool = False) -> Said:
    """The same in a thread."""
    return await asyncio.to_thread(partial(invoke, *arguments, terminal=terminal))


@contextmanager
def _arguments(arguments: tuple[str, ...]) -> Iterator[None]:
    before, sys.argv = sys.argv, ["scheduler", *arguments]
    try:
        yield
    finally:
        sys.argv = before
