"""Attempts of a process that lacks CPU are marked, and decide nothing about the time of their targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.port import AttemptContext
from jobs.running.clocks import LostTime
from jobs.running.starvation import CpuFiles, StarvationMeter
from jobs.runs import ErrorClass, Observation, Outcome, Phases, Run
from jobs.runs.outcomes import ReasonCode
from jobs.targets import HttpTarget
from tests.jobs.running.run_parts import Hang, Stage, Step, answer, broken, job
from tests.jobs.running.virtual_time import VirtualTimeLoop, virtual_time

TICKS = 100


class Machine:
    """The files of Linux, and a clock."""

    def __init__(self, root: Path, *, version: int = 2, has_schedstat: bool = True) -> None:
        self.root, self.now = root, 100.0
        self.waited = self.stolen = self.throttled = 0.0
        self._version, self._has_schedstat = version, has_schedstat
        (root / "proc/thread-self").mkdir(parents=True)
        (root / "proc/self").mkdir(parents=True)
        self.write()

    def write(self) -> None:
        if self._has_schedstat:
            (self.root / "proc/thread-self/schedstat").write_text(f"77 {round(self.waited * 1e9)} 5\n")
        ticks = round(self.stolen * TICKS)
        (self.root / "proc/stat").write_text(f"cpu  1 2 3 4 5 6 7 {ticks} 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n")
        lines = {2: "0::/box\n", 1: "4:cpu,cpuacct:/box\n0::/\n"}
        folder = {2: "sys/fs/cgroup/box", 1: "sys/fs/cgroup/cpu,cpuacct/box"}[self._version]
        texts = {
            2: f"throttled_usec {round(self.throttled * 1e6)}\n",
            1: f"throttled_time {self.throttled * 1e9:.0f}\n",
        }
        (self.root / "proc/self/cgroup").write_text(lines[self._version])
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / folder / "cpu.stat").write_text(f"nr_periods 3\n{texts[self._version]}")

    def meter(self) -> StarvationMeter:
        lost = LostTime(lambda: self.now)
        return StarvationMeter(lost, lambda: self.now, CpuFiles(self.root, processors=1))

    def run(self, seconds: float, *, waited: float = 0.0, stolen: float = 0.0, throttled: float = 0.0) -> None:
        self.now += seconds
        self.waited, self.stolen = self.waited + waited, self.stolen + stolen
        self.throttled += throttled
        self.write()


def test_a_wait_on_the_run_queue_is_lack(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    before = meter.total()
    machine.run(2.0, waited=0.5)

    assert meter.total() - before == pytest.approx(0.5)


def test_time_that_other_machines_took_is_lack(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    before = meter.total()
    machine.run(2.0, stolen=0.5)

    assert meter.total() - before == pytest.approx(0.5)


@pytest.mark.parametrize("version", [1, 2])
def test_throttling_is_lack_where_the_system_does_not_count_waits(tmp_path: Path, version: int) -> None:
    machine = Machine(tmp_path, version=version, has_schedstat=False)
    meter = machine.meter()
    before = meter.total()
    machine.run(2.0, throttled=0.75)

    assert meter.total() - before == pytest.approx(0.75)


def test_a_throttled_wait_counts_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    before = meter.total()
    machine.run(2.0, waited=0.75, throttled=0.75)

    assert meter.total() - before == pytest.approx(0.75)


def test_a_system_without_these_files_has_no_lack(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "other")
    meter = StarvationMeter(LostTime(lambda: machine.now), lambda: machine.now, CpuFiles(tmp_path / "empty"))
    before = meter.total()
    machine.run(2.0, waited=1.0)

    assert meter.total() == before


@pytest.mark.parametrize("text", ["", "x", "1", "1 two 3", "\x00\xff"])
def test_a_file_of_another_form_counts_as_zero(tmp_path: Path, text: str) -> None:
    machine = Machine(tmp_path)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        path.write_text(text)
    meter = machine.meter()
    meter.total()
    machine.now += 2

    assert meter.total() == 0


@pytest.mark.parametrize(
    ("lack", "response_ms", "starved"),
    [(0.009, 20.0, False), (0.02, 150.0, True), (0.15, 2000.0, False), (0.25, 2000.0, True)],
)
def test_more_than_ten_milliseconds_and_a_tenth_of_the_response_time_is_too_much(
    tmp_path: Path, lack: float, response_ms: float, starved: bool
) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    before = meter.total()
    machine.run(2.0, waited=lack)

    assert meter.is_starved(before, response_ms) is starved


def test_an_attempt_shorter_than_a_sample_is_starved_while_the_process_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    meter.total()
    machine.run(0.1, waited=0.03)
    before = meter.total()
    machine.run(0.02)

    assert meter.is_starved(before, 20.0)


def test_the_reading_counts_attempts_and_starved_ones(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = machine.meter()
    before = meter.total()
    meter.is_starved(before, 10)
    machine.run(2.0, waited=1, throttled=0.5)
    meter.is_starved(before, 10)
    reading = meter.reading()

    assert (reading.attempts, reading.starved, reading.throttled_s) == (2, 1, 0.5)


@given(steps=st.lists(st.tuples(st.floats(0.001, 10), st.floats(-5, 20)), max_size=20))
def test_the_total_never_falls_and_never_exceeds_the_time(steps: list[tuple[float, float]]) -> None:
    class Files(CpuFiles):
        def _read_waits(self) -> float:
            return waited

    now, waited = 0.0, 0.0
    meter = StarvationMeter(LostTime(lambda: now), lambda: now, Files(Path("/nowhere")))
    totals = [meter.total()]
    for seconds, wait in steps:
        now, waited = now + seconds, waited + wait
        totals.append(meter.total())

    assert totals == sorted(totals)
    assert totals[-1] <= now + 1e-9


def skip(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(seconds)


def stalled(stop: float, then: Observation, before: float) -> Callable[[HttpTarget, AttemptContext], object]:
    async def observe(target: HttpTarget, call: AttemptContext) -> Observation:
        await asyncio.sleep(before)
        skip(stop)
        await asyncio.sleep(0.001)
        return then

    return observe


async def run_stalled(
    stop: float, then: Observation, *more: Step, before: float = 0.5, **fields: object
) -> tuple[Stage, Run]:
    """Run a job whose first attempt stalls; its later ones follow the steps."""
    stage = Stage(*(more or (answer(),)))
    scripted, first = stage.check.observe, stalled(stop, then, before)

    async def observe(target: HttpTarget, call: AttemptContext) -> Observation:
        return await (first if call.attempt == 1 else scripted)(target, call)  # type: ignore[operator]

    stage.check.observe = observe  # type: ignore[method-assign, assignment]
    return stage, await stage.run(job(**fields))


@virtual_time
async def test_a_run_of_a_delayed_loop_is_starved() -> None:
    _, run = await run_stalled(0.3, answer())

    assert (run.outcome, run.starved, run.reliable_response_ms) == (Outcome.SUCCEEDED, True, None)


@virtual_time
async def test_a_run_of_a_punctual_loop_is_not_starved() -> None:
    _, run = await run_stalled(0.0, answer())

    assert (run.starved, run.reliable_response_ms) == (False, 12.0)


SLOW = Observation(Phases(total_ms=900.0), status=200)


@pytest.mark.parametrize("severity", ["fail", "degraded"])
@virtual_time
async def test_a_starved_run_is_not_judged_by_its_response_time(severity: str) -> None:
    expect = [{"response_time_below": "400ms", "severity": severity}]
    _, run = await run_stalled(0.3, SLOW, expect=expect)

    assert (run.outcome, run.degraded) == (Outcome.SUCCEEDED, False)
    assert run.message == (
        "Not judged: response_time_below, because the scheduler lacked CPU, so the response time is unreliable."
    )


@virtual_time
async def test_a_slow_answer_is_judged_if_the_process_had_its_cpu() -> None:
    _, run = await run_stalled(0.0, SLOW, expect=[{"response_time_below": "400ms"}], retry={"attempts": 1})

    assert run.outcome is Outcome.FAILED


@virtual_time
async def test_a_starved_run_still_fails_by_its_other_expectations() -> None:
    wrong = Observation(Phases(total_ms=900.0), status=503)
    expect = [{"status": 200}, {"response_time_below": "400ms"}]
    _, run = await run_stalled(0.3, wrong, expect=expect, retry={"attempts": 1})

    assert (run.outcome, [failure.expectation for failure in run.attempts[-1].failures]) == (Outcome.FAILED, ["status"])


@virtual_time
async def test_a_starved_run_fails_by_a_field_of_the_answer_that_is_named_like_a_time() -> None:
    expect = [{"json": "$.response_time", "below": 5}]
    slow = replace(SLOW, body=b'{"response_time": 9}', headers={"content-type": "application/json"})
    _, run = await run_stalled(0.3, slow, expect=expect, retry={"attempts": 1})

    assert run.outcome is Outcome.FAILED


TIMED_OUT = broken(ErrorClass.RESPONSE_TIMEOUT, "No response.")


@virtual_time
async def test_a_timeout_of_a_starved_attempt_is_looked_at_again() -> None:
    stage, run = await run_stalled(0.8, TIMED_OUT, answer(), retry={"attempts": 1})

    assert (run.outcome, len(run.attempts), len(stage.heard.retried)) == (Outcome.SUCCEEDED, 2, 1)


@virtual_time
async def test_a_second_look_that_had_its_cpu_decides() -> None:
    _, run = await run_stalled(0.8, TIMED_OUT, Hang("first_byte"), retry={"attempts": 1})

    assert (run.outcome, run.error, len(run.attempts)) == (Outcome.TIMED_OUT, ErrorClass.RESPONSE_TIMEOUT, 2)


@virtual_time
async def test_a_starved_timeout_without_time_for_a_second_look_is_not_judged() -> None:
    limits = {"attempt": "320ms", "run": "320ms"}
    _, run = await run_stalled(0.19, TIMED_OUT, before=0.1, retry={"attempts": 1}, timeout=limits)

    assert (run.outcome, run.reason) == (Outcome.SKIPPED, ReasonCode.BLIND)
    assert "the scheduler itself lacked CPU for" in run.message


@virtual_time
async def test_a_timeout_that_lacked_little_cpu_is_judged() -> None:
    _, run = await run_stalled(0.19, TIMED_OUT, answer(), retry={"attempts": 1})

    assert (run.starved, run.outcome, len(run.attempts)) == (True, Outcome.TIMED_OUT, 1)


@virtual_time
async def test_a_request_that_must_not_be_repeated_gets_no_second_look() -> None:
    check = {"url": "https://checkout.internal/pay", "method": "POST"}
    _, run = await run_stalled(0.8, TIMED_OUT, check=check, retry={"attempts": 1})

    assert (run.outcome, run.reason, len(run.attempts)) == (Outcome.SKIPPED, ReasonCode.BLIND, 1)


@pytest.mark.parametrize(("stop", "opened"), [(0.3, 0), (0.0, 1)])
@virtual_time
async def test_a_starved_run_is_not_slow_for_its_circuit(stop: float, opened: int) -> None:
    circuit = {"slow_call": "100ms", "slow_rate": 0.5, "window": 10, "minimum_calls": 1}
    stage, _ = await run_stalled(stop, SLOW, circuit=circuit)

    assert stage.circuits.open_count == opened
