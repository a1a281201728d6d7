"""The judging process: reads tasks from its parent, one after the other, and writes their results.

Started by process.py. It knows no secret and opens nothing; it ends with its parent, whose end of the socket closes
then. The kernel kills it when a task computes for too long, whatever library that is in.

A task comes as a pickle of itself and its seconds. Back goes a line of JSON for each part that begins (its place), and
one with the result.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import signal
import socket
import sys
import time
from typing import Any, BinaryIO

from jobs.expectations.budget import Budget, limited
from jobs.judging.deferred_redaction import Recorder
from jobs.judging.port import Task

KILLED_AFTER = 1.5
"""Of the seconds of a task: those within which it should have noticed that they are over."""
MEMORY = 160 * 1024 * 1024
"""Bytes for what a task needs, on top of the program itself."""
LEAVES_AT = 96 * 1024 * 1024
"""Bytes that it may still have after a task; with more it ends, and another one begins."""

_NICE = 5


def main() -> None:
    """Serve the socket whose descriptor is the only argument, until the other end closes."""
    # A signal for the whole group is for the parent, which still wants the results of what goes on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _import_what_tasks_need()
        _limit_memory()
        gc.disable()
        with connection.makefile("rb") as tasks, connection.makefile("wb") as results:
            _write(results, "ready")
            while (read := _read(tasks)) is not None:
                if _serve(*read, results):
                    return
                read = None


def _import_what_tasks_need() -> None:
    """Before memory is limited. What else a task needs is imported as it is read."""
    import jsonpath_rfc9535  # noqa: F401
    import regex  # noqa: F401

    import jobs.judging.judgement  # noqa: F401


def _limit_memory() -> None:
    if used := _bytes_of("data"):
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bytes_of(what: str) -> int:
    """`resident` or `data`, which is what RLIMIT_DATA counts. Linux only; 0 elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = file.read().split()
    except OSError:
        return 0
    return int(pages[{"resident": 1, "data": 5}[what]]) * resource.getpagesize()


def _read(tasks: BinaryIO) -> tuple[Task[Any], float] | None:
    """The next task and its seconds; None: there are no more."""
    try:
        task, seconds = pickle.load(tasks)
    except EOFError:
        return None
    return task, seconds


def _serve(task: Task[Any], seconds: float, results: BinaryIO) -> bool:
    """Judge, and write the result. Returns whether this was the last task."""
    recorder, began, place = Recorder(), time.process_time(), 0

    def begins(at: int) -> None:
        nonlocal place
        place = at
        _write(results, at)

    answer: dict[str, Any]
    signal.setitimer(signal.ITIMER_PROF, seconds * KILLED_AFTER)
    try:
        with limited(Budget(seconds)):
            packed = task.pack(task.perform(recorder, begins))
        answer = {"result": packed, "nonce": recorder.nonce, "texts": recorder.texts}
    except MemoryError:
        answer = {"memory": place}
    except Exception as error:
        # Its text may hold a value of the target or of the job; the type says where to look.
        answer = {"failed": type(error).__name__}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    last = "memory" in answer or _bytes_of("resident") > LEAVES_AT
    _write(results, answer | {"seconds": time.process_time() - began, "last": last})
    return last


def _write(results: BinaryIO, value: Any) -> None:
    results.write(json.dumps(value).encode("ascii") + b"\n")
    results.flush()


if __name__ == "__main__":
    main()
