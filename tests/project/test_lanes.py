"""The lanes of `./dev test`: which test is in which, how they end, and that they always do."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests import lanes
from tests.lanes import Lane
from tests.outcomes import Failure, Tally
from tests.project import ROOT
from tests.time_limits import MULTIPLIER_VARIABLE

OWN, WORKER = Path("own-python"), Path("worker-python")


def python(folder: Path, body: str, *outcomes: dict[str, object]) -> str:
    """A program that stands for a Python with pytest: it writes the outcomes and does what the body says."""
    folder.mkdir(exist_ok=True)
    path = folder / "python"
    written = "".join(f"printf '%s\\n' '{json.dumps(entry)}' >> \"$SCHEDULER_TEST_OUTCOMES\"\n" for entry in outcomes)
    path.write_text(f"#!/bin/sh\n{written}{body}\n")
    path.chmod(0o755)
    return str(path)


def passed(*tests: str) -> list[dict[str, object]]:
    """The outcomes of tests that pass."""
    return [{"collected": tests}, *({"ended": test, "outcome": "passed"} for test in tests)]


def suite(folder: Path, text: str, *arguments: str, **more: Any) -> Lane:
    """A lane of pytest itself on a module with this text, with the hooks of tests/conftest.py."""
    (folder / "test_these.py").write_text(text)
    words = ("test_these.py", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={folder}", *arguments)
    return Lane("suite", sys.executable, words, **more)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


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
        firsts = {lanes.WHOLE_PROGRAM, lanes.SIMULATION, lanes.SCHEDULER, lanes.HOUSE[0], lanes.PROCESSES[0]}
        for name in words & firsts or {"the rest"}:
            found.setdefault(name, set()).add(lane.name)
    return found


def test_each_group_of_tests_has_its_lane() -> None:
    assert groups_of(lanes.whole_suite(OWN, WORKER)) == {
        "tests/acceptance": {"acceptance", "killed"},
        "tests/simulation": {"simulation"},
        "tests/scheduler": {"scheduler", "measured"},
        "tests/scheduler/cli": {"processes"},
        "tests/bench": {"house"},
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


def test_what_surrounds_the_product_is_in_one_lane() -> None:
    house, rest = (lane.arguments for lane in lanes.whole_suite(OWN, WORKER) if lane.name in ("house", "suite"))
    assert {f"--ignore={folder}" for folder in lanes.HOUSE} <= set(rest)
    assert set(lanes.HOUSE) <= set(house)
    assert all((ROOT / folder).is_dir() for folder in lanes.HOUSE)


def test_tests_on_the_worker_run_on_its_python_alone() -> None:
    for lane in lanes.whole_suite(OWN, WORKER):
        assert lane.arguments[lane.arguments.index("-m") + 1].startswith("not worker") == (lane.python == "own-python")


def test_without_a_python_of_the_worker_all_else_runs() -> None:
    named = [lane.name for lane in lanes.whole_suite(OWN, None)]
    assert named == ["killed", "acceptance", "scheduler", "house", "suite", "simulation"]


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


def test_a_lane_gives_the_numbers_and_names_of_its_tests(tmp_path: Path, reports: Path) -> None:
    text = """
        import pytest
        def test_good(): pass
        def test_bad(): assert 1 + 1 == 3, "the sum"
        @pytest.mark.skip
        def test_skipped(): pass
        @pytest.fixture
        def broken(): raise RuntimeError("no part")
        def test_unready(broken): pass
        @pytest.fixture
        def untidy():
            yield
            raise RuntimeError("left open")
        def test_untidy(untidy): pass
    """
    (tally,) = lanes.run([suite(tmp_path, textwrap.dedent(text))], tmp_path, reports)

    assert (tally.status, tally.passed, tally.failed, tally.skipped, tally.missed) == (1, 1, 3, 1, ())
    assert [failure.test for failure in tally.failures] == [
        f"test_these.py::test_{name}" for name in ("bad", "unready", "untidy")
    ]
    assert tally.failures[0].text.splitlines()[0] == "AssertionError: the sum"
    assert tally.failures[0].text.endswith("test_these.py:4")
    assert tally.failures[1].text.startswith("RuntimeError: no part")


def test_a_module_that_cannot_be_imported_is_a_failure_with_its_cause(tmp_path: Path, reports: Path) -> None:
    (tally,) = lanes.run([suite(tmp_path, "import nonsense\n")], tmp_path, reports)

    assert (tally.status, tally.failed) == (2, 1)
    assert "No module named 'nonsense'" in tally.failures[0].text


def test_the_tests_after_the_first_failure_did_not_run(tmp_path: Path, reports: Path) -> None:
    text = "def test_a(): pass\ndef test_b(): assert False\ndef test_c(): pass\n"
    (tally,) = lanes.run([suite(tmp_path, text, "-x")], tmp_path, reports)

    assert (tally.passed, tally.failed, tally.missed) == (1, 1, ("test_these.py::test_c",))


def test_a_lane_that_is_killed_has_the_numbers_so_far(tmp_path: Path, reports: Path) -> None:
    text = """
        import os, signal
        def test_a(): pass
        def test_b(): assert False
        def test_c(): os.kill(os.getpid(), signal.SIGKILL)
        def test_d(): pass
    """
    (tally,) = lanes.run([suite(tmp_path, textwrap.dedent(text))], tmp_path, reports)

    assert (tally.status, tally.passed, tally.failed) == (-signal.SIGKILL, 1, 1)
    assert tally.missed == ("test_these.py::test_c (it was running)", "test_these.py::test_d")


def test_a_failure_is_printed_at_once_with_its_first_lines(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate"
    failure: dict[str, object] = {"failed": "tests/a.py::test_b", "text": "AssertionError: the sum\ntests/a.py:7"}
    program = python(tmp_path, f"until [ -e {gate} ]; do sleep 0.05; done; exit 1", failure)

    output = []

    def open_the_gate() -> None:
        while "tests/a.py:7" not in "".join(output):
            output.append(capsys.readouterr().out)
            time.sleep(0.02)
        gate.touch()

    watching = threading.Thread(target=open_the_gate, daemon=True)
    watching.start()
    lanes.run([Lane("suite", program, ())], ROOT, reports)
    watching.join()
    printed = "FAILED tests/a.py::test_b (lane suite)\n    AssertionError: the sum\n    tests/a.py:7\n"
    assert "".join(output).startswith(printed)


def test_a_lane_lets_others_go_first(tmp_path: Path, reports: Path) -> None:
    lanes.run([Lane("suite", python(tmp_path, f"nice > {tmp_path}/niceness"), (), niceness=5)], ROOT, reports)
    assert int((tmp_path / "niceness").read_text()) == os.nice(0) + 5


def test_a_lane_that_cannot_start_its_tests_fails(tmp_path: Path, reports: Path) -> None:
    assert lanes.run([Lane("suite", python(tmp_path, "exit 4"), ())], ROOT, reports) == [Tally(4, missed=None)]


def test_a_lane_reports_its_result_while_others_still_run(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate"
    slow = python(tmp_path / "slow", f"until [ -e {gate} ]; do sleep 0.05; done", *passed("a"))
    quick = python(tmp_path / "quick", "echo it has failed; exit 1", *passed("b", "c"))
    output = []

    def open_the_gate() -> None:
        while "lane quick: FAILED" not in (text := capsys.readouterr().out):
            output.append(text)
            time.sleep(0.02)
        output.append(text)
        gate.touch()

    watching = threading.Thread(target=open_the_gate, daemon=True)
    watching.start()
    # The slow lane comes first: its place in the list must not hold up the other's result.
    tallies = lanes.run([Lane("slow", slow, ()), Lane("quick", quick, ())], ROOT, reports)
    watching.join()
    assert tallies == [Tally(0, passed=1), Tally(1, passed=2)]
    assert "it has failed" in "".join(output)


def test_three_lanes_more_than_cores_run_beside_each_other(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "cores", lambda: 1)
    running = tmp_path / "running"
    running.mkdir()
    body = f"touch {running}/$$; ls {running} | wc -l >> {tmp_path}/counts; sleep 1; rm {running}/$$"
    program = python(tmp_path, body)
    lanes.run([Lane(str(number), program, ()) for number in range(7)], ROOT, reports)

    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert (len(counts), max(counts)) == (7, 4)


HANGS = """
    import threading
    def test_that_ends(): pass
    def test_that_hangs(): threading.Event().wait()
"""
STARTED = '{"started": "test_these.py::test_that_hangs"}'


def test_a_lane_that_stands_still_writes_the_stacks_of_its_threads_and_is_ended(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class SecondsUntilItHangs:
        def __init__(self, seconds: float) -> None:
            assert seconds == 5

        def left(self) -> int:
            file = reports / "suite.jsonl"
            return 0 if file.exists() and STARTED in file.read_text() else 5

    monkeypatch.setattr(lanes, "Countdown", SecondsUntilItHangs)
    (tally,) = lanes.run([suite(tmp_path, textwrap.dedent(HANGS), standstill=5)], tmp_path, reports)

    assert (tally.status, tally.passed) == (lanes.LIMIT_REACHED, 1)
    assert tally.missed == ("test_these.py::test_that_hangs (it was running)",)
    output = capsys.readouterr().out
    assert "in test_that_hangs" in output
    assert "ended at a standstill: no test has ended for 5 s of an idle machine; --timeout-multiplier or " in output


def test_a_lane_stands_still_only_while_none_of_its_tests_ends(tmp_path: Path, reports: Path) -> None:
    ended = json.dumps({"ended": "a", "outcome": "passed"})
    body = f"for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo '{ended}' >> $SCHEDULER_TEST_OUTCOMES; sleep 0.25; done"
    (tally,) = lanes.run([Lane("suite", python(tmp_path, body), (), standstill=1.5)], tmp_path, reports)

    assert (tally.status, tally.passed) == (0, 12)


COMPUTES = """
    import subprocess, sys, time
    SPIN = "import time\\nwhile time.process_time() < 3: pass"
    def test_that_computes_in_another_process():
        subprocess.run([sys.executable, "-c", SPIN], check=True)
        time.sleep(60)
"""


def test_a_lane_is_ended_at_its_limit_of_cpu_time_of_all_its_processes(
    tmp_path: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tally,) = lanes.run([suite(tmp_path, textwrap.dedent(COMPUTES), limit=3)], tmp_path, reports)

    assert (tally.status, tally.passed) == (lanes.LIMIT_REACHED, 0)
    assert "ended at its limit of 3 s of CPU time" in capsys.readouterr().out


def test_the_multiplier_raises_the_limits(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(MULTIPLIER_VARIABLE, "2.5")
    lanes.run([Lane("suite", python(tmp_path, "sleep 60"), (), standstill=0.2)], tmp_path, reports)

    assert "no test has ended for 0.5 s" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_an_interruption_each_lane_has_its_numbers(
    number: signal.Signals, tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "cores", lambda: -2)  # one lane at a time
    main, before = threading.main_thread().ident, signal.getsignal(number)
    assert main is not None

    def interrupt_the_hanging_test() -> None:
        while not (reports / "suite.jsonl").exists():
            time.sleep(0.02)
        while STARTED not in (reports / "suite.jsonl").read_text():
            time.sleep(0.02)
        signal.pthread_kill(main, number)

    threading.Thread(target=interrupt_the_hanging_test, daemon=True).start()
    other = Lane("other", python(tmp_path, "exit 0"), ())
    first, second = lanes.run([suite(tmp_path, textwrap.dedent(HANGS)), other], tmp_path, reports)

    assert (first.status, first.passed, second) == (lanes.INTERRUPTED, 1, Tally(lanes.INTERRUPTED, missed=None))
    assert first.missed == ("test_these.py::test_that_hangs (it was running)",)
    assert signal.getsignal(number) == before


def test_the_end_names_what_failed_and_what_did_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    missed = tuple(f"test_{number}" for number in range(25))
    failures = (Failure("test_x", "AssertionError: the sum\ntests/a.py:7"),)
    tallies = [Tally(1, 3, 1, 2, missed, failures), Tally(0, 4), Tally(lanes.INTERRUPTED, missed=None)]
    lanes.print_end([Lane(name, "", ()) for name in ("suite", "killed", "simulation")], tallies)

    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["FAILED test_x (lane suite)", "    AssertionError: the sum", "    tests/a.py:7"]
    assert lines[4] == "lane suite: 3 passed, 1 failed, 2 skipped, 25 did not run"
    assert lines[5:25] == [f"    did not run: test_{number}" for number in range(20)]
    assert lines[25:] == [
        "    did not run: 5 more",
        "lane killed: 4 passed, 0 failed, 0 skipped, 0 did not run",
        "lane simulation: 0 passed, 0 failed, 0 skipped, an unknown number did not run",
        "total: 7 passed, 1 failed, 2 skipped, 25 and the tests of simulation did not run",
    ]


def test_what_a_lane_leaves_running_ends_with_it(tmp_path: Path, reports: Path) -> None:
    pipe = tmp_path / "pipe"
    abandoned = f"(exec 3<>{pipe}; sleep 600) & exit 0"
    lanes.run([Lane("suite", python(tmp_path, f"mkfifo {pipe}; {abandoned}", *passed("a")), ())], ROOT, reports)
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
