"""The judging process: reads tasks from its parent, one at a time, and writes their results.

Started by process.py. It gets no secret and opens no file or connection. It ends when the parent closes the socket. The
kernel kills it when a task uses too much CPU time, in any library.

A task is a pickle of itself and its seconds. The response is a line of JSON with the index of each part that starts,
and one with the result. The child stores each text to redact and writes a mark instead; the parent, which has the
secrets, replaces the marks by the redacted texts (`make_completer`, called by service.py).
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import re
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from jobs.expectations.budget import JudgementBudget, use_budget
from jobs.expectations.entry import shorten_redacted
from jobs.judging.port import JudgingTask
from jobs.redaction import Redact


class RedactionRecorder:
    """A `Redact` that stores texts and returns marks. A random nonce prevents a target from writing a mark."""

    def __init__(self) -> None:
        self.nonce = secrets.token_hex(8)
        self.texts: list[tuple[str, bool]] = []
        """Each text, and whether it is truncated."""

    def __call__(self, text: str, *, cut: bool = False) -> str:
        self.texts.append((text, cut))
        return f"<{self.nonce}:{len(self.texts) - 1}>"


def make_completer(nonce: str, texts: Sequence[tuple[str, bool]], redact: Redact) -> Callable[[str], str]:
    """Return a function that replaces the marks in a text by the redacted and shortened texts."""
    mark = re.compile(rf"<{re.escape(nonce)}:(\d+)>")

    def shown(placeholder: re.Match[str]) -> str:
        text, cut = texts[int(placeholder[1])]
        return shorten_redacted(redact(complete(text), cut=cut))

    def complete(text: str) -> str:
        # A stored text can contain marks of earlier ones.
        return mark.sub(shown, text)

    return complete


KILL_FACTOR = 1.5
"""The kernel kills the process after this multiple of a task's seconds."""
TASK_MEMORY_BYTES = 160 * 1024 * 1024
"""Bytes for a judgement, in addition to the program itself."""
RESTART_ABOVE_BYTES = 96 * 1024 * 1024
"""Resident bytes after a task; with more the process ends, and the parent starts a new one."""

_NICENESS = 5


def main() -> None:
    """Serve the socket whose descriptor is the first argument, until the other end closes.

    The second one is the bytes for a task.
    """
    # A signal to the process group is for the parent, which still needs the result of the current task.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _import_engines()
        _limit_memory(int(sys.argv[2]))
        gc.disable()
        with connection.makefile("rb") as tasks, connection.makefile("wb") as results:
            _write(results, "ready")
            while (read := _read_task(tasks)) is not None:
                if _serve_task(*read, results):
                    return
                read = None


def _import_engines() -> None:
    """Import the large libraries before memory is limited; unpickling a task imports the rest."""
    import jsonpath_rfc9535  # noqa: F401
    import regex  # noqa: F401

    import jobs.judging.judgement  # noqa: F401


def _limit_memory(task_bytes: int) -> None:
    if used := _memory_bytes("data"):
        resource.setrlimit(resource.RLIMIT_DATA, (used + task_bytes, used + task_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory_bytes(what: str) -> int:
    """Return the `resident` or the `data` size, which RLIMIT_DATA limits. Linux only; 0 elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = file.read().split()
    except OSError:
        return 0
    return int(pages[{"resident": 1, "data": 5}[what]]) * resource.getpagesize()


def _read_task(tasks: BinaryIO) -> tuple[JudgingTask[Any], float] | None:
    """Read the next task and its seconds; None at the end."""
    try:
        task, seconds = pickle.load(tasks)
    except EOFError:
        return None
    return task, seconds


def _serve_task(task: JudgingTask[Any], seconds: float, results: BinaryIO) -> bool:
    """Perform a task and write its result. Return whether the process must end."""
    recorder, started, part = RedactionRecorder(), time.process_time(), 0

    def report_part(index: int) -> None:
        nonlocal part
        part = index
        _write(results, index)

    answer: dict[str, Any]
    signal.setitimer(signal.ITIMER_PROF, seconds * KILL_FACTOR)
    try:
        with use_budget(JudgementBudget(seconds)):
            packed = task.pack(task.perform(recorder, report_part))
        answer = {"result": packed, "nonce": recorder.nonce, "texts": recorder.texts}
    except MemoryError:
        answer = {"memory": part}
    except Exception as error:
        # The message can contain a value of the target or of the job.
        answer = {"failed": type(error).__name__}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    last = "memory" in answer or _memory_bytes("resident") > RESTART_ABOVE_BYTES
    _write(results, answer | {"seconds": time.process_time() - started, "last": last})
    return last


def _write(results: BinaryIO, value: Any) -> None:
    results.write(json.dumps(value).encode("ascii") + b"\n")
    results.flush()


if __name__ == "__main__":
    main()
