"""Runs Debian's blackbox_exporter on loopback. `./dev test` unpacks it into .tools.

async with running_blackbox_exporter(config) as exporter:
    await exporter.probe("http_2xx", "http://127.0.0.1:8080", timeout=1.5)      # whether the probe succeeded
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.parts.debian_programs import find_unpacked_program
from tests.parts.proc import free_port

_PACKAGE, _PROGRAM = "blackbox", "prometheus-blackbox-exporter"
_START_SECONDS = 30.0


def example_modules() -> str:
    """The example configuration of the package, with 21 modules."""
    program = Path(find_unpacked_program(_PACKAGE, _PROGRAM))
    name = "usr/share/doc/prometheus-blackbox-exporter/examples/example.yml"
    return (program.parents[2] / name).read_text(encoding="utf-8")


class BlackboxExporter:
    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def probe(self, module: str, target: str, *, timeout: float) -> bool:  # noqa: ASYNC109 - of the probe
        """Probe once. `timeout`: the seconds of a scrape, of which the probe has half a second less."""
        headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(timeout)}
        parameters = {"module": module, "target": target}
        answer = await self._client.get(f"{self._url}/probe", params=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return "\nprobe_success 1" in answer.text


@asynccontextmanager
async def running_blackbox_exporter(config: str) -> AsyncIterator[BlackboxExporter]:
    """Start it with a configuration; stop it at the end. Calls `missing` without the program."""
    program = find_unpacked_program(_PACKAGE, _PROGRAM)
    with tempfile.TemporaryDirectory(prefix="blackbox-") as folder:
        file, log_file = Path(folder) / "blackbox.yml", Path(folder) / "log.txt"
        file.write_text(config, encoding="utf-8")
        port = free_port()
        command = [program, f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with log_file.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: ASYNC220 takes a millisecond
            try:
                _wait_until_ready(f"http://127.0.0.1:{port}", process, log_file)
                async with httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(30, pool=None)) as client:
                    yield BlackboxExporter(f"http://127.0.0.1:{port}", client)
            finally:
                process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/healthy", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} did not start: {log.read_text(encoding='utf-8', errors='replace')}")
