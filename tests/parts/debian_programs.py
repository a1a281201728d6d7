"""Finds programs of Debian's packages that `./dev test` unpacks into .tools, and waits until their servers are ready.

Used by prometheus and alertmanager.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import httpx

from tests.parts import missing

_TOOLS = Path(__file__).resolve().parents[2] / ".tools"
_START_SECONDS = 30.0


def find_unpacked_program(package: str, program: str) -> str:
    """Return the path of the program that was unpacked, or of one on PATH. Calls `missing` without one."""
    folder = _TOOLS / package / "usr" / "bin"
    unpacked = folder / program
    found = str(unpacked) if unpacked.exists() else shutil.which(program)
    if found is None:
        missing(f"there is no {program} in {folder}; `./dev test` unpacks it")
    return found


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the answer of `/-/ready`. Raises RuntimeError with the log if it does not arrive."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} did not start: {log.read_text(encoding='utf-8', errors='replace')}")
