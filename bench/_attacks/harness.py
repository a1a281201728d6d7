"""The parts of an attack, and the program under attack. Used by bench.attack and the modules in this folder.

A module in this folder defines one or more attacks, in a tuple `ATTACKS`:

    class SlowTarget(Attack):
        \"\"\"Ten jobs ask a target that never answers.\"\"\"        # the line that the bench prints

        name = "slow-target"

        def server(self) -> AbstractContextManager[str]:        # optional: the jobs' target, in a separate process
            return serving(_answer)                             # gives its URL

        def jobs(self, url: str) -> Mapping[str, Any]:          # optional: job definitions by name
            return {"slow": {"schedule": {"every": "1s"}, "check": {"url": url}}}

        def strike(self, scene: Scene) -> float | None:         # optional: what is done while healthy jobs run
            ...                                                 # blocking; may kill and start scene.scheduler

        def problems(self, scene: Scene) -> Iterator[str]:      # optional: further problems, at the end
            ...

    ATTACKS = (SlowTarget(),)

20 healthy jobs each second run during each attack on the embedded host, in a separate process with a SQLite file. An
attack is over when `strike` has returned and `seconds` have passed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bench._parts import OPEN_PRODUCTION, ROOT, await_answer, free_port, settings_removed, tail
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

StreamServer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Scheduler:
    """`python -m scheduler serve` over the jobs in `folder/jobs`. It may be killed and started again.

    `environ`: additional settings. `limits`: called in the child before it becomes the program.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], limits: Callable[[], None] | None = None) -> None:
        self.folder = folder
        self.jobs = folder / "jobs"
        self.database = folder / "bench.db"
        self.log = folder / "log.txt"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = environ
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> list[int]:
        """The process id, as a list; empty while it does not run."""
        return [] if self.pid is None else [self.pid]

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def write_jobs(self, jobs: Mapping[str, Any], file: str = "bench.json") -> None:
        """Put a job file into the folder, whole or not at all."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_text(json.dumps({"jobs": jobs}))
        (self.folder / file).rename(self.jobs / file)

    def start(self, *, ready_within: float | None = 60.0) -> None:
        """Start it. Raises RuntimeError if it is not ready within so many seconds (None: do not wait)."""
        settings = {
            **OPEN_PRODUCTION,
            "SCHEDULER_JOBS": str(self.jobs),
            "SCHEDULER_STORE": f"sqlite:///{self.database}",
            "SCHEDULER_PORT": str(self.port),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scheduler", "serve"],
                cwd=ROOT,
                env=settings_removed(os.environ) | settings | dict(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._limits,
            )
        if ready_within is not None:
            await_answer(f"{self.url}/api/health/ready", self._process, ready_within)

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, within: float = 15.0) -> bool:
        """Send SIGTERM. Returns False if it had to be killed after so many seconds."""
        if self._process is None or self._process.poll() is not None:
            return True
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def status(self, path: str, timeout: float = 2.0) -> int:
        """Return the HTTP status of a GET; 0 if there is no answer in time."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=timeout) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    async def open_store(self) -> Store:
        """Open the history. Raises StoreError."""
        return await open_sqlite(self.database, StoreAccess.READ_ONLY)

    def last_lines(self) -> str:
        """Return the last lines of the log that are warnings or worse."""
        return tail(self.log)


@dataclass(slots=True)
class Scene:
    """A running attack. `target`: the URL of the attack's own server, "" if it has none.

    `ready`: what /api/health/ready answered, by Unix seconds; 0 for no answer within 2 s.
    """

    scheduler: Scheduler
    target: str
    began: float
    ready: list[tuple[float, int]] = field(default_factory=list)


class Attack:
    """Override what the attack needs. The first line of the docstring describes it."""

    name: ClassVar[str]
    seconds: ClassVar[int] = 20
    """For how long healthy runs are counted, unless `strike` takes longer."""
    environ: ClassVar[Mapping[str, str]] = {}
    """Settings of the program. {folder} in a value is the bench's own folder."""
    limits: ClassVar[Callable[[], None] | None] = None
    """Called in the child before the program begins, for example to set an rlimit; wrap it in staticmethod."""
    always_ready: ClassVar[bool] = True
    """Whether /api/health/ready is to answer 200 throughout. If not, `problems` judges scene.ready."""
    most_memory: ClassVar[int] = 300
    """MiB of the program and its child processes together."""
    most_late: ClassVar[float] = 100.0
    """Milliseconds, at the 99th percentile of the healthy runs."""

    @property
    def about(self) -> str:
        """The first line of the docstring."""
        return (type(self).__doc__ or "").partition("\n")[0]

    def server(self) -> AbstractContextManager[str]:
        """Start what the jobs ask. Gives its URL."""
        return nullcontext("")

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Return the attacker's job definitions by name; `url` is the server's."""
        return {}

    def prepare(self, scheduler: Scheduler) -> None:
        """Create files before the program starts."""

    def strike(self, scene: Scene) -> float | None:
        """Do what has to be done while healthy jobs run; blocking.

        Returns:
            Unix seconds from which on healthy runs count, None for all of them.
        """
        return None

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield problems other than lost runs, lateness, memory and readiness."""
        return iter(())


@contextmanager
def serving(answer: StreamServer, *, tls: Any = None) -> Iterator[str]:
    """Serve connections by this coroutine function (of a module) in a separate process. Yield the URL.

    `tls`: a pair of paths, certificate and key.
    """
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(answer, port, tls), daemon=True)
    process.start()
    try:
        _await_port(port)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


def _serve(answer: StreamServer, port: int, tls: tuple[str, str] | None) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def serve() -> None:
        context = None
        if tls is not None:
            import ssl

            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
        server = await asyncio.start_server(one, "127.0.0.1", port, backlog=4096, ssl=context)
        await server.serve_forever()

    asyncio.run(serve())


def _await_port(port: int) -> None:
    import socket

    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the attack's server does not listen on port {port}")
