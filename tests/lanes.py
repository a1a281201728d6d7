"""Runs the test suite: several pytest processes beside each other, each with a time limit. Called by `./dev test`.

A lane is one pytest process. All lanes but the first write to a file in reports/; the file is printed when the lane
ends. A lane that reaches its limit writes the stacks of all its threads and is killed, so the command always ends.
Needs Python's standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree

WHOLE_PROGRAM = "tests/acceptance"
FAILING = "killed or storage_stall or storage_faults"
"""Names of tests and modules of a lane of their own."""
SIMULATION = "tests/simulation"
SCHEDULER = "tests/scheduler"
"""Half of all other tests."""
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
COVERED = ("jobs", "scheduler")
MINIMUM_COVERAGE = 90.0
"""Percent of the lines of each covered package."""

COVERAGE_DATA = ".coverage"
"""The sum of what the measured lanes write, each to a file of this name with its own behind it."""

NOTHING_SELECTED = 5
"""pytest's exit code when no test was selected."""
LIMIT_REACHED = 124
"""Exit code of a lane that was killed at its limit, as `timeout` has it."""

_POLL = 0.1
_GRACE = 5.0
"""Seconds from one request to end to the next, stronger one."""
_WRITING = 1.0
"""Seconds in which a lane writes the stacks of its threads."""


class Tally(NamedTuple):
    """How a lane ended: its exit code and numbers of tests."""

    status: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Lane(NamedTuple):
    """One pytest process.

    `limit`: seconds after which it is killed. `niceness`: how far other lanes go first, as `nice` takes it.
    `measured`: whether it measures coverage. `live`: whether its output is shown while it runs.
    """

    name: str
    python: str
    arguments: tuple[str, ...]
    limit: float = 1800.0
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
        # The whole program waits more than it computes, so it goes first. Tests that kill it, or make its storage fail,
        # are the longest.
        Lane("acceptance", own_python, (WHOLE_PROGRAM, *own, "-k", f"not ({FAILING})")),
        Lane("killed", own_python, (WHOLE_PROGRAM, *own, "-k", FAILING)),
        Lane("simulation", own_python, (SIMULATION, *own), niceness=3),
    ]
    if measuring_python is not None:
        lanes[:0] = _measured_lanes(str(measuring_python), None if measuring_python != python else inside)
    if measuring_python != python:
        selected = own if measuring_python is None else ("-m", "not worker and not once")
        lanes.insert(0, Lane("scheduler", own_python, (SCHEDULER, *selected), niceness=2))
        lanes.insert(0, Lane("suite", own_python, (*inside, f"--ignore={SCHEDULER}", *selected), niceness=2, live=True))
    return lanes


def _measured_lanes(python: str, whole: tuple[str, ...] | None) -> list[Lane]:
    """Return the lanes that measure coverage. `whole`: the arguments of one lane that runs all."""
    if whole is not None:
        return [Lane("measured", python, whole, niceness=1, measured=True, live=True)]
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
    """The tests that pytest's arguments name, on the worker too where that needs another Python."""
    if worker_python == python:
        return [Lane("suite", str(python), tuple(arguments), live=True)]
    lanes = [Lane("suite", str(python), ("-m", "not worker", *arguments), live=True)]
    if worker_python is not None:
        lanes.append(Lane("worker", str(worker_python), (*arguments, "-m", "worker")))
    return lanes


def run(lanes: Sequence[Lane], root: Path, reports: Path, *, require_parts: bool = False) -> list[Tally]:
    """Run the lanes beside each other in the folder `root`; one tally a lane, in their order.

    `require_parts`: a part that this machine lacks fails its tests instead of skipping them.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    running: list[_Process] = []
    try:
        running.extend(_Process(lane, root, reports, require_parts) for lane in lanes)
        while [process for process in running if not process.ended()]:
            time.sleep(_POLL)
    finally:  # after Ctrl-C or SIGTERM too: no lane is left behind
        signal.signal(signal.SIGTERM, before)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            _end(running, number)
    return [process.tally for process in running]


def _end(running: Sequence[_Process], number: signal.Signals) -> None:
    """Send the signal to those that still run, and give them some seconds to end."""
    alive = [process for process in running if not process.has_ended()]
    for process in alive:
        process.kill(number)
    until = time.monotonic() + _GRACE
    while time.monotonic() < until and not all(process.has_ended() for process in alive):
        time.sleep(_POLL)


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

    def __init__(self, lane: Lane, root: Path, reports: Path, require_parts: bool) -> None:
        self._lane = lane
        self._report, self._log = reports / f"junit-{lane.name}.xml", reports / f"{lane.name}.txt"
        self._env = dict(os.environ, COVERAGE_FILE=str(reports / f"{COVERAGE_DATA}.{lane.name}"))
        if require_parts:
            self._env["SCHEDULER_TEST_REQUIRE_PARTS"] = "1"
        self._tally: Tally | None = None
        coverage = ("--cov", "--cov-report=") if lane.measured else ()
        command = [lane.python, "-m", "pytest", f"--junit-xml={self._report}", *coverage, *lane.arguments]
        self._started = time.monotonic()
        self._cpu = 0.0
        with self._output() as output:
            # A session of its own, so that a signal reaches all that the tests have started.
            self._process = subprocess.Popen(
                command,
                cwd=root,
                env=self._env,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_lower_priority, lane.niceness),
            )

    @property
    def tally(self) -> Tally:
        assert self._tally is not None, "the lane has not ended"
        return self._tally

    def has_ended(self) -> bool:
        if self._process.returncode is None:
            before = _cpu_of_ended_children()
            if self._process.poll() is not None:
                self._cpu = _cpu_of_ended_children() - before
        return self._process.returncode is not None

    def ended(self) -> bool:
        """Whether the lane has ended. Print the result the first time; kill the lane once its limit is reached."""
        if self._tally is not None:
            return True
        at_limit = not self.has_ended() and time.monotonic() - self._started > self._lane.limit
        if at_limit:
            self._process.send_signal(signal.SIGUSR1)  # tests/conftest.py writes the stacks
            time.sleep(_WRITING)
        elif not self.has_ended():
            return False
        self.kill(signal.SIGKILL)  # with what tests left running
        while not self.has_ended():
            time.sleep(_POLL)
        self._tally = _tally(LIMIT_REACHED if at_limit else self._process.returncode, self._report)
        self._print()
        return True

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the lane and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _print(self) -> None:
        lane, seconds = self._lane, time.monotonic() - self._started
        if not lane.live:
            print("", self._log.read_text(errors="replace"), sep="\n", flush=True)  # the live lane may be within a line
        reached = f", killed at its limit of {lane.limit:g} s" if self.tally.status == LIMIT_REACHED else ""
        result = "ok" if self.tally.status == 0 else "FAILED"
        times = f"{seconds:.0f} s, {self._cpu:.0f} s of CPU time"
        print(f"lane {lane.name}: {result}, {self.tally} in {times}{reached}", flush=True)

    @contextlib.contextmanager
    def _output(self) -> Iterator[IO[bytes] | None]:
        if self._lane.live:
            yield None
        else:
            with open(self._log, "wb") as file:
                yield file


def _tally(status: int, report: Path) -> Tally:
    try:
        suite = next(ElementTree.parse(report).iter("testsuite"))
    except (FileNotFoundError, ElementTree.ParseError):  # it was killed, or could not start
        return Tally(status)
    total, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    return Tally(status, total - failures - errors - skipped, failures + errors, skipped)


def coverage_is_high_enough(python: Path, root: Path, reports: Path) -> bool:
    """Print the line coverage of each covered package; write the reports that CI collects. False: one is too low."""
    data = reports / COVERAGE_DATA
    parts = sorted(reports.glob(f"{COVERAGE_DATA}.*"))
    if not parts:
        print("line coverage: not measured, see the lanes that measure it")
        return False
    for report in (
        ["combine", "--quiet", *map(str, parts)],
        ["xml", "--quiet", "-o", str(reports / "coverage.xml")],
        ["json", "--quiet", "-o", str(reports / "coverage.json")],
        ["report"],
    ):
        subprocess.run(
            [str(python), "-m", "coverage", report[0], f"--data-file={data}", *report[1:]], cwd=root, check=True
        )
    files = json.loads((reports / "coverage.json").read_text())["files"]
    high = True
    for package in COVERED:
        summaries = [file["summary"] for path, file in files.items() if Path(path).parts[0] == package]
        acquired, lines = (sum(part[key] for part in summaries) for key in ("covered_lines", "num_statements"))
        share = 100 * acquired / max(lines, 1)
        high = high and share >= MINIMUM_COVERAGE
        print(f"line coverage of {package}: {share:.1f} % (minimum {MINIMUM_COVERAGE:g} %)")
    return high
