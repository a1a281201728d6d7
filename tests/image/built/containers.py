"""Runs an image as a platform does that gives it no rights: read-only, no capability, no new privileges, user 10001."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.image.built.images import BuiltImage

RESTRICTIONS = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
USER = 10001
START_SECONDS = 60.0
REQUEST_SECONDS = 60.0
STOP_SECONDS = 10
"""What `docker stop` waits for."""


@dataclass(frozen=True)
class Stopped:
    """How a container ended. `seconds`: from SIGTERM to its end."""

    exit_code: int
    seconds: float
    output: str


class Container:
    """A running container."""

    def __init__(self, image: BuiltImage, name: str, client: httpx.Client) -> None:
        self._workshop = image.workshop
        self._name = name
        self._client = client

    def get(self, path: str) -> Any:
        answer = self._client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def post(self, path: str) -> httpx.Response:
        return self._client.post(path)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if self._client.get("/api/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self._is_running(), self.output()
            time.sleep(0.2)
        raise AssertionError(f"not ready within {START_SECONDS:g} s: {self.output()}")

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the program, with the same rights."""
        return self._workshop.run("podman", "exec", self._name, *words, check=False)

    def status_of_process_1(self) -> dict[str, str]:
        """Return /proc/1/status."""
        lines = self.execute("cat", "/proc/1/status").stdout.splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def stop(self, within: int = STOP_SECONDS) -> Stopped:
        """Send SIGTERM, and SIGKILL after so many seconds."""
        began = time.monotonic()
        self._workshop.run("podman", "stop", "--time", str(within), self._name)
        seconds = time.monotonic() - began
        code = self._workshop.read("podman", "inspect", "--format", "{{.State.ExitCode}}", self._name)
        return Stopped(int(code), seconds, self.output())

    def output(self) -> str:
        done = self._workshop.run("podman", "logs", self._name, check=False)
        return done.stdout + done.stderr

    def _is_running(self) -> bool:
        return self._workshop.read("podman", "inspect", "--format", "{{.State.Running}}", self._name) == "true"


@contextmanager
def running(
    image: BuiltImage,
    name: str,
    port: int,
    environment: Mapping[str, str],
    *,
    volumes: Mapping[Path, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Start the image, and remove the container at the end."""
    variables = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
    mounts = [word for source, to in (volumes or {}).items() for word in ("--volume", f"{source}:{to}")]
    words = ("podman", "run", "--detach", "--name", name, *RESTRICTIONS, *variables, *mounts, image.name)
    image.workshop.run(*words)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=REQUEST_SECONDS, trust_env=False
        ) as client:
            container = Container(image, name, client)
            container.wait_until_ready()
            yield container
    finally:
        image.workshop.run("podman", "rm", "--force", "--time", "0", name)


def run_once(image: BuiltImage, *words: str, entrypoint: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of the image to its end, with the same restrictions."""
    start = ("--entrypoint", entrypoint) if entrypoint else ()
    return image.workshop.run("podman", "run", "--rm", *RESTRICTIONS, *start, image.name, *words, check=False)


def own(folder: Path) -> Path:
    """Make the folder with the container's user as its owner."""
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder
