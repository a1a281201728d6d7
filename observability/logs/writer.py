"""Accepts log records without waiting, and writes them from a separate thread. Made by logs.configure_logging.

The thread sleeps until there is something, then gathers for a moment, so that a busy second costs a few writes and an
idle one nothing. What does not fit into the queue is dropped and counted, and the count is logged.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TextIO

_GATHER_SECONDS = 0.05
_MAX_LINES_PER_WRITE = 500
LOG_QUEUE_CAPACITY = 10_000
"""Records that wait at most; beyond that the reader of the log has stopped reading."""


class LogWriter(logging.Handler):
    """A handler whose `emit` appends to a queue. `written` counts lines."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter, *, capacity: int = LOG_QUEUE_CAPACITY) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.written = 0
        self._rejected = 0
        self._lost = 0
        self._stream = stream
        self._capacity = capacity
        self._queue: deque[logging.LogRecord] = deque()
        self._reported_drops = 0
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that did not fit into the queue or could not be written."""
        return self._rejected + self._lost

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the handler's lock, which appending to a deque does not need."""
        if not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record, or count it as dropped."""
        if len(self._queue) >= self._capacity or self._closing:
            self._rejected += 1
            return
        if record.args:
            # The arguments may change before the thread gets to them.
            record.msg, record.args = record.getMessage(), None
        self._queue.append(record)
        if record.levelno >= logging.WARNING:
            self._urgent.set()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is there and end the thread, within `timeout` seconds. Further records are dropped.

        A second call (Python makes one at its end) waits for nothing.
        """
        if self._closing:
            return
        self._closing = True
        self._urgent.set()
        self._wake.set()
        super().close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._urgent.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._urgent.clear()
            self._write_queued()
        self._write_queued()

    def _write_queued(self) -> None:
        while self._queue:
            records = [self._queue.popleft() for _ in range(min(_MAX_LINES_PER_WRITE, len(self._queue)))]
            self._write_lines([self._format_line(record) for record in records])
        if self._rejected > self._reported_drops:
            lost, self._reported_drops = self._rejected - self._reported_drops, self._rejected
            self._write_lines(
                [self.format(_make_record(f"{lost} log records were dropped: the reader of the log is too slow"))]
            )

    def _format_line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:
            # One invalid record must not lose the others. Only its logger is reported: its text is not redacted.
            self._lost += 1
            return self.format(_make_record(f"could not format a record of {record.name}: {type(error).__name__}"))

    def _write_lines(self, lines: list[str]) -> None:
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
            self.written += len(lines)
        except (OSError, ValueError):
            # The reader is gone or the stream is closed: there is nowhere left to tell it.
            self._lost += len(lines)


def _make_record(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, None, None)
