"""The stage of a rehearsal: a registry, a target, the addresses of the app, and the scripts as processes.

with Stage(folder, "functions") as stage:
    stage.set_image(NEW, "2.0", fault="queue")
    stage.deploy(NEW, "2.0")                    # the finished process of the script
    stage.version()                             # that answers at the app's address
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tests.parts.proc import free_port
from tests.pipeline.azure.model import APP, PRODUCTION, STAGING, container_state, functions_state
from tests.project import ROOT

REGISTRY = "contosoregistry"
OLD = f"{REGISTRY}.azurecr.io/scheduler@sha256:{'0' * 64}"
NEW = f"{REGISTRY}.azurecr.io/scheduler@sha256:{'1' * 64}"
JOBS = tuple(f"job-{number}" for number in range(10))
"""Each is due every second."""
LIMITS = {
    **{"within": "25s", "soak": "12s", "poll": "0.5s", "tick": "8s", "canary": "8s", "looks": "2s"},
    **{"baseline": "10s", "lag": "2s"},
}


class _Target(http.server.BaseHTTPRequestHandler):
    """Answers checks: 500 below /bad. Remembers the run of each request."""

    runs: Counter[str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        type(self).runs[self.headers.get("Idempotency-Key", "")] += 1
        self.send_response(500 if self.path.startswith("/bad") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class _Registry(http.server.BaseHTTPRequestHandler):
    """Answers HEAD of a manifest."""

    images: set[str]

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path.rpartition("/")[2] in type(self).images else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class _FrontDoor(socketserver.BaseRequestHandler):
    """Forwards a connection to the unit that has the address now."""

    stage: Stage
    unit: str

    def handle(self) -> None:
        port = type(self).stage.port_of(type(self).unit)
        try:
            target = socket.create_connection(("127.0.0.1", port), timeout=2)
        except OSError:
            return
        target.settimeout(None)
        with target:
            back = threading.Thread(target=_pump, args=(target, self.request), daemon=True)
            back.start()
            _pump(self.request, target)
            back.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


class Stage:
    """One app with everything around it. `kind`: of the platform."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.port, self.slot_port = free_port(), free_port()
        self.record = folder / "record.json"
        self._servers: list[socketserver.BaseServer] = []
        self._target = type("Target", (_Target,), {"runs": Counter()})
        self._registry = type("Registry", (_Registry,), {"images": set()})
        self.started_at = datetime.now(UTC)

    def __enter__(self) -> Self:
        self.target_port = self._serve(http.server.ThreadingHTTPServer, self._target, 0)
        self.registry_port = free_port()
        self.open_registry()
        for port, unit in ((self.port, ""), (self.slot_port, STAGING)):
            self._serve(_Server, type("FrontDoor", (_FrontDoor,), {"stage": self, "unit": unit}), port)
        self._write_files()
        self.set_image(OLD, "1.0")
        self._start_old()
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.state()["pids"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text())  # type: ignore[no-any-return]

    def port_of(self, unit: str) -> int:
        state = self.state()
        return int(state["units"].get(unit or state["routed"], {}).get("port", 9))

    def set_image(self, image: str, version: str, *, fault: str = "", jobs: str = "good", pushed: bool = True) -> None:
        """Define what an image does, before a script runs."""
        state = self.state()
        state["images"][image] = {"version": version, "fault": fault, "jobs": jobs}
        state["pulled"] = [one for one in state["pulled"] if one != image]
        (self.folder / "state.json").write_text(json.dumps(state))
        if pushed:
            self._registry.images.add(image.partition("@")[2])

    def open_registry(self) -> None:
        self._serve(http.server.ThreadingHTTPServer, self._registry, self.registry_port)

    def close_registry(self) -> None:
        server = next(one for one in self._servers if one.server_address[1] == self.registry_port)
        self._servers.remove(server)
        server.shutdown()
        server.server_close()

    def script(self, name: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a script."""
        folder = self.folder / "environments"
        command = [ROOT / "infra" / "pipeline" / name, "stage", "--environments", folder, *arguments]
        return subprocess.Popen(
            [str(word) for word in command],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, name: str, *arguments: str | Path) -> tuple[int, str]:
        """Run a script to its end: exit code, and what it printed."""
        process = self.script(name, *arguments)
        output, errors = process.communicate(timeout=240)
        return process.returncode, output + errors

    def deploy(self, image: str, version: str) -> tuple[int, str]:
        return self.call("deploy", "--image", image, "--version", version, "--record", self.record)

    def verify(self, version: str) -> tuple[int, str]:
        return self.call("verify", "--version", version, "--record", self.record)

    def rollback(self) -> tuple[int, str]:
        return self.call("rollback", "--record", self.record)

    def commands(self) -> list[str]:
        """Return the commands of `az` so far."""
        log = self.folder / "commands.log"
        return log.read_text().splitlines() if log.exists() else []

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def version(self) -> str:
        return str(self.get("/api/health/ready")["version"])

    def problems(self, until: datetime) -> list[str]:
        """Return the due instants without exactly one finished run, and the runs that the target saw twice."""
        found = []
        for job in JOBS:
            runs = Counter[datetime]()
            for run in self._runs_of(job, until):
                if run["trigger"] == "schedule" and run["outcome"] not in (None, "skipped"):
                    runs[datetime.fromisoformat(run["due_at"])] += 1
            instant = self.started_at.replace(microsecond=0) + timedelta(seconds=2)
            while instant <= until:
                if runs[instant] != 1:
                    found.append(f"{job} at {instant:%H:%M:%S}: {runs[instant]} runs")
                instant += timedelta(seconds=1)
        return found

    def runs_executed_twice(self) -> list[str]:
        """Return the runs that the target saw more than once since the last call."""
        found = [run for run, count in self._target.runs.items() if run and count > 1]
        self._target.runs.clear()
        return found

    def _runs_of(self, job: str, until: datetime) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        query = f"/api/runs?job={job}&limit=500&to={until:%Y-%m-%dT%H:%M:%SZ}"
        page = self.get(query)
        while True:
            found += page["runs"]
            if not page["continuation"]:
                return found
            page = self.get(f"{query}&continuation={page['continuation']}")

    def _serve(self, kind: type[socketserver.BaseServer], handler: Any, port: int) -> int:
        server = kind(("127.0.0.1", port), handler)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return int(server.server_address[1])

    def _environment(self) -> dict[str, str]:
        folder = str(Path(__file__).parent / "bin")
        return {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "REHEARSAL": str(self.folder),
            "REHEARSAL_PYTHON": sys.executable,
            "DEPLOY_READ_KEY": "read-key",
            "DEPLOY_OPERATE_KEY": "operate-key",
        }

    def _write_files(self) -> None:
        for name, bad in (("good", 0), ("bad", 3)):
            (self.folder / name).mkdir()
            jobs = {job: self._job("bad" if number < bad else "ok", job) for number, job in enumerate(JOBS)}
            jobs["canary"] = {"check": {"url": f"http://127.0.0.1:{self.target_port}/ok/canary"}}
            (self.folder / name / "jobs.json").write_text(json.dumps({"jobs": jobs}))
        is_functions = self.kind == "functions"
        azure = functions_state(OLD) if is_functions else container_state(OLD)
        if is_functions:
            idle = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("tick", "work", "bury")}
            azure["slots"][STAGING]["settings"] |= idle | {"SCHEDULER_STORAGE__PREFIX": "staging"}
            azure["sticky"] = [*idle, "SCHEDULER_STORAGE__PREFIX"]
        state = {
            **{"azure": azure, "units": {}, "images": {}, "pulled": [], "pids": [], "swap_seconds": 1.0},
            **{"routed": PRODUCTION if is_functions else f"{APP}--first"},
            "registry": f"http://127.0.0.1:{self.registry_port}",
        }
        (self.folder / "state.json").write_text(json.dumps(state))
        environment = {
            **{"platform": self.kind, "subscription": "sub", "resource_group": "rg", "app": APP, "canary": "canary"},
            **{"url": f"http://127.0.0.1:{self.port}", "registry": REGISTRY, "verify": LIMITS},
        }
        if is_functions:
            environment |= {"slot": STAGING, "slot_url": f"http://127.0.0.1:{self.slot_port}"}
        (self.folder / "environments").mkdir()
        (self.folder / "environments" / "stage.json").write_text(json.dumps(environment))

    def _job(self, path: str, name: str) -> dict[str, Any]:
        return {
            "schedule": {"every": "1s"},
            "check": {"url": f"http://127.0.0.1:{self.target_port}/{path}/{name}"},
            "retry": {"attempts": 1},
            "timeout": {"attempt": "3s", "run": "3s"},
            "catch_up": {"policy": "all"},
            "overlap": "allow",
            "circuit": None,
        }

    def _start_old(self) -> None:
        unit = PRODUCTION if self.kind == "functions" else f"{APP}--first"
        command = [sys.executable, "-m", "tests.pipeline.rehearsal.az", "rehearsal", "start"]
        subprocess.run(command, env=self._environment() | {"PATH": os.environ["PATH"]}, cwd=ROOT, check=True)
        assert self.port_of(unit) != 9
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                if self.version() == "1.0":
                    self.started_at = datetime.now(UTC)
                    return
            time.sleep(0.2)
        raise AssertionError("the old version did not start: see the logs in the folder of the test")
