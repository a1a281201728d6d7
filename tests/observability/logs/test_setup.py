"""Logging of the whole process: formats, levels, who is quieted, and the Functions worker's own handler."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from jobs.redaction import Redactor
from observability.events import JobFailed, JobPerformance
from observability.invocations import Invocation, run_in_invocation
from observability.logs import ConfiguredLogging, LogFormat, configure_logging
from tests.observability import runs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is global: leave it as it was."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    dressed = [(handler, handler.formatter, list(handler.filters)) for handler in handlers]
    levels = {name: logging.getLogger(name).level for name in list(root.manager.loggerDict)}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for handler, formatter, filters in dressed:
        handler.setFormatter(formatter)
        handler.filters = filters
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add_permanent("hunter-two")
    return redactor


def configured(
    stream: io.StringIO, redactor: Redactor, format: LogFormat = "auto", level: str = "info"
) -> ConfiguredLogging:
    return configure_logging(level=level, format=format, redactor=redactor, stream=stream)


def test_json_where_no_one_reads(redactor: Redactor) -> None:
    stream = io.StringIO()
    logs = configured(stream, redactor)
    logging.getLogger("x").info(JobPerformance(runs.run()))
    logs.close()
    assert json.loads(stream.getvalue())["Event"] == "JOB_PERFORMANCE"


def test_a_line_has_no_value_that_was_released_before_it_is_written() -> None:
    redactor, stream = Redactor(most_released=0), io.StringIO()
    logs = configured(stream, redactor)
    redactor.hold("saved-token")
    try:
        raise ValueError("no url: http://h/saved-token")
    except ValueError:
        logging.getLogger("x").exception("it failed with %s", "saved-token", stack_info=True)
    redactor.release("saved-token")
    logs.close()
    assert "saved-token" not in stream.getvalue()
    line = json.loads(stream.getvalue())
    assert line["Message"] == "it failed with ***"
    assert "ValueError: no url: http://h/***" in line["Exception"]


def test_a_coloured_line_on_a_terminal(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    logs = configured(stream, redactor)
    logging.getLogger("x").info("hello")
    logs.close()
    assert "\x1b[32mINFO" in stream.getvalue()


def test_no_colour_when_the_operator_requires_none(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logs = configured(stream, redactor)
    logging.getLogger("x").info("hello")
    logs.close()
    assert stream.getvalue().endswith("INFO    x hello\n")


@pytest.mark.parametrize(("format", "is_json"), [("json", True), ("text", False)])
def test_the_setting_decides_over_the_terminal(format: LogFormat, is_json: bool, redactor: Redactor) -> None:
    stream = Terminal()
    logs = configured(stream, redactor, format)
    logging.getLogger("x").info("hello")
    logs.close()
    assert stream.getvalue().startswith("{") is is_json


def test_records_below_the_level_are_skipped(redactor: Redactor) -> None:
    stream = io.StringIO()
    logs = configured(stream, redactor, level="warning")
    logging.getLogger("x").info("quiet")
    logs.close()
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["httpx", "azure.core.pipeline.policies.http_logging_policy", "uvicorn.access"])
def test_who_would_log_urls_with_their_query_is_quieted(name: str, redactor: Redactor) -> None:
    stream = io.StringIO()
    logs = configured(stream, redactor, level="debug")
    logging.getLogger(name).info("GET https://x/?code=1")
    logs.close()
    assert stream.getvalue() == ""


def test_a_foreign_library_is_redacted(redactor: Redactor) -> None:
    stream = io.StringIO()
    logs = configured(stream, redactor)
    logging.getLogger("azure.identity").warning("token %s expired", "hunter-two")
    logs.close()
    assert json.loads(stream.getvalue())["Message"] == "token *** expired"


def test_a_second_call_replaces_the_first(redactor: Redactor) -> None:
    first, second = io.StringIO(), io.StringIO()
    configured(first, redactor)
    logs = configured(second, redactor)
    logging.getLogger("x").info("hello")
    logs.close()
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["Message"] == "hello"


async def test_closing_flushes_and_counts(redactor: Redactor) -> None:
    stream = io.StringIO()
    logs = configured(stream, redactor)
    for _ in range(20):
        logging.getLogger("x").info("hello")
    await logs.aclose()
    assert (logs.written, logs.dropped, len(stream.getvalue().splitlines())) == (20, 0, 20)


class Workers(logging.Handler):
    """Stands for the Functions worker's handler, which formats and hands on, and for one that reads exceptions."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.errors: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self.errors.append(record.exc_info)


@pytest.fixture
def workers() -> Workers:
    handler = Workers()
    logging.getLogger().addHandler(handler)
    return handler


async def test_without_a_stream_the_hosts_handler_gets_our_format(workers: Workers, redactor: Redactor) -> None:
    logs = configure_logging(level="info", format="auto", redactor=redactor, stream=None)
    with run_in_invocation(Invocation()):
        logging.getLogger("x").info(JobPerformance(runs.run()))
    assert json.loads(workers.lines[0])["JobName"] == "checkout"
    assert (logs.written, logs.dropped) == (0, 0)
    logs.close()


async def test_without_a_stream_no_handler_sees_an_exception_with_a_secret(
    workers: Workers, redactor: Redactor
) -> None:
    configure_logging(level="info", format="json", redactor=redactor, stream=None)
    configure_logging(level="info", format="json", redactor=redactor, stream=None)
    try:
        raise RuntimeError("hunter-two")
    except RuntimeError:
        with run_in_invocation(Invocation()):
            logging.getLogger("x").exception("broken")
    assert workers.errors == [None]
    assert "RuntimeError: ***" in json.loads(workers.lines[0])["Exception"]


def logged_runs(redactor: Redactor, runs_setting: Literal["all", "failures"]) -> list[str]:
    stream = io.StringIO()
    logs = configure_logging(level="info", format="json", runs=runs_setting, redactor=redactor, stream=stream)
    log = logging.getLogger("scheduler.runs")
    log.info(JobPerformance(runs.run()))
    log.error(JobFailed(runs.run()))
    logging.getLogger("scheduler.service").info("started")
    logs.close()
    lines = map(json.loads, stream.getvalue().splitlines())
    return [line.get("Event") or line["Message"] for line in lines]


def test_failures_alone_are_logged_of_runs_if_the_setting_says_so(redactor: Redactor) -> None:
    assert logged_runs(redactor, "failures") == ["JOB_FAILED", "started"]
    assert logged_runs(redactor, "all") == ["JOB_PERFORMANCE", "JOB_FAILED", "started"]


def test_a_command_that_shows_the_runs_itself_stays_quiet(redactor: Redactor) -> None:
    logging.getLogger("scheduler.runs").setLevel(logging.CRITICAL)

    assert logged_runs(redactor, "all") == ["started"]
