"""The same command with the store of a server, and with the server by its API, as a caller of each role.

    async with two_ways(tmp_path, monkeypatch, {"checkout": API}) as ways:
        await ways.same("jobs", "--json")                       # equal stdout and exit code; the result by the API
        await ways.remote("pause", "checkout", role="viewer")   # by the API alone
        await ways.local("history")                             # with the store alone

The jobs of the server's file, and rows that the test has written to its store, are those of the local command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.parts.api_keys import create_key
from tests.parts.host import Host, embedded
from tests.scheduler.cli.invocation import CommandResult, invoke_in_thread

ROLES = ("viewer", "operator", "admin")
UNREACHED = "sqlite:////proc/nowhere/state.db"


class TwoWays:
    """A server with keys in the variables VIEWER, OPERATOR and ADMIN, and its store."""

    def __init__(self, host: Host, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.folder = folder
        self.url = str(host.client.base_url).rstrip("/")
        self._monkeypatch = monkeypatch

    async def local(self, *words: str, terminal: bool = False) -> CommandResult:
        """Run the command with the store of the server."""
        self._monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{self.folder / 'state.db'}")
        self._monkeypatch.setenv("SCHEDULER_JOBS", str(self.folder / "jobs"))
        return await invoke_in_thread(*words, terminal=terminal)

    async def remote(self, *words: str, role: str = "admin", terminal: bool = False) -> CommandResult:
        """Run the command by the API, where the settings of this machine name no store and no jobs that exist."""
        self._monkeypatch.setenv("SCHEDULER_STORE", UNREACHED)
        self._monkeypatch.setenv("SCHEDULER_JOBS", "/proc/nowhere/jobs")
        options = ("--url", self.url, "--key-variable", role.upper())
        return await invoke_in_thread(*words, *options, terminal=terminal)

    async def same(self, *words: str, role: str = "viewer", terminal: bool = False) -> CommandResult:
        """Run the command both ways, and check that it prints the same and ends the same."""
        here = await self.local(*words, terminal=terminal)
        there = await self.remote(*words, role=role, terminal=terminal)
        assert there.stdout == here.stdout, f"{words}: {there.stdout}{there.stderr}\nwith the store: {here.stdout}"
        assert there.code == here.code, f"{words}: {there.stderr}, with the store: {here.stderr}"
        return there

    async def refused(self, *words: str, role: str, needs: str) -> None:
        """Check that the command ends with 1, and says which key was refused and which role it needs."""
        result = await self.remote(*words, role=role)
        assert (result.code, result.stdout) == (1, ""), words
        assert f"the key of {role.upper()} was refused" in result.stderr
        assert f"needs the role {needs}" in result.stderr


@asynccontextmanager
async def two_ways(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: Mapping[str, Any],
    before: Callable[[Store], Awaitable[None]] | None = None,
    **env: str,
) -> AsyncIterator[TwoWays]:
    """Start a server with these jobs. `before`: writes rows to its store first."""
    server = folder / "server"
    server.mkdir()
    if before is not None:
        store = await open_sqlite(server / "state.db", StoreAccess.SHARED)
        await before(store)
        await store.aclose()
    monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "test")
    settings = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_STORE": f"sqlite:///{server / 'state.db'}"}
    async with embedded(server, jobs, SCHEDULER_HTTP__AUTHENTICATION="own", **env) as host:
        for role in ROLES:
            monkeypatch.setenv(role.upper(), await create_key(settings, f"a-{role}", role=role))
        yield TwoWays(host, server, monkeypatch)
