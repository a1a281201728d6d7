"""The lanes of `./dev test`: which test is in which, how they end, and that they always do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import lanes
from tests.lanes import Lane, Tally
from tests.project import ROOT

OWN, WORKER = Path("own-python"), Path("worker-python")
REPORT = '<testsuite tests="{}" failures="{}" errors="0" skipped="{}"/>'


def python(folder: Path, body: str, report: str = "") -> str:
    """A program that stands for a Python with pytest: it writes the report and does what the body says."""
    path = folder / "python"
    write = f"case $word in --junit-xml=*) printf '%s' '{report}' > \"${{word#*=}}\";; esac" if report else ":"
    path.write_text(f"#!/bin/sh\nfor word; do {write}; done\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


def groups_of(chosen: list[Lane]) -> dict[str, set[str]]:
    """Where each group of tests runs."""
    found: dict[str, set[str]] = {}
    for lane in chosen:
        words = set(lane.arguments)
        group = words & {lanes.WHOLE_PROGRAM, lanes.SIMULATION, lanes.SCHEDULER, lanes.PROCESSES[0]} or {"the rest"}
        for name in group:
            found.setdefault(name, set()).add(lane.name)
    return found


def test_each_group_of_tests_has_its_lane() -> None:
    assert groups_of(lanes.whole_suite(OWN, WORKER)) == {
        "tests/acceptance": {"acceptance", "killed"},
        "tests/simulation": {"simulation"},
        "tests/scheduler": {"scheduler", "measured"},
        "tests/scheduler/cli": {"processes"},
        "the rest": {"suite"},
    }


def test_a_python_that_is_the_workers_runs_no_test_twice() -> None:
    assert groups_of(lanes.whole_suite(WORKER, WORKER))["the rest"] == {"measured"}


def test_two_lanes_are_measured_on_the_workers_python() -> None:
    assert [(lane.name, lane.python) for lane in lanes.whole_suite(OWN, WORKER) if lane.measured] == [
        ("measured", "worker-python"),
        ("processes", "worker-python"),
    ]


def test_no_folder_of_the_second_python_is_in_two_lanes_or_none() -> None:
    measured, processes = [lane.arguments for lane in lanes.whole_suite(OWN, WORKER) if lane.measured]
    assert {f"--ignore={folder}" for folder in lanes.PROCESSES} <= set(measured)
    assert set(lanes.PROCESSES) <= set(processes)
    assert all(folder.startswith(lanes.AGAIN) and (ROOT / folder).is_dir() for folder in lanes.PROCESSES)


def test_tests_on_the_worker_run_on_its_python_alone() -> None:
    for lane in lanes.whole_suite(OWN, WORKER):
        assert lane.arguments[lane.arguments.index("-m") + 1].startswith("not worker") == (lane.python == "own-python")


def test_without_a_python_of_the_worker_all_else_runs() -> None:
    named = [lane.name for lane in lanes.whole_suite(OWN, None)]
    assert named == ["suite", "scheduler", "acceptance", "killed", "simulation"]


def test_a_test_that_the_second_python_excludes_runs_on_the_first_one() -> None:
    assert lanes.runs_once("tests/scheduler/api/routes/test_jobs.py", ["asyncio"])
    assert not lanes.runs_once("tests/scheduler/api/routes/test_jobs.py", ["azurite"])
    assert not lanes.runs_once("tests/scheduler/api/test_schema_walk.py", [])
    assert not lanes.runs_once("tests/config/test_loading.py", [])


def test_without_a_second_python_no_test_is_excluded() -> None:
    assert all("not once" not in word for lane in lanes.whole_suite(OWN, None) for word in lane.arguments)


def test_chosen_tests_run_on_both_pythons() -> None:
    own, worker = lanes.chosen_tests(OWN, WORKER, ["tests/jobs"])
    assert own.arguments == ("-m", "not worker", "tests/jobs")
    assert worker.arguments == ("tests/jobs", "-m", "worker")


def test_a_lane_gives_the_numbers_of_its_report(tmp_path: Path, reports: Path) -> None:
    lane = Lane("suite", python(tmp_path, "exit 1", REPORT.format(7, 2, 1)), ())
    assert lanes.run([lane], ROOT, reports) == [Tally(1, passed=4, failed=2, skipped=1)]


def test_a_lane_lets_others_go_first(tmp_path: Path, reports: Path) -> None:
    lanes.run([Lane("suite", python(tmp_path, f"nice > {tmp_path}/niceness"), (), niceness=5)], ROOT, reports)
    assert int((tmp_path / "niceness").read_text()) == os.nice(0) + 5


def test_a_lane_that_cannot_start_its_tests_fails(tmp_path: Path, reports: Path) -> None:
    assert lanes.run([Lane("suite", python(tmp_path, "exit 4"), ())], ROOT, reports) == [Tally(4)]


def test_a_lane_reports_its_result_while_others_still_run(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate"
    (tmp_path / "slow").mkdir()
    slow = python(tmp_path / "slow", f"until [ -e {gate} ]; do sleep 0.05; done", REPORT.format(1, 0, 0))
    quick = python(tmp_path, "echo all is well", REPORT.format(2, 0, 0))
    output = []

    def open_the_gate() -> None:
        while "lane quick: ok" not in (text := capsys.readouterr().out):
            output.append(text)
            time.sleep(0.02)
        output.append(text)
        gate.touch()

    watching = threading.Thread(target=open_the_gate)
    watching.start()
    # The slow lane comes first: its place in the list must not hold up the other's result.
    tallies = lanes.run([Lane("slow", slow, ()), Lane("quick", quick, ())], ROOT, reports)
    watching.join()
    assert tallies == [Tally(0, passed=1), Tally(0, passed=2)]
    assert "all is well" in "".join(output)


def test_a_lane_at_its_limit_writes_the_stacks_of_its_threads_and_is_killed(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = tmp_path / "test_hanging.py"
    hanging.write_text("import threading\n\n\ndef test_that_hangs() -> None:\n    threading.Event().wait()\n")
    lane = Lane("suite", sys.executable, (str(hanging), "-p", "tests.conftest", f"--rootdir={tmp_path}"), limit=15)
    assert lanes.run([lane], ROOT, reports) == [Tally(lanes.LIMIT_REACHED)]
    output = capsys.readouterr().out
    assert "killed at its limit of 15 s" in output
    assert "in test_that_hangs" in output


def test_what_a_lane_leaves_running_ends_with_it(tmp_path: Path, reports: Path) -> None:
    pipe = tmp_path / "pipe"
    abandoned = f"(exec 3<>{pipe}; sleep 600) & exit 0"
    lanes.run(
        [Lane("suite", python(tmp_path, f"mkfifo {pipe}; {abandoned}", REPORT.format(1, 0, 0)), ())], ROOT, reports
    )
    # A killed process holds its files until the kernel has taken it down, which a busy machine puts off.
    until = time.monotonic() + 30
    while (left := processes_of(pipe)) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == []


def processes_of(file: Path) -> list[str]:
    """The command lines of the processes that have the file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == file:
                found.append((link.parents[1] / "cmdline").read_text().replace("\0", " ").strip())
        except OSError:
            continue
    return found


def test_the_coverage_is_the_sum_of_the_measured_lanes(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in lanes.COVERED:
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("A = 1\nB = 2\n")
        part = f"--data-file={reports / lanes.COVERAGE_DATA}.{package}"
        subprocess.run([sys.executable, "-m", "coverage", "run", part, f"{package}/code.py"], cwd=tmp_path, check=True)

    assert lanes.coverage_is_high_enough(Path(sys.executable), tmp_path, reports)
    assert "line coverage of scheduler: 100.0 %" in capsys.readouterr().out
