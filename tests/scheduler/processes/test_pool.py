"""The pool starts processes again that end, are silent or talk nonsense; without any, attempts are made here."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.checks.clock import SendPermission
from jobs.errors import ProcessLost
from scheduler.app.health_probes import processes_probe
from scheduler.health import HealthStatus
from scheduler.processes import pool, process
from scheduler.processes.pool import count_cores, find_examples, limit_of
from tests.jobs.checks.http_check import wait_until
from tests.parts.http_target import HttpTarget
from tests.parts.proc import Program
from tests.scheduler.processes.pool_parts import Supervisor, job, open_pool, use_stand_in

READY = 'say("ready")\n'
SILENT = f"{READY}time.sleep(100)"
NONSENSE = {
    "no text": 'say_bytes(b"\\xff\\x00")',
    "no list": 'say_bytes(b"5")',
    "nothing": 'say_bytes(b"")',
    "unknown word": 'say("hunter2")',
    "deeply nested": 'say_bytes(b"[" * 100_000)',
    "question without name": 'say("ask", 1)',
    "log without text": 'say("log", 40)',
    "level": 'say("log", "loud", "jobs.running", "text")',
    "order that is no number": 'say("done", [], {})',
    "too long": 'connection.sendall(b"\\xff\\xff\\xff\\xff")',
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
async def test_a_process_that_sends_what_cannot_be_read_is_killed_and_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, nonsense: str
) -> None:
    use_stand_in(monkeypatch, f"{READY}{nonsense}\ntime.sleep(100)")
    async with open_pool():
        await wait_until(lambda: caplog.text.count("its runs start anew") >= 2)

    assert "cannot be read" in caplog.text or "a message has" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_run_whose_result_cannot_be_read_ends_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, rest in (("done", [{"end": 1, "attempts": [{}]}, True]), ("without_result", []), ("failed", [])):
        use_stand_in(monkeypatch, f'{READY}read(); read(); read(); say("{word}", 1, *{rest})\ntime.sleep(100)')
        async with open_pool() as desk:
            await desk.ready()
            with pytest.raises(ProcessLost):
                await desk.run(job("http://127.0.0.1:9/"))


async def test_a_silent_process_is_killed_and_its_runs_start_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(process, "SILENT_CHECKS", 5)
    use_stand_in(monkeypatch, SILENT)
    async with open_pool() as desk:
        await desk.ready()
        with pytest.raises(ProcessLost):
            await desk.run(job("http://127.0.0.1:9/"))

    assert "does not answer" in caplog.text


async def test_a_process_that_gives_signs_of_life_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(process, "SILENT_CHECKS", 100)
    use_stand_in(monkeypatch, f'{READY}\nwhile True: say("alive"); time.sleep(0.01)')
    async with open_pool() as desk:
        pid = await desk.ready()
        looks = 0
        check = process.AttemptProcess.check

        def count(each: process.AttemptProcess) -> None:
            nonlocal looks
            looks += 1
            check(each)

        monkeypatch.setattr(process.AttemptProcess, "check", count)
        await wait_until(lambda: looks >= 150)
        assert desk.pool.pids == [pid]


async def test_log_records_of_a_process_appear_redacted_in_the_log_of_the_first_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        'say("log", 30, "jobs.running", "the key is hunter2\\nand more")',
        'say("log", 30, "jobs.made.up", "x" * 9000)',
        'say("log", 30, "root", "of another logger")',
    ]
    use_stand_in(monkeypatch, f"read(); {'; '.join(lines)}\n{SILENT}")
    made_up = "jobs.made.up"
    async with open_pool(redacted=["hunter2"]):
        pass
    found = [(record.name, record.getMessage()) for record in caplog.records if record.levelno == logging.WARNING]

    assert [name for name, _ in found] == ["jobs.running", "scheduler.processes", "scheduler.processes"]
    assert "hunter2" not in caplog.text
    assert "\n" not in found[0][1]
    assert len(found[1][1]) <= 4000
    assert made_up not in logging.root.manager.loggerDict


@pytest.mark.parametrize("command", [("/does/not/exist",), ("/bin/false",)])
async def test_without_a_process_that_starts_attempts_are_made_here_and_health_reports_it(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(process, "COMMAND", command)
    async with open_pool() as desk, HttpTarget() as target:
        probe = processes_probe(desk.pool)
        (part,) = await probe()
        assert part.status is HealthStatus.DEGRADED
        assert "1 of 1: process 1" in part.message
        result = await desk.pool.start(job(target.url), "checkout@1", SendPermission(), Supervisor()).run()
        assert result.attempts[0].status == 200


async def test_a_process_that_ends_while_the_pool_closes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", ("/bin/false",))
    monkeypatch.setattr(pool, "MIN_RESTART_DELAY", 0.01)
    ended, closing, wait_exit = [], asyncio.Event(), process.AttemptProcess.wait_exit

    async def wait_later(each: process.AttemptProcess) -> int:
        ended.append(each)
        if len(ended) == 2:
            await closing.wait()
        return await wait_exit(each)

    monkeypatch.setattr(process.AttemptProcess, "wait_exit", wait_later)
    async with open_pool() as desk:
        await wait_until(lambda: len(ended) == 2)
        closing.set()
        await desk.pool.aclose()
        assert [each._process.returncode for each in ended] == [1, 1]


async def test_health_is_good_while_processes_are_ready_or_start_for_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_stand_in(monkeypatch, SILENT)
    async with open_pool(2) as desk:
        probe = processes_probe(desk.pool)
        assert list(await probe()) == []
        os.kill(desk.pool.pids[0], signal.SIGKILL)
        await wait_until(lambda: desk.pool.problem != "")
        (part,) = await probe()
        assert "ended by SIGKILL" in part.message
        await desk.ready(2)
        assert list(await probe()) == []


async def test_a_process_that_ends_early_is_started_later_and_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_stand_in(monkeypatch, "raise SystemExit(3)")
    monkeypatch.setattr(pool, "MIN_RESTART_DELAY", 0.001)
    monkeypatch.setattr(pool, "MAX_RESTART_DELAY", 0.006)
    async with open_pool():
        await wait_until(lambda: len(_delays(caplog.text)) >= 5)

    assert _delays(caplog.text)[:5] == ["0.001", "0.002", "0.004", "0.006", "0.006"]


async def test_a_process_that_lived_for_long_is_started_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_stand_in(monkeypatch, "raise SystemExit(3)")
    monkeypatch.setattr(pool, "MIN_RESTART_DELAY", 0.001)
    monkeypatch.setattr(pool, "EARLY_S", -1.0)
    async with open_pool():
        await wait_until(lambda: len(_delays(caplog.text)) >= 4)

    assert set(_delays(caplog.text)) == {"0.001"}


async def test_fifty_restarts_leave_no_descriptor_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_stand_in(monkeypatch, f"{READY}")
    monkeypatch.setattr(pool, "MAX_RESTART_DELAY", 0.0)
    async with open_pool() as desk:
        before = len(os.listdir("/proc/self/fd"))
        await wait_until(lambda: caplog.text.count("its runs start anew") >= 50)
        # One process may exist, with its socket and the pipe of its start.
        assert len(os.listdir("/proc/self/fd")) <= before + 4
        assert len(desk.pool.pids) <= 1
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_another_process_starts_once_the_first_one_is_busy_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch, SILENT)
    monkeypatch.setattr(pool, "CHECK_INTERVAL", 0.002)
    monkeypatch.setattr(pool, "BUSY_CHECKS", 4)
    monkeypatch.setattr(process, "SILENT_CHECKS", 10**6)
    busy = iter([True, True, True, False, True, True, True, True, *[False] * 20, *[True] * 4])
    wanted: list[int] = []
    cpu = 0.0

    def look() -> float:
        nonlocal cpu
        wanted.append(desk.pool.required_count)
        cpu += 1e6 if next(busy, False) else 0.0
        return cpu

    async with open_pool(2, starts_on_load=True) as desk:
        await asyncio.sleep(0)  # the first look has begun
        monkeypatch.setattr(pool, "time", SimpleNamespace(process_time=look, monotonic=lambda: len(wanted) / 500))
        await wait_until(lambda: len(wanted) >= 40)
        await desk.ready(2)
        monkeypatch.undo()

    # What is wanted before each look.
    assert wanted[:8] == [0] * 8
    assert wanted[8:32] == [1] * 24
    assert set(wanted[32:]) == {2}


_FIRST = """
import asyncio
from tests.scheduler.processes.pool_parts import open_pool

async def main():
    async with open_pool(2) as desk:
        print(*desk.pool.pids, flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""


async def test_all_processes_end_at_once_when_the_first_one_is_killed_even_a_stopped_one() -> None:
    async with Program("-c", _FIRST, module=None) as program:
        await wait_until(lambda: program.stdout.endswith("\n") or not program.running)
        assert program.running, program.stderr
        pids = [int(pid) for pid in program.stdout.split()]
        os.kill(pids[0], signal.SIGSTOP)
        program.kill()
        await program.exited()
        await wait_until(lambda: not any(_is_running(pid) for pid in pids))
    assert len(pids) == 2


def _delays(text: str) -> list[str]:
    return re.findall(r"ended with code 3;.* in (\S+) s", text)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_limit_is_the_setting_or_the_number_of_cores() -> None:
    assert limit_of(3) == 3
    assert limit_of("auto") == count_cores() >= 1


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 8), ("400000 100000", 4), ("150000 100000", 1), ("10000 100000", 1), ("nonsense", 8), ("", 8)],
)
def test_cores_are_limited_by_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(f"{text}\n")

    assert count_cores(tmp_path / "cpu.max") == cores
    assert count_cores(tmp_path / "none") == 8


def test_examples_are_a_job_of_each_kind_and_scheme() -> None:
    jobs = [
        job("http://a.test"),
        job("http://b.test"),
        job("https://a.test"),
        job("", check={"kind": "dns", "name": "a"}),
    ]

    assert find_examples(jobs) == (jobs[0], jobs[2], jobs[3])
