"""Runs the test suite: several pytest processes beside each other, each with limits. Called by `./dev test`.

A lane is one pytest process. The lanes of the whole suite write to files in reports/; the file of a lane that fails is
printed when it ends. A failed test is printed at once. A lane that reaches a limit writes the stacks of all its threads
and is ended, so the command always ends, and it always knows what passed, failed and did not run (tests/outcomes.py).
Needs Python's standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from tests.line_coverage import COVERAGE_DATA
from tests.outcomes import FILE_VARIABLE, Failure, Outcomes, Tally
from tests.time_limits import MULTIPLIER_VARIABLE, Countdown, cores, multiplier

WHOLE_PROGRAM = "tests/acceptance"
FAILING = "killed or storage_stall or storage_faults"
"""Names of tests and modules of a lane of their own."""
SIMULATION = "tests/simulation"
SCHEDULER = "tests/scheduler"
"""Half of all other tests."""
HOUSE = ("tests/bench", "tests/docs", "tests/image", "tests/infra", "tests/parts", "tests/pipeline", "tests/project")
"""Tests of what surrounds the product, half of what is left."""
AGAIN = ("tests/jobs", "tests/parts", "tests/scheduler")
"""Where the tests are that run on a second Python, the one of Microsoft's worker."""
NOT_AGAIN = (
    "tests/scheduler/hosts/embedded/test_host.py",
    "tests/scheduler/test_first_run.py",
    "tests/scheduler/cli/test_main.py",
    "tests/scheduler/api/test_schema_walk.py",
    "tests/scheduler/api/access/test_identity_table.py",
    "tests/parts/test_identity_table.py",
)
"""Modules of those that start processes, whose coverage is not measured, or walk over all routes."""
ONCE = ("tests/jobs/", "tests/scheduler/")
"""They run on the second Python alone, if there is one, but for NOT_AGAIN and the tests that it excludes. So most tests
run once, and both Pythons run every package: the first one by the properties and the tests of the whole program.
"""
PROCESSES = ("tests/scheduler/cli", "tests/scheduler/functions", "tests/scheduler/hosts")
"""Half of the time on the second Python. A lane of their own, so that both cores have work to the end."""
EXCLUDED_AGAIN = frozenset({"property", "slow", "azurite", "browser"})
"""Markers of tests that the second Python does not run unless they need the worker."""

NOTHING_SELECTED = 5
"""pytest's exit code when no test was selected."""
LIMIT_REACHED = 124
"""Exit code of a lane that was ended at a limit, as `timeout` has it."""
INTERRUPTED = 130
"""Exit code of the lanes that Ctrl-C or another signal has ended or not let start, as a shell has it."""

_POLL = 0.1
_GRACE = 5.0
"""Seconds from one request to end to the next, stronger one."""
_MEASURING = 2.0
"""Seconds between two measurements of CPU time."""
_PROGRESS = 30.0
"""Seconds between two lines that say how far the lanes are."""
_MAX_NAMES = 20
"""Tests that the end names of those that did not run, and of those that failed."""


class Lane(NamedTuple):
    """One pytest process.

    `limit`: seconds of CPU time, of all its processes together, after which it is ended. `standstill`: seconds, of an
    idle machine, after which it is ended if none of its tests has: longer than the timeout of any test. `niceness`: how
    far other lanes go first, as `nice` takes it. `measured`: whether it measures coverage. `live`: whether its output
    is shown while it runs.
    """

    name: str
    python: str
    arguments: tuple[str, ...]
    limit: float = 1800.0
    standstill: float = 1200.0
    niceness: int = 0
    measured: bool = False
    live: bool = False


def whole_suite(python: Path, measuring_python: Path | None) -> list[Lane]:
    """Every test once on `python`, and on `measuring_python` a part again: enough for the coverage, and quick.

    `measuring_python` is the Python of Microsoft's worker, 3.13: it also runs the tests on the worker. Its lanes alone
    measure coverage, by sys.monitoring: the tracer that older Pythons need can stop a thread from starting, and costs
    a third of the time. None: this machine has no such Python. If it is `python` itself, no test runs twice.
    """
    inside = (f"--ignore={WHOLE_PROGRAM}", f"--ignore={SIMULATION}")
    own, own_python = ("-m", "not worker"), str(python)
    lanes = [
        # In the order of their start. The whole program waits more than it computes, so it goes first, beside the lanes
        # that compute most. Those that compute least go last, so that both cores have work to the end.
        Lane("killed", own_python, (WHOLE_PROGRAM, *own, "-k", FAILING)),
        Lane("acceptance", own_python, (WHOLE_PROGRAM, *own, "-k", f"not ({FAILING})")),
    ]
    last = [Lane("simulation", own_python, (SIMULATION, *own), niceness=2)]
    if measuring_python != python:
        selected = own if measuring_python is None else ("-m", "not worker and not once")
        apart = tuple(f"--ignore={folder}" for folder in (SCHEDULER, *HOUSE))
        lanes.append(Lane("scheduler", own_python, (SCHEDULER, *selected), niceness=2))
        lanes.append(Lane("house", own_python, (*HOUSE, *selected), niceness=2))
        last.insert(0, Lane("suite", own_python, (*inside, *apart, *selected), niceness=2))
    if measuring_python is not None:
        lanes += _measured_lanes(str(measuring_python), None if measuring_python != python else inside)
    return lanes + last


def _measured_lanes(python: str, whole: tuple[str, ...] | None) -> list[Lane]:
    """Return the lanes that measure coverage. `whole`: the arguments of one lane that runs all."""
    if whole is not None:
        return [Lane("measured", python, whole, niceness=1, measured=True)]
    excluded = ("-m", f"worker or not ({' or '.join(sorted(EXCLUDED_AGAIN))})")
    ignored = tuple(f"--ignore={module}" for module in NOT_AGAIN)
    rest = (*AGAIN, *ignored, *(f"--ignore={folder}" for folder in PROCESSES), *excluded)
    return [
        Lane("measured", python, rest, niceness=1, measured=True),
        Lane("processes", python, (*PROCESSES, *ignored, *excluded), niceness=1, measured=True),
    ]


def runs_once(path: str, markers: Iterable[str]) -> bool:
    """Return whether a test, of the module at this path, has the marker `once`: see ONCE."""
    return path.startswith(ONCE) and path not in NOT_AGAIN and EXCLUDED_AGAIN.isdisjoint(markers)


def chosen_tests(python: Path, worker_python: Path | None, arguments: Sequence[str]) -> list[Lane]:
    """The tests that pytest's arguments name. `worker_python`: runs those on the worker; None: there are none."""
    if worker_python == python:
        return [Lane("suite", str(python), tuple(arguments), live=True)]
    lanes = [Lane("suite", str(python), ("-m", "not worker", *arguments), live=True)]
    if worker_python is not None:
        lanes.append(Lane("worker", str(worker_python), (*arguments, "-m", "worker")))
    return lanes


def run(lanes: Sequence[Lane], root: Path, reports: Path, *, require_parts: bool = False) -> list[Tally]:
    """Run the lanes in the folder `root`; one tally a lane, in their order. Ctrl-C ends them, with the tallies so far.

    `require_parts`: a part that this machine lacks fails its tests instead of skipping them.
    """
    running = _Running(lanes, root, reports, require_parts)
    with _interrupted_by_signals():
        try:
            while running.continues():
                time.sleep(_POLL)
        except KeyboardInterrupt:
            print("interrupted: ending the lanes", flush=True)
        finally:  # no lane is left behind
            for number in _INTERRUPTING:
                signal.signal(number, signal.SIG_IGN)
            running.interrupt()
    return [running.tallies.get(lane.name, Tally(INTERRUPTED, missed=None)) for lane in lanes]


def print_end(lanes: Sequence[Lane], tallies: Sequence[Tally]) -> None:
    """Print the numbers of each lane and of all, and the names of the tests that failed or did not run."""
    print()
    for lane, tally in zip(lanes, tallies, strict=True):
        for failure in tally.failures[:_MAX_NAMES]:
            _print_failure(failure, lane)
        if (more := len(tally.failures) - _MAX_NAMES) > 0:
            print(f"FAILED and {more} more (lane {lane.name}), see reports/{lane.name}.jsonl")
    for lane, tally in zip(lanes, tallies, strict=True):
        if len(lanes) > 1:
            print(f"lane {lane.name}: {tally}")
        for name in (tally.missed or ())[:_MAX_NAMES]:
            print(f"    did not run: {name}")
        if (more := len(tally.missed or ()) - _MAX_NAMES) > 0:
            print(f"    did not run: {more} more")
    passed, failed, skipped = (sum(numbers) for numbers in zip(*(tally[1:4] for tally in tallies), strict=True))
    unknown = [lane.name for lane, tally in zip(lanes, tallies, strict=True) if tally.missed is None]
    and_those_of = f" and the tests of {', '.join(unknown)}" if unknown else ""
    missed = sum(len(tally.missed or ()) for tally in tallies)
    print(f"total: {passed} passed, {failed} failed, {skipped} skipped, {missed}{and_those_of} did not run", flush=True)


def _print_failure(failure: Failure, lane: Lane) -> None:
    lines = [f"FAILED {failure.test} (lane {lane.name})", *failure.text.splitlines()]
    print("\n    ".join(lines), flush=True)


_INTERRUPTING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""SIGHUP: the terminal is closed, but each lane has a session of its own and would continue."""


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _INTERRUPTING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Running:
    """The lanes that wait, run and have ended.

    At most three lanes more than cores run beside each other: with more, those that compute hold each other up until
    the tests of those that wait for programs take as long as their limits.
    """

    def __init__(self, lanes: Sequence[Lane], root: Path, reports: Path, require_parts: bool) -> None:
        self._waiting, self._processes = list(lanes), list[_Process]()
        self._start = partial(_Process, root=root, reports=reports, require_parts=require_parts)
        self._shows_progress = not any(lane.live for lane in lanes)
        self._cpu: Mapping[int, float] = {}
        self._measured_at = self._started = self._reported_at = time.monotonic()
        self.tallies: dict[str, Tally] = {}

    def continues(self) -> bool:
        """Start lanes, report failures and end lanes at their limits. Return whether a lane waits or runs."""
        while self._waiting and len(self._processes) < cores() + 3:
            self._processes.append(self._start(self._waiting.pop(0)))
        now = time.monotonic()
        if now - self._measured_at >= _MEASURING:
            self._cpu, self._measured_at = _cpu_by_session(), now
        for process in list(self._processes):
            process.report_failures()
            limit = process.reached_limit(self._cpu)
            if limit:
                process.write_stacks()
                _end([process])
            if process.has_ended():
                self._finish(process, LIMIT_REACHED if limit else None, limit)
        if self._shows_progress and now - self._reported_at >= _PROGRESS:
            self._reported_at = now
            self._print_progress(now - self._started)
        return bool(self._waiting or self._processes)

    def interrupt(self) -> None:
        """End the lanes that run. Their tallies count what has ended."""
        _end(self._processes)
        for process in list(self._processes):
            self._finish(process, INTERRUPTED)

    def _finish(self, process: _Process, status: int | None = None, limit: str = "") -> None:
        self._processes.remove(process)
        self.tallies[process.lane.name] = process.finish(status, limit)

    def _print_progress(self, seconds: float) -> None:
        ended = sum(process.outcomes.count for process in self._processes)
        ended += sum(tally.passed + tally.failed + tally.skipped for tally in self.tallies.values())
        shares = (f"{each.lane.name} {each.outcomes.share or 0:.0%}" for each in self._processes)
        waiting = f"; waiting: {', '.join(lane.name for lane in self._waiting)}" if self._waiting else ""
        print(f"{seconds:.0f} s: {ended} tests ended; running: {', '.join(shares)}{waiting}", flush=True)


def _end(processes: Sequence[_Process]) -> None:
    """End the lanes, by a stronger signal if they still run some seconds later."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        alive = [process for process in processes if not process.has_ended()]
        for process in alive:
            process.kill(number)
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and not all(process.has_ended() for process in alive):
            time.sleep(_POLL)


def _cpu_by_session() -> dict[int, float]:
    """Return the seconds that the processes of each session have computed, and those that they waited for."""
    seconds: dict[int, float] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):  # Linux only: elsewhere no lane reaches its limit of CPU time
        with contextlib.suppress(OSError):  # it has ended
            fields = file.read_text(errors="replace").rpartition(")")[2].split()
            session, ticks = int(fields[3]), sum(map(int, fields[11:15]))
            seconds[session] = seconds.get(session, 0.0) + ticks / os.sysconf("SC_CLK_TCK")
    return seconds


def _lower_priority(niceness: int) -> None:
    """Let other lanes go first. Linux groups the processes of a session and compares these groups, each with its own
    niceness."""
    os.nice(niceness)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def _cpu_of_ended_children() -> float:
    """Return the seconds that processes which were waited for have computed, and those that these waited for."""
    times = os.times()
    return times.children_user + times.children_system


class _Process:
    """A lane's process, from its start to its tally."""

    def __init__(self, lane: Lane, *, root: Path, reports: Path, require_parts: bool) -> None:
        self.lane = lane
        self.outcomes = Outcomes(reports / f"{lane.name}.jsonl")
        self._log = reports / f"{lane.name}.txt"
        self._cpu = 0.0
        self._multiplier = multiplier()
        self._count = 0
        self._standstill = Countdown(lane.standstill * self._multiplier)
        self._started = time.monotonic()
        env = dict(os.environ, COVERAGE_FILE=str(reports / f"{COVERAGE_DATA}.{lane.name}"))
        env[FILE_VARIABLE] = str(reports / f"{lane.name}.jsonl")
        if require_parts:
            env["SCHEDULER_TEST_REQUIRE_PARTS"] = "1"
        coverage = ("--cov", "--cov-report=") if lane.measured else ()
        report = f"--junit-xml={reports / f'junit-{lane.name}.xml'}"
        with self._output() as output:
            # A session of its own, so that a signal reaches all that the tests have started.
            self._process = subprocess.Popen(
                [lane.python, "-m", "pytest", report, *coverage, *lane.arguments],
                cwd=root,
                env=env,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_lower_priority, lane.niceness),
            )

    def has_ended(self) -> bool:
        if self._process.returncode is None:
            before = _cpu_of_ended_children()
            if self._process.poll() is not None:
                self._cpu = _cpu_of_ended_children() - before
        return self._process.returncode is not None

    def report_failures(self) -> None:
        for failure in self.outcomes.read():
            _print_failure(failure, self.lane)

    def reached_limit(self, cpu: Mapping[int, float]) -> str:
        """Return the limit that the lane has reached, or nothing. `cpu`: seconds of CPU time by session."""
        if self.has_ended():
            return ""
        if self.outcomes.count > self._count:
            self._count = self.outcomes.count
            self._standstill = Countdown(self.lane.standstill * self._multiplier)
        self._cpu = max(self._cpu, cpu.get(self._process.pid, 0.0))  # less once a process ends that no parent waits for
        if self._cpu > self.lane.limit * self._multiplier:
            return f"its limit of {self.lane.limit * self._multiplier:g} s of CPU time"
        if self._standstill.left() <= 0:
            return (
                f"a standstill: no test has ended for {self.lane.standstill * self._multiplier:g} s of an idle machine"
            )
        return ""

    def write_stacks(self) -> None:
        self._process.send_signal(signal.SIGUSR1)  # handled by tests/conftest.py

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the lane and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def finish(self, status: int | None, limit: str) -> Tally:
        """Kill what the tests left running, print the result and return it. `status`: instead of the exit code."""
        self.kill(signal.SIGKILL)
        self.report_failures()
        tally = self.outcomes.tally(self._process.returncode if status is None else status)
        if not self.lane.live and tally.status not in (0, INTERRUPTED):
            print("", self._log.read_text(errors="replace"), sep="\n")
        result = {0: "ok", INTERRUPTED: "interrupted"}.get(tally.status, "FAILED")
        times = f"{time.monotonic() - self._started:.0f} s, {self._cpu:.0f} s of CPU time"
        print(f"lane {self.lane.name}: {result}, {tally} in {times}")
        if limit:
            print(f"    ended at {limit}; --timeout-multiplier or {MULTIPLIER_VARIABLE} raises all limits")
        sys.stdout.flush()
        return tally

    @contextlib.contextmanager
    def _output(self) -> Iterator[IO[bytes] | None]:
        if self.lane.live:
            yield None
        else:
            with open(self._log, "wb") as file:
                yield file
