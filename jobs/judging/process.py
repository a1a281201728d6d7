"""The parent's side of the judging process: starts it with its first task, and again when it has ended.

Called by the thread of worker.py, and by no other one: it blocks.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from jobs.expectations.undecided import time_over
from jobs.judging.child import KILLED_AFTER
from jobs.judging.port import Task

START_SECONDS = 30.0
"""For the process to be ready."""
WALL_SECONDS = 20.0
"""For a task, whatever it does; the kernel ends those that compute much sooner."""

_LONGEST_LINE = 64 * 1024 * 1024
_TAKEN_OVER = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
"""Variables of the environment that it gets. No other one: they hold secrets."""


class CannotStart(Exception):
    """The process cannot be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """A packed result, and the texts in it that wait for redaction."""

    packed: Any
    nonce: str
    texts: Sequence[tuple[str, bool]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped at the part of this place; `why`: a clause."""

    place: int
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The program itself failed with this error."""

    error: str
    seconds: float = 0.0


Outcome = Done | Stopped | Failed


class Performer(Protocol):
    """Where the tasks of the queue are performed."""

    def perform(self, task: Task[Any], seconds: float) -> Outcome:
        """Perform one. Raises CannotStart."""
        ...

    def stop(self) -> None:
        """Give back what it holds; the next task starts it again."""
        ...

    def close(self) -> None:
        """End the task that goes on, and perform no other one. Called from another thread than the rest."""
        ...


class _Ended(Exception):
    """The process has ended, or was killed as it did not answer. `code`: see Popen.returncode."""

    def __init__(self, code: int, place: int, *, silent: bool = False) -> None:
        self.code, self.place, self.silent = code, place, silent


class JudgingProcess:
    """See Performer."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._closed = False

    def perform(self, task: Task[Any], seconds: float) -> Outcome:
        """Perform a task. It is given to a second process if somebody else ended the first one. Raises CannotStart."""
        try:
            return self._once(task, seconds)
        except _Ended as ended:
            if ended.code not in (-signal.SIGKILL, 0) or ended.silent:
                return _stopped(ended, seconds)
        try:
            return self._once(task, seconds)
        except _Ended as ended:
            return _stopped(ended, seconds)

    def close(self) -> None:
        """See Performer."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def stop(self) -> None:
        """End the process, if it runs."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._child is None else self._child.pid

    def _once(self, task: Task[Any], seconds: float) -> Outcome:
        if self._closed:
            return Failed("closed")
        if self._child is None:
            self._child = _Child()
        try:
            answer = self._child.ask(task, seconds)
        except BaseException:
            self.stop()
            raise
        if answer["last"]:
            self.stop()
        return _outcome(answer)


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    seconds = answer["seconds"]
    if "memory" in answer:
        return Stopped(answer["memory"], "it needed more memory than a judgement may have", seconds)
    if "failed" in answer:
        return Failed(answer["failed"], seconds)
    return Done(answer["result"], answer["nonce"], answer["texts"], seconds)


def _stopped(ended: _Ended, seconds: float) -> Stopped:
    if ended.code == -signal.SIGPROF:
        return Stopped(ended.place, time_over(seconds), seconds * KILLED_AFTER)
    if ended.silent:
        return Stopped(ended.place, f"there was no result within {WALL_SECONDS:g} s", seconds)
    return Stopped(ended.place, f"its process ended with code {ended.code}", seconds)


class _Child:
    """One process."""

    def __init__(self) -> None:
        """Raises CannotStart."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-m", "jobs.judging.child", str(theirs.fileno())],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # an error may quote an answer, and this is not redacted
                )
        except (OSError, ValueError) as error:
            ours.close()
            raise CannotStart(str(error)) from None
        self._socket = ours
        self._results = ours.makefile("rb")
        self._tasks = ours.makefile("wb")
        try:
            self._expect_ready()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, task: Task[Any], seconds: float) -> Mapping[str, Any]:
        """The answer to a task. Raises _Ended."""
        self._socket.settimeout(WALL_SECONDS)
        place = 0
        try:
            _dump((task, seconds), self._tasks)
            while isinstance(line := _line(self._results), int):
                place = line
        except TimeoutError:
            raise _Ended(self._killed(), place, silent=True) from None
        except OSError:
            line = None
        if line is None:
            raise _Ended(self._process.wait(), place)
        assert isinstance(line, dict)
        return line

    def end(self) -> None:
        """Kill it: nobody waits for what it does."""
        self._killed()
        for stream in (self._tasks, self._results, self._socket):
            with suppress(OSError):
                stream.close()

    def kill(self) -> None:
        """Let the one who waits for an answer go on."""
        self._process.kill()

    def _killed(self) -> int:
        self._process.kill()
        return self._process.wait()

    def _expect_ready(self) -> None:
        self._socket.settimeout(START_SECONDS)
        try:
            ready = _line(self._results)
        except OSError as error:
            raise CannotStart(f"it is not ready: {error}") from None
        if ready is None:
            raise CannotStart(f"it ended at once, with code {self._process.wait()}")


def _dump(value: Any, file: BinaryIO) -> None:
    # Long bytes are written as they are, without a copy.
    pickle.dump(value, file, 5)
    file.flush()


def _line(file: BinaryIO) -> Any:
    """The value of the next line; None at the end."""
    line = file.readline(_LONGEST_LINE)
    return json.loads(line) if line.endswith(b"\n") else None


def _environment() -> dict[str, str]:
    places = [os.path.abspath(place) for place in sys.path]
    taken_over = {name: os.environ[name] for name in _TAKEN_OVER if name in os.environ}
    return taken_over | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
