"""Runs Prometheus and promtool on loopback. `./dev test` unpacks both into .tools.

    with running_prometheus({"scrape_configs": [...]}) as prometheus:
        prometheus.query("up")                          # the result of an instant query
        prometheus.get("targets")                       # the data of any /api/v1/ resource
        prometheus.wait_for("up == 1")                  # the first result that is not empty

    promtool("check", "metrics", stdin=text)            # .returncode, .stdout, .stderr

`missing` is called where a program is not to be had, so these tests are skipped, or fail where every part is demanded.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.parts.debian_programs import find_unpacked_program, wait_until_ready
from tests.parts.proc import free_port


class Prometheus:
    """A running server. `url`: its address without a slash at the end."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, resource: str, **parameters: str) -> Any:
        """Return the data of a resource of `/api/v1/`. Raises AssertionError with its error unless it succeeds."""
        response = httpx.get(f"{self.url}/api/v1/{resource}", params=parameters, timeout=30, trust_env=False)
        answer = response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query: `metric` with the labels, `value` with time and text."""
        series: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return series

    def wait_for(self, expression: str, within: float = 30.0) -> list[dict[str, Any]]:
        """Return the series of a query as soon as there are any. Raises AssertionError with the targets' errors."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            if found := self.query(expression):
                return found
            time.sleep(0.1)
        errors = [target["lastError"] for target in self.get("targets")["activeTargets"]]
        raise AssertionError(f"no series of {expression} within {within} s; errors of the targets: {errors}")


@contextmanager
def running_prometheus(config: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Iterator[Prometheus]:
    """Start it with a configuration that promtool accepts; stop it at the end.

    `files`: more files of the configuration's folder, such as rules, by name.
    """
    program = find_program("prometheus")
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        for name, text in {**(files or {}), "prometheus.yml": json.dumps(config)}.items():
            Path(folder, name).write_text(text, encoding="utf-8")  # JSON is YAML
        checked = promtool("check", "config", f"{folder}/prometheus.yml")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        url = f"127.0.0.1:{free_port()}"
        command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address={url}", "--log.level=error"]
        with open(Path(folder, "log.txt"), "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_until_ready(f"http://{url}", process, Path(folder, "log.txt"))
                yield Prometheus(f"http://{url}")
            finally:
                process.kill()


def promtool(*arguments: str, stdin: str | bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool to its end; the caller judges its `returncode`."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([find_program("promtool"), *arguments], input=data, capture_output=True, cwd=cwd, timeout=100)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def find_program(program: str) -> str:
    """Return the path of `prometheus` or `promtool`: the one that `./dev test` unpacked, or one on PATH."""
    return find_unpacked_program("prometheus", program)
