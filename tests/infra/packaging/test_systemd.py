"""The systemd unit: systemd's own tool accepts it, and the program accepts its settings and reports to it."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings.loading import load_settings
from config.settings.model import Settings
from scheduler.hosts.embedded.service_manager import report_state
from tests.parts import missing
from tests.parts.host import embedded, job
from tests.parts.proc import Program
from tests.project import ROOT

UNIT = ROOT / "infra" / "packaging" / "systemd" / "scheduler.service"
MAX_EXPOSURE = 15
"""Tenths, as `systemd-analyze security` rates it: 0 is nothing, 100 everything."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on this machine."""
    text = UNIT.read_text().replace("ExecStart=/opt/scheduler/bin/scheduler", "ExecStart=/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    return tmp_path / UNIT.name


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not there (Debian's package systemd)")
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True)


def test_systemd_accepts_the_unit(unit: Path) -> None:
    found = analyze("verify", "--man=no", unit)
    assert (found.returncode, found.stderr) == (0, "")


def test_systemd_finds_a_slip(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHomes=yes"))
    assert "ProtectHomes" in analyze("verify", "--man=no", unit).stderr


def test_systemd_rates_the_unit_as_protected(unit: Path) -> None:
    found = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", unit)
    assert found.returncode == 0, found.stdout


def read_unit() -> dict[str, list[str]]:
    """Return the values of each key of the unit, in order."""
    values: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.M):
        values.setdefault(key, []).append(value)
    return values


def test_the_program_accepts_the_settings() -> None:
    texts = [
        value.replace("%S", "/var/lib").replace("%d", "/run/credentials/x") for value in read_unit()["Environment"]
    ]
    settings = load_settings(dict(text.split("=", 1) for text in texts), root=ROOT).settings
    assert (settings.environment, str(settings.sqlite_path)) == ("prod", "/var/lib/scheduler/scheduler.db")
    assert read_unit()["StateDirectory"] == ["scheduler"]


def test_the_program_has_time_to_stop_and_is_not_restarted_with_an_invalid_configuration() -> None:
    values = read_unit()
    assert int(values["TimeoutStopSec"][0].removesuffix("s")) >= Settings().shutdown_grace + 15
    assert values["RestartPreventExitStatus"] == ["2"]
    assert values["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.setblocking(False)
        yield one


async def receive(receiver: socket.socket) -> str:
    async with asyncio.timeout(90):
        return (await asyncio.get_running_loop().sock_recv(receiver, 100)).decode()


async def test_the_host_reports_that_it_is_ready_and_that_it_stops(tmp_path: Path, receiver: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    async with embedded(tmp_path, {"a": job("http://127.0.0.1:9/")}, Program, **environ) as host:
        assert await receive(receiver) == "READY=1"
        host.program.signal(signal.SIGTERM)
        assert await receive(receiver) == "STOPPING=1"
        assert await host.program.exited() == 0


async def test_life_is_reported_three_times_within_the_timeout(tmp_path: Path, receiver: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
    reporting = asyncio.create_task(report_state(environ))
    assert [await receive(receiver) for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    reporting.cancel()


async def test_a_service_manager_that_does_not_listen_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reporting = asyncio.create_task(report_state({"NOTIFY_SOCKET": f"@{tmp_path}/nobody"}))
    await asyncio.sleep(0)
    reporting.cancel()
    assert caplog.messages[0].startswith("could not report READY=1 to systemd: ")
