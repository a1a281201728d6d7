"""Runs Alertmanager on loopback, without a cluster. `./dev test` unpacks it into .tools.

with running_alertmanager(config) as alertmanager:
    await client.post(f"{alertmanager.url}/api/v2/alerts", json=[...])
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.parts.debian_programs import find_unpacked_program, wait_until_ready
from tests.parts.proc import free_port


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url


@contextmanager
def running_alertmanager(config: Mapping[str, Any]) -> Iterator[Alertmanager]:
    """Start it with a configuration that amtool accepts; stop it at the end. Calls `missing` without the program."""
    with tempfile.TemporaryDirectory(prefix="alertmanager-") as folder:
        file = Path(folder) / "config.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        checked = subprocess.run([_find("amtool"), "check-config", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        port = free_port()
        command = [_find("prometheus-alertmanager"), f"--config.file={file}", f"--storage.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"]
        with open(Path(folder) / "log.txt", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_until_ready(f"http://127.0.0.1:{port}", process, Path(folder) / "log.txt")
                yield Alertmanager(f"http://127.0.0.1:{port}")
            finally:
                process.kill()


def _find(program: str) -> str:
    return find_unpacked_program("alertmanager", program)
