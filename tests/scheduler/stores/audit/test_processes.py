"""Many processes append to one chain and are killed at any moment: no acknowledged entry is lost, none is twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from scheduler.features.audit.verification import ChainVerifier
from scheduler.stores.audit import AuditLog
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.parts.azurite import Azurite

ROOT = Path(__file__).resolve().parents[4]
PROCESSES = 4
ROUNDS = 3

WRITER = """
import asyncio, os, sys
from pathlib import Path
from scheduler.stores.audit import AuditLog

async def opened(kind, place, prefix):
    if kind == "sqlite":
        from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
        return await open_sqlite(Path(place), StoreAccess.SHARED)
    from scheduler.stores.azure.opening import open_azure_tables
    return await open_azure_tables(connection_string=place, prefix=prefix)

async def write(log):
    while True:
        entry = await log.append({"at": "2026-03-01T12:00:00+00:00", "by": os.getpid()})
        os.write(1, f"{entry.sequence} {entry.hash}\\n".encode())

async def main():
    log = AuditLog(await opened(*sys.argv[1:]))
    await asyncio.gather(*(write(log) for _ in range(13)))

asyncio.run(main())
"""


def acknowledged(place: tuple[str, str, str], pick: random.Random) -> list[str]:
    """What the processes say that they have stored until each is killed, shortly after its first word."""
    said: list[str] = []

    def read(process: subprocess.Popen[str], seconds: float) -> None:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        threading.Timer(seconds, process.kill).start()
        lines += process.stdout.readlines()
        said.extend(line for line in lines if line.endswith("\n"))

    with ExitStack() as stack:
        command = [sys.executable, "-c", WRITER, *place]
        writers = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
            for _ in range(PROCESSES)
        ]
        readers = [threading.Thread(target=read, args=(each, pick.uniform(0, 0.5))) for each in writers]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    return said


async def _check(store: Store, said: list[str]) -> None:
    verifier = ChainVerifier(stored_head=(await AuditLog(store).read_head()).sequence)
    stored: dict[int, str] = {}
    async for row in AuditLog(store).stream_rows():
        verifier.add(row.body, int(row.key))
        stored[int(row.key)] = row.body
    await store.aclose()
    assert not verifier.finish().findings
    acknowledged_entries = {int(number): digest for number, digest in (line.split() for line in said)}
    assert len(acknowledged_entries) == len(said), "two processes were given one number"
    assert len(said) > PROCESSES * ROUNDS
    assert all(digest in stored[number] for number, digest in acknowledged_entries.items())


async def test_sigkill_of_writers_leaves_a_valid_chain_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await open_sqlite(path)).aclose()
    pick = random.Random()

    said = [line for _ in range(ROUNDS) for line in acknowledged(("sqlite", str(path), ""), pick)]

    await _check(await open_sqlite(path, StoreAccess.SHARED), said)


@pytest.mark.azurite
async def test_sigkill_of_writers_leaves_a_valid_chain_on_azure_tables(azurite: Azurite, storage_prefix: str) -> None:
    connection = azurite.connection_string
    pick = random.Random()

    said = [line for _ in range(ROUNDS) for line in acknowledged(("azure", connection, storage_prefix), pick)]

    await _check(await open_azure_tables(connection_string=connection, prefix=storage_prefix), said)
