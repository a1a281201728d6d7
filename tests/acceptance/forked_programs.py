"""`python -m scheduler ...` many times, each at the cost of a fork: for tests that kill it faster than Python starts.

    async with ForkedPrograms(env, cwd, output) as programs:
        url, pid = await programs.serve(kill=KillAfter("stored_jobs", 70, 0.002))
        await programs.kill(pid)                    # SIGKILL; returns when the process does not exist any more

With `kill` a process gets the signal by itself, so many milliseconds after one of its writes has started, however busy
the machine is. A write is a row in SQLite, whose transaction is still open, and a transaction in Azure Tables.

See tests.parts.fork_server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import httpx

from tests.parts.fork_server import ForkServer, serve_forks
from tests.parts.proc import clean_environment, free_port

if TYPE_CHECKING:
    from scheduler.stores.azure.transactions import AtomicGroup
    from scheduler.stores.port import Change

_USED = (
    "aiohttp",
    "azure.data.tables.aio",
    "fastapi",
    "scheduler.api.app",
    "scheduler.cli.main",
    "scheduler.hosts.embedded.host",
    "scheduler.stores.azure.store",
    "scheduler.stores.sqlite.store",
    "uvicorn",
)
"""What `serve` would import at its start or for its first request."""


class KillAfter(NamedTuple):
    """`seconds` after the start of write `number`, counted from the first write of `table` on."""

    table: str
    number: int
    seconds: float

    def arm(self) -> None:
        """Count the writes of this process."""
        from scheduler.stores.azure.store import AzureTablesStore
        from scheduler.stores.sqlite.file_access import SqliteWriter

        writes = 0

        def count(table: str) -> None:
            nonlocal writes
            writes += table == self.table or writes > 0
            if writes == self.number and writes:
                writes += 1
                threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

        apply_change, commit = SqliteWriter._apply_change, AzureTablesStore._commit

        def apply_counted(writer: SqliteWriter, change: Change) -> str:
            count(change.table)
            return apply_change(writer, change)

        async def commit_counted(store: AzureTablesStore, steps: Sequence[AtomicGroup]) -> None:
            count(steps[0].partition_id[0])
            await commit(store, steps)

        setattr(SqliteWriter, "_apply_change", apply_counted)  # noqa: B010
        setattr(AzureTablesStore, "_commit", commit_counted)  # noqa: B010


class ForkedPrograms(ForkServer):
    """`output` gets the output of all programs."""

    def __init__(self, env: Mapping[str, str], cwd: Path, output: IO[bytes]) -> None:
        super().__init__("tests.acceptance.forked_programs", clean_environment(env), cwd, output)

    async def start(self, *arguments: str, kill: KillAfter | None = None) -> int:
        """Start the program. Return its process id."""
        return await self.fork(json.dumps([arguments, kill]))

    async def serve(self, kill: KillAfter | None = None) -> tuple[str, int]:
        """Start a server. Return its URL and its process id, when it is ready."""
        url = f"http://127.0.0.1:{(port := free_port())}"
        pid = await self.start("serve", "--port", str(port), kill=kill)
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{url}/api/health/ready")).status_code == 200:
                        return url, pid
                await asyncio.sleep(0.01)

    async def kill(self, pid: int) -> None:
        """Return when the process does not exist any more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await self.wait(pid)


def _become(order: str) -> int:
    from scheduler.cli.main import main as run_command

    arguments, kill = json.loads(order)
    sys.argv[1:] = arguments
    if kill is not None:
        KillAfter(*kill).arm()
    return run_command()


if __name__ == "__main__":
    serve_forks(_USED, _become)
