"""The parent's side of the judging process: starts it with the first task, and again after it ended.

Called only by the thread of worker.py, because it blocks.
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
"""Timeout for the start of the process."""
WALL_SECONDS = 20.0
"""Wall-clock timeout of a task; the kernel ends a task that computes much earlier."""

_LONGEST_LINE = 64 * 1024 * 1024
_TAKEN_OVER = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
"""The only environment variables that the child gets: others contain secrets."""


class CannotStart(Exception):
    """The process cannot be started; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Done:
    """A packed result, and its texts to redact."""

    packed: Any
    nonce: str
    texts: Sequence[tuple[str, bool]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task was stopped in the part of this index; `why`: a clause."""

    place: int
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The program itself failed with an error of this type."""

    error: str
    seconds: float = 0.0


Outcome = Done | Stopped | Failed


class Performer(Protocol):
    """Performs the tasks of the queue."""

    def perform(self, task: Task[Any], seconds: float) -> Outcome:
        """Perform a task. Raises CannotStart."""
        ...

    def stop(self) -> None:
        """Release its resources; the next task starts it again."""
        ...

    def close(self) -> None:
        """End the current task and accept no other. Called from another thread."""
        ...


class _Ended(Exception):
    """The process ended, or was killed after the timeout (`silent`). `code`: see Popen.returncode."""

    def __init__(self, code: int, place: int, *, silent: bool = False) -> None:
        self.code, self.place, self.silent = code, place, silent


class JudgingProcess:
    """See Performer."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._closed = False

    def perform(self, task: Task[Any], seconds: float) -> Outcome:
        """Perform a task, again in a second process if something else killed the first one. Raises CannotStart."""
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
        """End the process if it runs."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    @property
    def pid(self) -> int | None:
        """Of the process; None while it does not run."""
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
        return Stopped(answer["memory"], "it needed too much memory", seconds)
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
    """One child process and its socket."""

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
                    stderr=subprocess.DEVNULL,  # an error can contain a part of an answer, not redacted
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
        """Send a task and return the result. Raises _Ended."""
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
        """Kill the process and close the socket."""
        self._killed()
        for stream in (self._tasks, self._results, self._socket):
            with suppress(OSError):
                stream.close()

    def kill(self) -> None:
        """Kill the process, so that a waiting `ask` ends."""
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
            raise CannotStart(f"it ended at once with code {self._process.wait()}")


def _dump(value: Any, file: BinaryIO) -> None:
    # Protocol 5 writes long bytes without a copy.
    pickle.dump(value, file, 5)
    file.flush()


def _line(file: BinaryIO) -> Any:
    """Read the value of the next line; None at the end."""
    line = file.readline(_LONGEST_LINE)
    return json.loads(line) if line.endswith(b"\n") else None


def _environment() -> dict[str, str]:
    places = [os.path.abspath(place) for place in sys.path]
    taken_over = {name: os.environ[name] for name in _TAKEN_OVER if name in os.environ}
    return taken_over | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
