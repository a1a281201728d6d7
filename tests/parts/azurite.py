"""Azurite, Microsoft's storage emulator: one for the whole test session, started by the first test that wants it.

    async def test_...(azurite: Azurite, storage_prefix: str) -> None:
        TableClient.from_connection_string(azurite.connection_string, table_name=f"{storage_prefix}runs")

- `azurite`: session fixture (also azurite.blob_url, .queue_url, .table_url, .account, .key). A test that requests it
  is marked `azurite`.
- `storage_prefix`: fresh for each test, good at the start of names of tables (letters and digits) and of queues.

It is read from .tools/node_modules, where `./dev test` installs it, or from SCHEDULER_AZURITE: a path of azurite.js
or of a node_modules/azurite folder. Without Node or Azurite the tests are skipped, see tests.parts. It stores
everything in memory: crash tests kill the program, not Azurite.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.parts import missing

ROOT = Path(__file__).resolve().parents[2]

# The environment is read at import: it is cleaned of SCHEDULER_* before each test.
_INSTALLED = Path(os.environ.get("SCHEDULER_AZURITE") or ROOT / ".tools" / "node_modules" / "azurite")
_START_SECONDS = 60.0
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (https?://\S+)")


@dataclass(frozen=True)
class Azurite:
    """A running emulator."""

    account: str
    key: str
    blob_url: str
    queue_url: str
    table_url: str
    pid: int

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};TableEndpoint={self.table_url};"
        )

    def settings(self, prefix: str) -> dict[str, str]:
        """The variables with which the program stores in it."""
        return {
            "SCHEDULER_STORE": "azure",
            "SCHEDULER_STORAGE__PREFIX": prefix,
            "AzureWebJobsStorage": self.connection_string,
        }


def fresh_prefix() -> str:
    """A start for names of tables and queues that are unused."""
    return f"t{secrets.token_hex(5)}"


@contextmanager
def running_azurite(
    read_access: Callable[[str], None] | None = None, certificate: tuple[Path, Path] | None = None
) -> Iterator[Azurite]:
    """Start Azurite on free ports, and stop it. Calls `missing` when it cannot be had.

    `read_access`: is called in a thread with each line of the access log; without it Azurite writes none.
    `certificate`: PEM files of the certificate and its key: it uses TLS, and accepts tokens.
    """
    command = [_node(), str(_script())]
    account, key = "schedulertest", base64.b64encode(secrets.token_bytes(64)).decode()
    with tempfile.TemporaryDirectory(prefix="scheduler-azurite-", ignore_cleanup_errors=True) as directory:
        command += ["--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
        command += ["--silent"] if read_access is None else []
        command += ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
        if certificate is not None:
            command += ["--oauth", "basic", "--cert", str(certificate[0]), "--key", str(certificate[1])]
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"}
        with subprocess.Popen(
            command, env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                urls = _read_urls(process)
                threading.Thread(target=_drain, args=[process.stdout, read_access], daemon=True).start()
                blob, queue, table = (f"{urls[name]}/{account}" for name in ("Blob", "Queue", "Table"))
                yield Azurite(account, key, blob, queue, table, process.pid)
            finally:
                _stop(process)


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        missing("Azurite needs Node, and there is no `node` on the PATH")
    return node


def _script() -> Path:
    script = _INSTALLED if _INSTALLED.suffix == ".js" else _INSTALLED / "dist" / "src" / "azurite.js"
    if not script.exists():
        missing(f"there is no Azurite at {script}; `./dev test` installs it")
    return script


def _read_urls(process: subprocess.Popen[str]) -> dict[str, str]:
    """The URLs that Azurite prints; a watchdog ends a start that hangs."""
    assert process.stdout is not None
    message: list[str] = []
    urls: dict[str, str] = {}
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            message.append(line)
            if match := _LISTENING.search(line):
                urls[match[1]] = match[2]
            if len(urls) == 3:
                return urls
    finally:
        watchdog.cancel()
    raise RuntimeError(f"Azurite did not start: {''.join(message)}")


def _drain(output: IO[str], read_access: Callable[[str], None] | None) -> None:
    """Read the output: a full pipe would stop Azurite."""
    for line in output:
        if read_access is not None:
            read_access(line)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
