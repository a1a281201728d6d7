"""`az` for a rehearsal: keeps the state of the app in a file, and starts and stops schedulers as processes.

REHEARSAL: the folder with state.json (see stage.Stage), which one command at a time reads and replaces.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.parts.proc import clean_environment
from tests.pipeline.azure.commands import CommandError, parse
from tests.pipeline.azure.model import PRODUCTION, AzureModel

FOLDER = Path(os.environ["REHEARSAL"])
STATE = FOLDER / "state.json"


class Processes:
    """Implements Hosting: a unit is a process that listens on a port."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._units: dict[str, dict[str, int]] = state["units"]

    def has_image(self, image: str) -> bool:
        name, _, digest = image.partition("@")
        url = f"{self._state['registry']}/v2/{name.partition('/')[2]}/manifests/{digest}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False
        except OSError as error:
            raise CommandError(f"Could not connect to the registry login server: CONNECTIVITY: {error}") from None

    def run(self, unit: str, image: str, variables: dict[str, str]) -> None:
        self.stop(unit)
        self._start(unit, image, variables)

    def swap(self, image: str, variables: dict[str, str]) -> bool:
        behaviour = self._state["images"][image]
        if behaviour["fault"] == "start":
            return False
        self.stop(PRODUCTION)
        self._start(PRODUCTION, image, variables)
        time.sleep(self._state["swap_seconds"])
        return True

    def stop(self, unit: str) -> None:
        pid = self._units.pop(unit, {}).get("pid")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has crashed
                os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)

    def route(self, unit: str) -> None:
        self._state["routed"] = unit

    def url_of(self, unit: str) -> str:
        port = self._units.get(unit, {}).get("port", 9)
        return f"http://127.0.0.1:{port}"

    def _start(self, unit: str, image: str, variables: dict[str, str]) -> None:
        behaviour = self._state["images"].get(image, {"fault": "start", "version": "none", "jobs": "good"})
        if image not in self._state["pulled"]:
            try:
                is_pulled = self.has_image(image)
            except CommandError:
                is_pulled = False
            if not is_pulled:
                behaviour = {**behaviour, "fault": "start"}
            else:
                self._state["pulled"].append(image)
        is_idle = any("disabled" in name.lower() for name in variables)
        store = "idle" if is_idle else "production" if unit == PRODUCTION else unit
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
        environment = clean_environment(
            {
                "SCHEDULER_ENVIRONMENT": "test",
                "SCHEDULER_VERSION": behaviour["version"],
                "SCHEDULER_STORE": f"sqlite:///{FOLDER / store}.db",
                "SCHEDULER_JOBS": str(FOLDER / behaviour["jobs"]),
                "REHEARSED_FAULT": behaviour["fault"],
                "REHEARSED_IDLE": "1" if is_idle else "",
            }
        )
        with open(FOLDER / f"{unit}-{behaviour['version']}.log", "ab") as log:
            command = [sys.executable, "-m", "tests.pipeline.rehearsal.container", "serve", "--port", str(port)]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._units[unit] = {"pid": process.pid, "port": port}
        self._state["pids"].append(process.pid)


def _wait_for_end(pid: int) -> None:
    for _ in range(200):
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
        except ChildProcessError:
            if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Execute one command in a process of its own session: Azure completes it if this one is killed."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        code = execute(arguments)
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def execute(arguments: list[str]) -> int:
    """Execute one command. Others wait for its end."""
    command = parse(arguments)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(STATE.read_text())
        with open(FOLDER / "commands.log", "a") as log:
            log.write(f"{command.words}\n")
        model = AzureModel(state["azure"], Processes(state))
        try:
            result = model.start() if command.words == "rehearsal start" else model.execute(command)
        except CommandError as error:
            print(f"ERROR: {error}", file=sys.stderr)
            return 1
        finally:
            temporary = STATE.with_suffix(".new")
            temporary.write_text(json.dumps(state))
            temporary.replace(STATE)
    if command.get("--output") == "json":
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
