"""Many processes of functions_style, each at the cost of a fork: for tests that kill them faster than Python starts.

    async with Herd(environ, Platform(hidden=4), output) as herd:
        pid = await herd.start("worker")
        os.kill(pid, signal.SIGKILL)                # ProcessLookupError: it has ended by itself

See tests.parts.fork_server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO

from tests.parts.fork_server import ForkServer, serve_forks
from tests.parts.functions_style import VARIABLE, Kind, Platform, be, prepare
from tests.parts.proc import ROOT, clean_environment

_USED = (
    "aiohttp",
    "azure.data.tables.aio",
    "azure.storage.queue.aio",
    "scheduler.dispatch.azure_queue",
    "scheduler.hosts.functions.program",
    "scheduler.stores.azure.store",
    "scheduler.stores.azure.opening",
)
"""What a process would import when its first message comes."""


class Herd(ForkServer):
    """`output` takes what the processes say."""

    def __init__(self, environ: Mapping[str, str], platform: Platform, output: IO[bytes]) -> None:
        environ = clean_environment({**environ, VARIABLE: json.dumps(asdict(platform))})
        super().__init__("tests.parts.functions_herd", environ, ROOT, output)

    async def start(self, kind: Kind) -> int:
        """Its process id."""
        return await self.fork(kind)


def _become(kind: str) -> int:
    be(kind)
    return 1


if __name__ == "__main__":
    prepare()
    serve_forks(_USED, _become)
