"""A crash of the interpreter leaves the stacks of its threads on standard error."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.crash_traces import enable_crash_traces
from tests.parts.host import embedded
from tests.parts.http_target import HttpTarget
from tests.parts.proc import ROOT, Program, clean_environment, run

CRASHES = [(signal.SIGSEGV, "Segmentation fault"), (signal.SIGABRT, "Aborted")]


@pytest.mark.parametrize(("number", "name"), CRASHES)
async def test_a_crash_of_serve_leaves_the_stacks_of_its_threads(
    number: signal.Signals, name: str, tmp_path: Path
) -> None:
    async with embedded(tmp_path, {}, Program) as host:
        host.program.signal(number)
        assert await host.program.exited() == -number

    assert f"Fatal Python error: {name}" in host.program.stderr
    assert f'{ROOT / "scheduler/hosts/embedded/host.py"}", line ' in host.program.stderr
    assert f'{ROOT / "observability/logs.py"}", line ' in host.program.stderr  # the thread that writes the log


async def test_a_crash_of_a_command_leaves_its_stack(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        (tmp_path / "jobs.yaml").write_text(f"jobs:\n  slow:\n    check: {{url: '{target.url}/slow'}}\n")
        environ = {"SCHEDULER_JOBS": str(tmp_path / "jobs.yaml"), "SCHEDULER_STORE": f"sqlite:///{tmp_path}/state.db"}
        async with Program("run", "slow", env=environ, cwd=tmp_path) as command:
            await target.wait_for_requests(1)
            command.signal(signal.SIGSEGV)
            assert await command.exited() == -signal.SIGSEGV

    assert "Fatal Python error: Segmentation fault" in command.stderr
    assert f'{ROOT / "scheduler/features/runs/commands.py"}", line ' in command.stderr


async def test_a_crash_of_the_functions_host_leaves_its_stack() -> None:
    code = "import os, signal, function_app\ndef invoke(): os.kill(os.getpid(), signal.SIGABRT)\ninvoke()"
    ended = await run("-c", code, module=None)

    assert ended.code == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in ended.stderr
    assert 'File "<string>", line 2 in invoke' in ended.stderr


def test_a_command_works_without_standard_error() -> None:
    command = ["sh", "-c", 'exec "$0" -m scheduler --version 2>&-', sys.executable]
    ended = subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, timeout=60)

    assert (ended.returncode, ended.stdout[:10]) == (0, b"scheduler ")


def test_traces_that_the_process_has_enabled_itself_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: list[object] = []
    monkeypatch.setattr(faulthandler, "enable", enabled.append)
    monkeypatch.setattr(faulthandler, "is_enabled", lambda: True)
    enable_crash_traces()
    assert enabled == []


def test_a_closed_stream_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(faulthandler, "is_enabled", lambda: False)
    with (tmp_path / "closed").open("w") as stream:
        monkeypatch.setattr(sys, "__stderr__", stream)
    enable_crash_traces()
