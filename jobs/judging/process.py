"""The parent's side of the judging process: starts it with the first task, and again after it ended.

Called only by the thread of service.py, because it blocks.
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

from jobs.expectations.judging import describe_exceeded_budget
from jobs.judging.child import KILL_FACTOR, TASK_MEMORY_BYTES
from jobs.judging.port import JudgingTask

START_TIMEOUT_SECONDS = 30.0
"""Timeout for the start of the process."""
TASK_TIMEOUT_SECONDS = 20.0
"""Wall-clock timeout of a task; the kernel ends a task that computes much earlier."""

_MAX_LINE_BYTES = 64 * 1024 * 1024
_INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
"""The only environment variables that the child gets: others contain secrets."""


class ProcessStartError(Exception):
    """The process cannot be started; the message is the reason."""


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A packed result, and its texts to redact."""

    packed: Any
    nonce: str
    texts: Sequence[tuple[str, bool]]
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskStopped:
    """The task was stopped in the part of this index; `why`: a clause."""

    part: int
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The program itself failed with an error of this type."""

    error: str
    seconds: float = 0.0


TaskOutcome = TaskDone | TaskStopped | TaskFailed


class TaskExecutor(Protocol):
    """Performs the tasks of the queue."""

    def perform(self, task: JudgingTask[Any], seconds: float) -> TaskOutcome:
        """Perform a task. Raises ProcessStartError."""
        ...

    def stop(self) -> None:
        """Release its resources; the next task starts it again."""
        ...

    def close(self) -> None:
        """End the current task and accept no other. Called from another thread."""
        ...


class _ProcessEnded(Exception):
    """The process ended, or was killed after the timeout (`silent`). `code`: see Popen.returncode."""

    def __init__(self, code: int, part: int, *, silent: bool = False) -> None:
        self.code, self.part, self.silent = code, part, silent


class JudgingProcess:
    """Performs tasks in a child process, which it starts with the first one and again after it was killed."""

    def __init__(self, task_bytes: int = TASK_MEMORY_BYTES) -> None:
        """`task_bytes`: memory for a task, in addition to the program itself."""
        self._task_bytes = task_bytes
        self._child: _ChildProcess | None = None
        self._closed = False

    def perform(self, task: JudgingTask[Any], seconds: float) -> TaskOutcome:
        """Perform a task, again if something else killed the process. Raises ProcessStartError."""
        try:
            return self._perform_once(task, seconds)
        except _ProcessEnded as ended:
            if ended.code not in (-signal.SIGKILL, 0) or ended.silent:
                return _outcome_of_end(ended, seconds)
        try:
            return self._perform_once(task, seconds)
        except _ProcessEnded as ended:
            return _outcome_of_end(ended, seconds)

    def close(self) -> None:
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def stop(self) -> None:
        """End the process if it runs."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    @property
    def pid(self) -> int | None:
        """Of the process; None while it does not run."""
        return None if self._child is None else self._child.pid

    def _perform_once(self, task: JudgingTask[Any], seconds: float) -> TaskOutcome:
        if self._closed:
            return TaskFailed("closed")
        if self._child is None:
            self._child = _ChildProcess(self._task_bytes)
        try:
            answer = self._child.run_task(task, seconds)
        except BaseException:
            self.stop()
            raise
        if answer["last"]:
            self.stop()
        return _outcome_of_answer(answer)


def _outcome_of_answer(answer: Mapping[str, Any]) -> TaskOutcome:
    seconds = answer["seconds"]
    if "memory" in answer:
        return TaskStopped(answer["memory"], "it needed too much memory", seconds)
    if "failed" in answer:
        return TaskFailed(answer["failed"], seconds)
    return TaskDone(answer["result"], answer["nonce"], answer["texts"], seconds)


def _outcome_of_end(ended: _ProcessEnded, seconds: float) -> TaskStopped:
    if ended.code == -signal.SIGPROF:
        return TaskStopped(ended.part, describe_exceeded_budget(seconds), seconds * KILL_FACTOR)
    if ended.silent:
        return TaskStopped(ended.part, f"there was no result within {TASK_TIMEOUT_SECONDS:g} s", seconds)
    return TaskStopped(ended.part, f"its process ended with code {ended.code}", seconds)


class _ChildProcess:
    """One child process and its socket."""

    def __init__(self, task_bytes: int) -> None:
        """Raises ProcessStartError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-m", "jobs.judging.child", str(theirs.fileno()), str(task_bytes)],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # an error can contain a part of an answer, not redacted
                )
        except (OSError, ValueError) as error:
            ours.close()
            raise ProcessStartError(str(error)) from None
        self._socket = ours
        self._results = ours.makefile("rb")
        self._tasks = ours.makefile("wb")
        try:
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def run_task(self, task: JudgingTask[Any], seconds: float) -> Mapping[str, Any]:
        """Send a task and return the result. Raises _ProcessEnded."""
        self._socket.settimeout(TASK_TIMEOUT_SECONDS)
        part = 0
        try:
            _send((task, seconds), self._tasks)
            while isinstance(line := _read_line(self._results), int):
                part = line
        except TimeoutError:
            raise _ProcessEnded(self._kill_and_wait(), part, silent=True) from None
        except OSError:
            line = None
        if line is None:
            raise _ProcessEnded(self._process.wait(), part)
        assert isinstance(line, dict)
        return line

    def close(self) -> None:
        """Kill the process and close the socket."""
        self._kill_and_wait()
        for stream in (self._tasks, self._results, self._socket):
            with suppress(OSError):
                stream.close()

    def kill(self) -> None:
        """Kill the process, so that a pending request ends."""
        self._process.kill()

    def _kill_and_wait(self) -> int:
        self._process.kill()
        return self._process.wait()

    def _wait_ready(self) -> None:
        self._socket.settimeout(START_TIMEOUT_SECONDS)
        try:
            ready = _read_line(self._results)
        except OSError as error:
            raise ProcessStartError(f"it is not ready: {error}") from None
        if ready is None:
            raise ProcessStartError(f"it ended at once with code {self._process.wait()}")


def _send(value: Any, file: BinaryIO) -> None:
    # Protocol 5 writes long bytes without a copy.
    pickle.dump(value, file, 5)
    file.flush()


def _read_line(file: BinaryIO) -> Any:
    """Read the value of the next line; None at the end."""
    line = file.readline(_MAX_LINE_BYTES)
    return json.loads(line) if line.endswith(b"\n") else None


def _environment() -> dict[str, str]:
    paths = [os.path.abspath(path) for path in sys.path]
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return inherited | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
