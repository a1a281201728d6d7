"""The command line as people use it: `python -m scheduler COMMAND`, each in a separate process (a fork, see
tests.parts.forks), over one folder's state.

line = CommandLine(tmp_path)                          # the jobs and the state of `embedded(tmp_path, ...)`
done = await line("pause", "checkout")                # .code, .stdout, .stderr; a pipe, so lines with tabs
await line.rows("history", "checkout")                # those lines as dicts, by the names in the first
await line.json("history", "checkout")                # what --json prints
await line.until_history("checkout", lambda runs: ...)     # queries repeatedly, 20 s at most
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.parts.proc import Finished, ForkedProgram

Row = dict[str, str]


class CommandLine:
    """`env`: further environment variables."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._folder = folder
        self._env = {
            "SCHEDULER_ENVIRONMENT": "test",
            "SCHEDULER_JOBS": str(folder / "jobs"),
            "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
            **env,
        }

    async def __call__(self, *arguments: str) -> Finished:
        """Run the command to its end. An error must not print a traceback."""
        async with self.start(*arguments) as program:
            code = await program.exited()
        done = Finished(code, program.stdout, program.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, *arguments: str) -> ForkedProgram:
        return ForkedProgram(*arguments, env=self._env, cwd=self._folder)

    async def rows(self, *arguments: str) -> list[Row]:
        """Fails unless the command ends with 0."""
        names, *lines = [line.split("\t") for line in (await self._done(*arguments)).stdout.splitlines()]
        return [dict(zip(names, cells, strict=True)) for cells in lines]

    async def json(self, *arguments: str) -> Any:
        """Fails unless the command ends with 0."""
        return json.loads((await self._done(*arguments, "--json")).stdout)

    async def until_history(
        self, job: str, holds: Callable[[Sequence[Row]], bool], within: float = 20.0
    ) -> Sequence[Row]:
        """The job's history, newest first, as soon as this holds of it. Fails with the last history instead."""
        end = time.monotonic() + within
        while not holds(runs := await self.rows("history", job, "--limit", "100")):
            assert time.monotonic() < end, runs
            await asyncio.sleep(0.5)  # each look is a process
        return runs

    async def _done(self, *arguments: str) -> Finished:
        done = await self(*arguments)
        assert done.code == 0, (arguments, done)
        return done
