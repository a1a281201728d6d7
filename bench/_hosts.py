"""The program under load as its two hosts run it, each in separate processes. Used by bench.lateness."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench._operations import Operations
from bench._parts import program, tail
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.parts.azurite import Azurite, fresh_prefix, running_azurite
from tests.parts.functions_style import environment, spawn

TICK = 60
"""Seconds between two ticks of the Functions timer."""


@dataclass(frozen=True, slots=True)
class Host:
    """`pids`: of each process, by what it is. `ready_at`: when it is in full swing, in Unix seconds.

    `stop` ends it where reading the whole history would take the store from it. `operations`: of the storage account,
    and `storage_pid` its process; None without one.
    """

    pids: Mapping[str, int]
    ready_at: float
    open_store: Callable[[], Awaitable[Store]]
    stop: Callable[[], None] = lambda: None
    operations: Operations | None = None
    storage_pid: int | None = None


@contextmanager
def embedded(folder: Path, jobs: Mapping[str, Any]) -> Iterator[Host]:
    """One process on a SQLite file."""

    async def open_store() -> Store:
        return await open_sqlite(folder / "bench.db", StoreAccess.READ_ONLY)

    with program(folder, jobs) as (process, _):
        yield Host({"scheduler": process.pid}, time.time(), open_store)


@contextmanager
def functions_style(folder: Path, jobs: Mapping[str, Any], workers: int = 2) -> Iterator[Host]:
    """Workers and a ticker on Azurite. It begins with the first tick, so at most a minute later."""
    try:
        operations = Operations()
        with (
            running_azurite(operations.read) as azurite,
            _processes(azurite, operations, folder, jobs, workers) as host,
        ):
            yield host
    except pytest.skip.Exception as reason:
        sys.exit(f"{reason}")


@contextmanager
def _processes(
    azurite: Azurite, operations: Operations, folder: Path, jobs: Mapping[str, Any], workers: int
) -> Iterator[Host]:
    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs}))
    prefix = fresh_prefix()
    environ = environment(azurite.connection_string, prefix, folder)

    async def open_store() -> Store:
        return await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)

    names = [*(f"worker {number}" for number in range(1, workers + 1)), "ticker"]
    logs = {name: folder / f"{name}.txt" for name in names}
    processes = {}
    for name, log in logs.items():
        with log.open("wb") as output:
            processes[name] = spawn("ticker" if name == "ticker" else "worker", environ, output=output)
    pids = {name: process.pid for name, process in processes.items()}

    def stop() -> None:
        for process in processes.values():
            process.kill()
            process.wait()

    try:
        first_tick = (time.time() // TICK + 1) * TICK
        yield Host({**pids, "Azurite": azurite.pid}, first_tick, open_store, stop, operations, azurite.pid)
    finally:
        stop()
        for name, log in logs.items():
            if message := tail(log):
                print(f"--- last output of {name}:\n{message}", file=sys.stderr)
