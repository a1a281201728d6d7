"""Versions of the program behind the Functions host: their servers run, and the host requires the keys of functions.

    async with serve_version(folder, source=ROOT) as served:
        served.ask("GET", "/api/jobs", {"x-functions-key": "key-of-read"})      # status, body

The functions of a version are those that its function_app registers; which one serves a request, and which key it
requires, is decided by tests.parts.functions_host.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from delivery.app.http import Response
from delivery.az import Completed, execute_program
from delivery.context import Context
from delivery.plan import plan
from tests.parts.functions_host import Function, admits, matching
from tests.parts.http_server import Answer, Request
from tests.parts.proc import GUARDED, Program, free_port
from tests.parts.threaded_server import serve_in_thread
from tests.pipeline.azure.world import KEYS as PLAYED_KEYS
from tests.pipeline.azure.world import Container, World
from tests.project import ROOT

RELEASE = ROOT / "tests" / "data" / "releases" / "0.1.0"
KEY_HEADER = "x-functions-key"
LIST_FUNCTIONS = """
import json, function_app
print(json.dumps([
    [one.get_function_name(), [each.get_dict_repr() for each in one.get_bindings()]]
    for one in function_app.app.get_functions()
], default=lambda value: getattr(value, "value", str(value))))
"""


class Asked(Protocol):
    """A version behind the host."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response: ...


@dataclass
class ServedVersion:
    """A running server. `used`: the functions that admitted a request; empty names: no function matched."""

    url: str
    functions: list[Function]
    used: set[str] = field(default_factory=set)

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request through the host. `target`: path and query."""
        found = matching(self.functions, method, target.partition("?")[0].removeprefix("/api"))
        if not found:
            return Response(404, b"")
        function = found[0][0]
        if not admits(function, {name.lower(): value for name, value in headers.items()}.get(KEY_HEADER)):
            return Response(401, b"")
        self.used.add(function.name)
        sent = {"Content-Type": "application/json"} if body else {}
        data = body if method == "POST" else None
        request = urllib.request.Request(f"{self.url}{target}", data=data, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Response(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.read())


@dataclass
class ServedWorld(World):
    """A world whose versions run: a response is that of the server, with the values of the world's virtual time."""

    served: Mapping[str, Asked] = field(default_factory=dict)
    run_members: set[str] = field(default_factory=set)

    def respond(self, container: Container, method: str, target: str, headers: Mapping[str, str]) -> Response:
        real = self.served[container.behaviour.version].ask(method, target, headers)
        if real.status not in (200, 202):
            return real
        valid = PLAYED_KEYS.operator() if method == "POST" else PLAYED_KEYS.reader()
        played = super().respond(container, method, target, valid)
        actual, values = real.json(), played.json()
        if method == "POST":
            self.run_members = set(actual)
        assert values.keys() <= actual.keys(), target
        assert all(run.keys() <= self.run_members for run in values.get("runs", ()))
        if "parts" in values:  # health: how it counts jobs is its own
            del values["jobs"]
        return Response(played.status, json.dumps({**actual, **values}).encode())


@asynccontextmanager
async def serve_version(folder: Path, source: Path, path: str = "") -> AsyncIterator[ServedVersion]:
    """Serve the program of `source` with a job `canary`. `path`: another place of its modules."""
    port = free_port()
    environ = _configure(folder, port)
    environ["PYTHONPATH"] = os.pathsep.join([str(GUARDED), str(source), *([path] if path else [])])
    functions = _list_functions(source, environ)
    async with Program("serve", "--port", str(port), env=environ, cwd=source) as program:
        url = f"http://127.0.0.1:{port}"
        await program.ready(f"{url}/api/health/ready")
        yield ServedVersion(url, functions)


@asynccontextmanager
async def serve_first_release(folder: Path) -> AsyncIterator[ServedVersion]:
    """Serve 0.1.0, of its own code."""
    source = folder / "program"
    for name in ("program", "server"):
        with tarfile.open(fileobj=lzma.open(RELEASE / f"{name}.tar.xz")) as archive:
            archive.extractall(source, filter="data")
    async with serve_version(folder / "first", source, str(RELEASE / "stand_ins")) as served:
        yield served


@contextmanager
def open_front(served: Sequence[Asked]) -> Iterator[str]:
    """Yield the address of the app: requests go to the last version of the list."""

    def answer(request: Request) -> Answer:
        found = served[-1].ask(request.method, request.target, request.headers, request.body)
        return Answer(found.status, {"Content-Type": "application/json"} if found.body else {}, found.body)

    with serve_in_thread(answer) as url:
        yield url


def plan_step(context: Context, url: str, jobs: Path, report: Path) -> str:
    """Run the step `plan` against this address. Return the first line of the report."""

    def execute(command: Sequence[str], timeout: float) -> Completed:
        assert command[2:4] == ["cli", "plan"]
        return execute_program([sys.executable, "-m", "scheduler", *command[3:]], timeout)

    plan(replace(context, environment=replace(context.environment, url=url)), jobs, report, execute)
    return report.read_text(encoding="utf-8").partition("\n")[0]


def _configure(folder: Path, port: int) -> dict[str, str]:
    folder.mkdir()
    canary = {"check": {"url": f"http://127.0.0.1:{port}/api/health/live"}}
    (folder / "jobs.json").write_text(json.dumps({"jobs": {"canary": canary}}), encoding="utf-8")
    return {
        "SCHEDULER_ENVIRONMENT": "dev",
        "SCHEDULER_JOBS": str(folder / "jobs.json"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'scheduler.db'}",
    }


def _list_functions(source: Path, environ: Mapping[str, str]) -> list[Function]:
    listed = subprocess.run(
        [sys.executable, "-c", LIST_FUNCTIONS],
        cwd=source,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Function(name, name, tuple(bindings)) for name, bindings in json.loads(listed.stdout)]
