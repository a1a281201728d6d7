"""What became of each test, written when it ends: the numbers of a lane that is killed are known too.

`Recorder` is a plugin that tests/conftest.py registers; tests/lanes.py reads its file with `Outcomes` while the lane
runs. A line of the file is a JSON object: `{"collected": [ID, ...]}`, `{"started": ID}`, `{"failed": ID, "text": ...}`
as soon as a part of a test fails, `{"ended": ID, "outcome": "passed", "seconds": 1.5, "cpu": 0.5}`: seconds since its
start, and of CPU time, that of ended child processes included. Needs Python's standard library alone.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pytest

FILE_VARIABLE = "SCHEDULER_TEST_OUTCOMES"
"""The environment variable with the path of the file."""
_MAX_LINES = 4
_MAX_COLUMNS = 240


class Failure(NamedTuple):
    """A test that failed, and the first lines that say why."""

    test: str
    text: str


class Tally(NamedTuple):
    """How a lane ended: its exit code, numbers of tests, and names.

    `missed`: the tests that did not run, or not to their end. None: the lane ended before it knew its tests.
    """

    status: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    missed: tuple[str, ...] | None = ()
    failures: tuple[Failure, ...] = ()

    def __str__(self) -> str:
        missed = "an unknown number" if self.missed is None else len(self.missed)
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped, {missed} did not run"


class Recorder:
    """Writes the file. A pytest plugin."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._outcome = ""
        self._start = os.times()

    def _write(self, **entry: object) -> None:
        os.write(self._file, json.dumps(entry).encode() + b"\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(failed=report.nodeid, text=_first_lines(report))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._write(collected=[item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcome, self._start = "passed", os.times()
        self._write(started=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._outcome = "failed"
            self._write(failed=report.nodeid, text=_first_lines(report))
        elif report.skipped and self._outcome == "passed":
            self._outcome = "skipped"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        spent = [round(now - before, 2) for now, before in zip(os.times(), self._start, strict=True)]
        self._write(ended=nodeid, outcome=self._outcome, seconds=spent[4], cpu=round(sum(spent[:4]), 2))


def _first_lines(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        lines = [*crash.message.splitlines()[:_MAX_LINES], f"{crash.path}:{crash.lineno}"]
    else:  # of an error of the collection, pytest marks the lines with its cause
        whole = str(report.longrepr).splitlines()
        lines = ([line for line in whole if line.startswith("E ")] or whole)[:_MAX_LINES]
    printable = ("".join(each if each.isprintable() else "?" for each in line[:_MAX_COLUMNS]) for line in lines)
    return "\n".join(line for line in printable if line.strip())


class Outcomes:
    """Reads the file as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._failures: dict[str, Failure] = {}
        self._ended: Counter[str] = Counter()
        self._left: dict[str, None] | None = None
        self._running = ""

    @property
    def count(self) -> int:
        """How many tests have ended."""
        return self._ended.total()

    @property
    def share(self) -> float | None:
        """The part of the tests that have ended; None while their number is unknown."""
        return None if self._left is None else self.count / max(1, self.count + len(self._left))

    def read(self) -> list[Failure]:
        """Read what is new, and return the tests that failed since the previous call."""
        before = len(self._failures)
        for entry in self._new_entries():
            if "collected" in entry:
                self._left = dict.fromkeys(entry["collected"])
            elif "started" in entry:
                self._running = entry["started"]
            elif "failed" in entry:
                self._failures.setdefault(entry["failed"], Failure(entry["failed"], entry["text"]))
            else:
                self._ended[entry["outcome"]] += 1
                self._running = ""
                (self._left or {}).pop(entry["ended"], None)
        return list(self._failures.values())[before:]

    def tally(self, status: int) -> Tally:
        """Return the numbers so far, for a lane that ended with this exit code."""
        missed = None
        if self._left is not None:
            missed = tuple(
                f"{test} (it was running)" if test == self._running else test
                for test in self._left
                if test not in self._failures
            )
        failures = tuple(self._failures.values())
        return Tally(status, self._ended["passed"], len(failures), self._ended["skipped"], missed, failures)

    def _new_entries(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():  # the lane has not started its tests
            return
        with open(self._path, "rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written: what is read next would be its end
                self._read += len(line)
                with suppress(ValueError):  # cut by a full disk
                    yield json.loads(line)
