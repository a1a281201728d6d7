"""Every store, opened as often as a test likes: each opening is what another process would see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.stores.memory import MemoryData, MemoryStore

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite", "memory", pytest.param("azure", marks=pytest.mark.azurite)])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens one and the same store again and again; all are closed after the test."""
    if request.param == "sqlite":
        opened = _sqlite(tmp_path / "store.db")
    elif request.param == "memory":
        opened = _memory(MemoryData())
    else:
        # Asked for here, so that the other two do not start it.
        azurite = request.getfixturevalue("azurite")
        opened = _azure(azurite.connection_string, request.getfixturevalue("storage_prefix"))
    async with AsyncExitStack() as stack:

        async def open_one() -> Store:
            store = await opened()
            stack.push_async_callback(store.aclose)
            return store

        yield open_one


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


def _sqlite(path: Path) -> OpenStore:
    return lambda: open_sqlite(path, StoreAccess.SHARED if path.exists() else StoreAccess.OWN)


def _memory(data: MemoryData) -> OpenStore:
    async def opened() -> Store:
        return MemoryStore(data)

    return opened


def _azure(connection_string: str, prefix: str) -> OpenStore:
    return lambda: open_azure_tables(connection_string=connection_string, prefix=prefix)
