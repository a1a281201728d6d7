"""The writer: never waits, loses nothing it need not lose, and says so when it does."""

from __future__ import annotations

import io
import logging
import threading
import time

import pytest

from observability.logs import LogWriter


class Reader(io.StringIO):
    """A stream whose reader can stop reading, or be gone."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()
        self.reads.set()
        self.gone = False

    def write(self, text: str) -> int:
        self.reads.wait(10)
        if self.gone:
            raise BrokenPipeError
        return super().write(text)


def record(message: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("x", level, "", 0, message, args, None)


@pytest.fixture
def reader() -> Reader:
    return Reader()


def writer_for(reader: Reader, capacity: int = 1000) -> LogWriter:
    return LogWriter(reader, logging.Formatter("%(message)s"), capacity=capacity)


def test_closing_writes_what_is_queued(reader: Reader) -> None:
    writer = writer_for(reader)
    for number in range(700):
        writer.handle(record(f"line {number}"))
    writer.close()
    assert reader.getvalue().splitlines() == [f"line {number}" for number in range(700)]
    assert (writer.written, writer.dropped) == (700, 0)


def test_a_warning_is_written_at_once(reader: Reader) -> None:
    writer = writer_for(reader)
    writer.handle(record("watch out", level=logging.WARNING))
    deadline = time.monotonic() + 60
    while writer.written == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert reader.getvalue() == "watch out\n"
    writer.close()


def test_arguments_are_read_when_the_record_is_logged(reader: Reader) -> None:
    writer = writer_for(reader)
    jobs = ["one"]
    writer.handle(record("%s", jobs))
    jobs.append("two")
    writer.close()
    assert reader.getvalue() == "['one']\n"


def test_a_reader_that_stopped_reading_holds_no_one_up(reader: Reader) -> None:
    writer = writer_for(reader, capacity=10)
    reader.reads.clear()
    for number in range(2000):  # one that waited would wait for ever: the reader reads again below
        writer.handle(record(f"line {number}"))
    assert writer.dropped >= 1000
    reader.reads.set()
    writer.close()


def test_how_many_were_dropped_is_logged(reader: Reader) -> None:
    writer = writer_for(reader, capacity=1)
    reader.reads.clear()
    for number in range(50):
        writer.handle(record(f"line {number}"))
    dropped = writer.dropped
    reader.reads.set()
    writer.close()
    assert f"{dropped} log records were dropped" in reader.getvalue()


def test_a_reader_that_is_gone_is_counted_and_not_raised(reader: Reader) -> None:
    writer = writer_for(reader)
    reader.gone = True
    writer.handle(record("into the void"))
    writer.close()
    assert (writer.written, writer.dropped) == (0, 1)


def test_closing_is_bounded_by_its_timeout(reader: Reader) -> None:
    writer = writer_for(reader)
    reader.reads.clear()
    writer.handle(record("stuck", level=logging.ERROR))
    started = time.monotonic()
    writer.close(timeout=0.02)
    assert time.monotonic() - started < 20
    reader.reads.set()


def test_closing_once_more_does_not_wait_once_more(reader: Reader) -> None:
    """Python closes all handlers at its end, whoever has closed them before."""
    writer = writer_for(reader)
    reader.reads.clear()
    writer.handle(record("stuck"))
    writer.close(timeout=0.02)
    started = time.monotonic()
    writer.close(timeout=30)
    assert time.monotonic() - started < 25
    reader.reads.set()


def test_a_record_that_cannot_be_formatted_costs_only_itself(reader: Reader) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("secret inside")

    writer = writer_for(reader)
    broken = record("x")
    broken.msg = Broken()
    writer.handle(broken)
    writer.handle(record("next"))
    writer.close()
    assert reader.getvalue().splitlines() == ["could not format a record of x: ValueError", "next"]
    assert writer.dropped == 1


def test_after_closing_records_are_counted_as_dropped(reader: Reader) -> None:
    writer = writer_for(reader)
    writer.close()
    writer.handle(record("too late"))
    assert (writer.dropped, reader.getvalue()) == (1, "")


def test_a_filter_is_honoured(reader: Reader) -> None:
    writer = writer_for(reader)
    writer.addFilter(lambda record: "noise" not in record.getMessage())
    writer.handle(record("noise"))
    writer.handle(record("signal"))
    writer.close()
    assert reader.getvalue() == "signal\n"
