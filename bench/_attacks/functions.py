"""The program under attack as Functions workers and a ticker on Azurite. Used by bench.attack.

The platform is played by tests.parts.functions_style, which delivers queue messages and ticks. It has no HTTP, so only
attacks that consist of jobs and targets run here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench._attacks.harness import Attack
from bench._parts import tail
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from tests.parts.azurite import Azurite, fresh_prefix, running_azurite
from tests.parts.functions_style import environment, spawn

_KINDS = ("worker", "worker", "ticker")


class FunctionsProcesses:
    """Two workers and a ticker over the jobs in `folder/jobs`; stands in for harness.Scheduler."""

    def __init__(self, folder: Path, environ: Mapping[str, str], azurite: Azurite) -> None:
        self.jobs = folder / "jobs"
        self.jobs.mkdir()
        self.log = folder / "log.txt"
        self._connection = azurite.connection_string
        self._prefix = fresh_prefix()
        self._environ = environment(self._connection, self._prefix, self.jobs) | dict(environ)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def write_jobs(self, jobs: Mapping[str, Any], file: str) -> None:
        """Put a job file into the folder."""
        (self.jobs / file).write_text(json.dumps({"jobs": jobs}))

    def start(self) -> None:
        """Start the processes. The first tick is up to a minute away."""
        with self.log.open("wb") as log:
            self._processes = [spawn(kind, self._environ, output=log) for kind in _KINDS]  # type: ignore[arg-type]

    def status(self, path: str) -> int:
        """Return 200 while all processes run, else 0: there is no HTTP."""
        return 200 if len(self.pids) == len(_KINDS) else 0

    def kill(self) -> None:
        """End the processes: the platform sends no signal that the program could wait for."""
        for process in self._processes:
            process.kill()
            process.wait()

    def stop(self) -> bool:
        """See kill."""
        self.kill()
        return True

    async def open_store(self) -> Store:
        """Open the tables."""
        return await open_azure_tables(connection_string=self._connection, prefix=self._prefix)

    def last_lines(self) -> str:
        """Return the last lines of the log that are warnings or worse."""
        return tail(self.log)


@contextmanager
def functions_processes(folder: Path, environ: Mapping[str, str]) -> Iterator[FunctionsProcesses]:
    """Start the processes over a separate Azurite."""
    try:
        with running_azurite() as azurite:
            processes = FunctionsProcesses(folder, environ, azurite)
            try:
                yield processes
            finally:
                processes.kill()
    except pytest.skip.Exception as reason:
        sys.exit(f"{reason}")


def can_run_on_functions(attack: Attack) -> bool:
    """Whether it consists of jobs and targets alone."""
    kind = type(attack)
    return kind.strike is Attack.strike and kind.prepare is Attack.prepare and kind.limits is None
