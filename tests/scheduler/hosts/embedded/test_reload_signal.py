"""SIGHUP at the embedded host, a process of its own: it reads the job files again and never ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import pty
import signal
import sys
import termios
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.hosts.embedded.signals import StopSignals
from tests.parts.host import embedded, job
from tests.parts.proc import Program, clean_environment, free_port

URL = "http://127.0.0.1:9/"


def write_jobs(folder: Path, jobs: dict[str, Any]) -> None:
    (folder / "jobs" / "jobs.json").write_text(json.dumps({"jobs": jobs}))


async def test_it_reads_the_files_again_and_logs_the_result(tmp_path: Path) -> None:
    async with embedded(tmp_path, {"a": job(URL)}, Program) as host:
        host.program.signal(signal.SIGHUP)
        await host.logged("job files: unchanged; jobs in force: 1")

        write_jobs(tmp_path, {"a": job(URL), "b": job(URL)})
        host.program.signal(signal.SIGHUP)
        await host.logged("job files: 1 added: b; jobs in force: 2")
        assert {each["name"] for each in (await host.get("/api/jobs"))["jobs"]} == {"a", "b"}


async def test_a_problem_is_logged_at_each_signal_and_the_previous_jobs_stay(tmp_path: Path) -> None:
    async with embedded(tmp_path, {"a": job(URL)}, Program) as host:
        write_jobs(tmp_path, {"a": {"chek": {}}})
        await host.logged("the job files have")
        host.program.signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            while True:
                if host.program.stdout.count("the job files have") == 2:
                    break
                await asyncio.sleep(0.02)
        assert [each["name"] for each in (await host.get("/api/jobs"))["jobs"]] == ["a"]


def settings(folder: Path) -> dict[str, str]:
    (folder / "jobs").mkdir()
    write_jobs(folder, {"a": job(URL)})
    return {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_JOBS": str(folder / "jobs"),
    }


def has_default_hangup(pid: int) -> bool:
    """Whether SIGHUP ends the process: Python has not got as far as to run the program."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return not (int(status["SigIgn"], 16) | int(status["SigCgt"], 16)) & 1 << signal.SIGHUP - 1


async def test_signals_from_the_start_to_the_end_do_not_end_the_program(tmp_path: Path) -> None:
    port = free_port()

    async def send_hangups(program: Program) -> None:
        is_default = True
        while program.running:
            if not is_default:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(program.pid, signal.SIGHUP)  # Popen.send_signal would reap it before asyncio does
            is_default = is_default and has_default_hangup(program.pid)
            await asyncio.sleep(0.005)

    async with Program("serve", "--port", str(port), env=settings(tmp_path), cwd=tmp_path) as program:
        sending = asyncio.create_task(send_hangups(program))
        await program.ready(f"http://127.0.0.1:{port}/api/health/ready")
        program.signal(signal.SIGTERM)
        assert await program.exited() == 0, program.state
        await sending
    assert "Traceback" not in program.stdout + program.stderr


async def test_a_closed_terminal_does_not_end_the_program(tmp_path: Path) -> None:
    terminal, inside = pty.openpty()
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scheduler", "serve", "--port", str(port)),
        env=clean_environment(settings(tmp_path)),
        cwd=tmp_path,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        os.close(inside)
        url = f"http://127.0.0.1:{port}/api/health/ready"
        async with asyncio.timeout(90):
            while b"Dashboard: http" not in await asyncio.to_thread(os.read, terminal, 65536):
                pass
        os.close(terminal)  # the kernel sends SIGHUP, and every write fails from now on

        async with httpx.AsyncClient() as client:
            for _ in range(3):
                process.send_signal(signal.SIGHUP)
                assert (await client.get(url, timeout=60)).status_code == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(90):
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_a_second_stop_signal_ends_the_program_without_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", write)
    ended: list[int] = []
    with StopSignals(ended.append, timeout=3600) as signals:
        stopping = signals.listen()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stopping.wait(), 10)
        signal.raise_signal(signal.SIGTERM)
    assert ended == [128 + signal.SIGTERM]
