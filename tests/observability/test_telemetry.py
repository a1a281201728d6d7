"""What telemetry tells to whom, and that nobody who listens can hurt a run."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings.exporter_settings import OtlpSettings, SpoolSettings, TelemetrySettings
from config.settings.model import ApplicationInsightsSettings, DatadogSettings, Settings
from jobs.policies.execution import Reporting, TelemetryPolicy
from jobs.redaction import Redactor
from jobs.runs import Outcome
from jobs.runs.events import AttemptRetried, RunListener
from observability import names
from observability import telemetry as telemetry_module
from observability.events import DeadLettered, LogEvent, LogLine, Measurement, Measurements, RunRequested
from observability.redaction import ALREADY_REDACTED
from observability.sampling import RunReport
from observability.telemetry import STARTED_AFTER, Telemetry, build_telemetry
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.jobs.running.virtual_time import virtual_time
from tests.observability import runs
from tests.observability.fakes import RecordingExporter
from tests.project import ROOT


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.msg.name) for record in caplog.records if isinstance(record.msg, LogEvent)]


@pytest.fixture
def listening(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_the_runner_can_listen_to_it() -> None:
    listener: RunListener = Telemetry([])
    listener.run_started(runs.started())


def test_a_run_is_logged_from_its_start_to_its_end(listening: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry([])
    telemetry.run_started(runs.started())
    telemetry.attempt_retried(runs.retried())
    telemetry.run_finished(runs.finished())
    assert logged(listening) == [
        (logging.INFO, "JOB_STARTED"),
        (logging.WARNING, "JOB_RETRY"),
        (logging.INFO, "JOB_PERFORMANCE"),
    ]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.down])
def test_a_run_whose_target_is_down_is_logged_as_an_error_too(
    outcome: Outcome, listening: pytest.LogCaptureFixture
) -> None:
    Telemetry([]).run_finished(runs.finished(runs.run(outcome)))
    assert logged(listening) == [(logging.INFO, "JOB_PERFORMANCE"), (logging.ERROR, "JOB_FAILED")]


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.CANCELLED])
def test_a_run_that_reports_nothing_about_its_target_is_no_error(
    outcome: Outcome, listening: pytest.LogCaptureFixture
) -> None:
    Telemetry([]).run_finished(runs.finished(runs.run(outcome)))
    assert logged(listening) == [(logging.INFO, "JOB_PERFORMANCE")]


def test_every_exporter_is_offered_what_happened() -> None:
    exporters = [RecordingExporter("one"), RecordingExporter("two")]
    telemetry = Telemetry(exporters)
    telemetry.run_started(runs.started())
    telemetry.attempt_retried(runs.retried())
    telemetry.run_finished(runs.finished())
    telemetry.dead_lettered(runs.ticket(), "delivered 5 times")
    for exporter in exporters:
        assert [type(event) for event in exporter.events] == [AttemptRetried, RunReport, DeadLettered]


def test_a_broken_exporter_is_counted_and_costs_the_others_nothing() -> None:
    good = RecordingExporter("good")
    telemetry = Telemetry([RecordingExporter("broken", broken=True), good])
    for _ in range(3):
        telemetry.run_finished(runs.finished())
    assert len(good.events) == 3
    waiting = {"waiting": 0, "waiting_bytes": 0, "oldest": None, "spool_problem": ""}
    assert telemetry.health() == [
        waiting
        | {"exporter": "broken", "state": "degraded", "last_error": "raised on 3 events", "sent": 0, "dropped": 3},
        waiting | {"exporter": "good", "state": "on", "last_error": "", "sent": 3, "dropped": 0},
    ]


def test_a_broken_log_handler_does_not_reach_the_run() -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("broken")

    log = logging.getLogger("scheduler.runs")
    handler = Broken()
    log.addHandler(handler)
    exporter = RecordingExporter()
    log.setLevel(logging.INFO)
    try:
        Telemetry([exporter]).run_finished(runs.finished())
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert len(exporter.events) == 1


def test_the_service_reports_when_it_starts_and_stops(listening: pytest.LogCaptureFixture) -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], environment="prod", version="1.2.3")
    telemetry.service_started(host="embedded", jobs=3)
    telemetry.service_stopped(host="embedded")
    assert logged(listening) == [(logging.INFO, "SERVICE_STARTED"), (logging.INFO, "SERVICE_STOPPED")]
    first = exporter.events[0]
    assert isinstance(first, LogLine)
    assert str(first) == "scheduler started with 3 jobs"
    assert first.fields() == {
        "Logger": "scheduler.service",
        "Host": "embedded",
        "Jobs": 3,
        "Environment": "prod",
        "Version": "1.2.3",
    }


def test_the_watchdog_warns_and_reports_when_all_is_well_again(listening: pytest.LogCaptureFixture) -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], environment="prod", version="1.2.3")
    telemetry.watchdog("jobs", "jobs: 1 job is late", well=False)
    telemetry.watchdog("jobs", "jobs: well again", well=True)
    assert logged(listening) == [(logging.WARNING, "WATCHDOG"), (logging.INFO, "WATCHDOG")]
    assert [event.level for event in exporter.events if isinstance(event, LogLine)] == [logging.WARNING, logging.INFO]
    assert isinstance(exporter.events[0], LogLine)
    assert exporter.events[0].fields()["Part"] == "jobs"


def test_the_head_of_the_audit_trail_is_logged_and_reaches_every_exporter(listening: pytest.LogCaptureFixture) -> None:
    exporters = [RecordingExporter(), RecordingExporter()]
    Telemetry(exporters, environment="prod").audit_head(1801, "77d0", 1200)
    assert logged(listening) == [(logging.INFO, "AUDIT_HEAD")]
    for exporter in exporters:
        (event,) = exporter.events
        assert isinstance(event, LogLine)
        fields = event.fields()
        assert event.name == "AUDIT_HEAD"
        assert (fields["AuditSequence"], fields["AuditHash"], fields["AuditEntries"]) == (1801, "77d0", 1200)


def test_gauges_reach_the_exporters_and_not_the_log(listening: pytest.LogCaptureFixture) -> None:
    exporter = RecordingExporter()
    Telemetry([exporter]).gauges([(WATCHDOG_GAUGES[0], 1.5)])
    assert exporter.events == [Measurements((Measurement(names.gauge_metric(WATCHDOG_GAUGES[0]), (1.5,)),))]
    assert logged(listening) == []


async def test_warnings_of_the_program_are_passed_on_while_it_runs() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter])
    telemetry.start()
    try:
        raise RuntimeError("no disk")
    except RuntimeError:
        logging.getLogger("scheduler.stores").exception("cannot write %s", "runs")
    await telemetry.aclose(1.5)
    logging.getLogger("scheduler.stores").error("after the end")
    (line,) = exporter.events
    assert isinstance(line, LogLine)
    assert (str(line), line.level, line.logger) == ("cannot write runs", logging.ERROR, "scheduler.stores")
    assert line.traceback().endswith("RuntimeError: no disk")
    assert exporter.calls == ["start", "aclose 1.5"]


async def test_what_exporters_warn_about_is_not_passed_on_to_them_again() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter])
    telemetry.start()
    for name in ("observability.exporters", "azure.core", "urllib3.connectionpool"):
        logging.getLogger(name).error("cannot send")
    telemetry.run_finished(runs.finished(runs.run(Outcome.FAILED)))
    await telemetry.aclose(1)
    assert [type(event) for event in exporter.events] == [RunReport]


async def test_an_exporter_that_fails_to_close_does_not_keep_the_others_open() -> None:
    good = RecordingExporter("good")
    await Telemetry([RecordingExporter("broken", broken=True), good]).aclose(2)
    assert good.calls == ["aclose 2"]


def test_exporters_without_their_setting_are_off() -> None:
    telemetry = build_telemetry(Settings(), Redactor())
    assert [(each["exporter"], each["state"]) for each in telemetry.health()] == [
        ("application_insights", "off"),
        ("datadog", "off"),
        ("otlp", "off"),
    ]


def test_an_exporter_with_its_setting_is_on_and_its_key_is_a_secret(tmp_path: Path) -> None:
    redactor = Redactor()
    settings = Settings(
        application_insights=ApplicationInsightsSettings.model_validate({"connection_string": "InstrumentationKey=1"}),
        datadog=DatadogSettings.model_validate({"api_key": "0123456789"}),
        otlp=OtlpSettings.model_validate({"endpoint": "https://collector", "headers": "x-key=abcdefgh"}),
        telemetry=TelemetrySettings(spool=SpoolSettings(folder=tmp_path)),
    )
    telemetry = build_telemetry(settings, redactor)
    assert [each["state"] for each in telemetry.health()] == ["on", "on", "on"]
    assert redactor.redact("0123456789 InstrumentationKey=1 abcdefgh") == "*** *** ***"


def test_no_sdk_is_imported_while_its_exporter_is_off() -> None:
    program = """
import sys
from config.settings.model import Settings
from jobs.redaction import Redactor
from observability.logs import configure_logging
from observability.telemetry import build_telemetry
telemetry = build_telemetry(Settings(), Redactor())
telemetry.start()
heavy = {"azure", "opentelemetry", "datadog_api_client", "urllib3", "requests"}
print(sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_job_reports_itself_how_much_is_reported_of_it() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], reporting=Reporting(events="none", availability="none", spans="none"))
    policies = {"checkout": TelemetryPolicy(events="all", metrics="none")}
    telemetry.use_policies(policies.get)
    for job in ("checkout", "search"):
        telemetry.run_finished(runs.finished(runs.run(job=job)))
        telemetry.run_finished(runs.finished(runs.run(job=job)))
    reported = [event for event in exporter.events if isinstance(event, RunReport)]
    assert [(each.run.job, each.events, each.metrics) for each in reported] == [
        ("checkout", 1, "none"),
        ("checkout", 1, "none"),
        ("search", 0, "job"),
        ("search", 0, "job"),
    ]


def test_a_job_without_any_signal_is_not_even_offered() -> None:
    exporter = RecordingExporter()
    nothing = Reporting(events="none", availability="none", spans="none", metrics="none")
    telemetry = Telemetry([exporter], reporting=nothing)
    telemetry.attempt_retried(runs.retried())
    telemetry.run_finished(runs.finished(runs.run(Outcome.FAILED)))
    assert exporter.events == []


async def test_at_the_end_a_row_stands_for_the_runs_that_had_none() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], reporting=Reporting())
    for _ in range(4):
        telemetry.run_finished(runs.finished())
    await telemetry.aclose(1)
    reported = [event.events for event in exporter.events if isinstance(event, RunReport)]
    assert reported == [1, 0, 0, 0, 3]


def test_the_start_of_a_run_is_logged_at_the_level_of_the_host(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Telemetry([], start_level=logging.DEBUG).run_started(runs.started())
    assert logged(caplog) == [(logging.DEBUG, "JOB_STARTED")]


@virtual_time
async def test_a_run_that_ends_within_a_second_has_one_line(listening: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry([])
    telemetry.run_started(runs.started())
    await asyncio.sleep(STARTED_AFTER / 2)
    telemetry.run_finished(runs.finished())
    await asyncio.sleep(2 * STARTED_AFTER)
    assert logged(listening) == [(logging.INFO, "JOB_PERFORMANCE")]


@virtual_time
async def test_a_run_that_takes_longer_is_logged_as_started_at_the_second(listening: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry([])
    telemetry.run_started(runs.started("first"))
    await asyncio.sleep(STARTED_AFTER / 2)
    telemetry.run_started(runs.started("ends"))
    telemetry.run_started(runs.started("second"))
    telemetry.run_finished(runs.finished(runs.run(job="ends")))
    await asyncio.sleep(STARTED_AFTER / 2)
    assert [str(record.msg) for record in listening.records[1:]] == ["first started (schedule)"]
    await asyncio.sleep(STARTED_AFTER / 2)
    assert [str(record.msg) for record in listening.records[2:]] == ["second started (schedule)"]
    await asyncio.sleep(10 * STARTED_AFTER)
    assert len(listening.records) == 3


@virtual_time
async def test_each_start_is_logged_at_once_at_the_level_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Telemetry([]).run_started(runs.started())
    assert logged(caplog) == [(logging.INFO, "JOB_STARTED")]


@virtual_time
async def test_no_start_is_logged_after_the_end(listening: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry([])
    telemetry.run_started(runs.started())
    await telemetry.aclose(1)
    await asyncio.sleep(2 * STARTED_AFTER)
    assert logged(listening) == []


def test_a_record_of_an_event_has_the_fields_of_any_record(listening: pytest.LogCaptureFixture) -> None:
    telemetry, log = Telemetry([]), logging.getLogger("scheduler.runs")
    for _ in range(2):
        telemetry.run_finished(runs.finished())
        expected = log.makeRecord(log.name, logging.INFO, telemetry_module.__file__, 0, "", (), None)
        found = vars(listening.records[-1])
        assert expected.created - 10 < found["created"] <= expected.created
        assert found["relativeCreated"] - expected.relativeCreated == pytest.approx(
            (found["created"] - expected.created) * 1000, abs=0.1
        )
        assert found["msecs"] == int(found["created"] % 1 * 1000)
        timed = {"created", "msecs", "relativeCreated", "msg", ALREADY_REDACTED}
        assert {key: found[key] for key in found.keys() - timed} == {
            key: value for key, value in vars(expected).items() if key not in timed
        } | ({"message": found["message"]} if "message" in found else {})


def test_a_record_is_made_by_the_factory_that_a_library_sets(listening: pytest.LogCaptureFixture) -> None:
    class Marked(logging.LogRecord):
        """A record of a library."""

    logging.setLogRecordFactory(Marked)
    try:
        Telemetry([]).run_finished(runs.finished())
    finally:
        logging.setLogRecordFactory(logging.LogRecord)
    assert isinstance(listening.records[-1], Marked)


def test_the_start_of_a_run_at_a_level_that_is_off_costs_nothing(listening: pytest.LogCaptureFixture) -> None:
    Telemetry([], start_level=logging.DEBUG).run_started(runs.started())
    assert logged(listening) == []


def test_a_run_that_a_caller_requests_within_a_trace_is_offered() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter])
    telemetry.run_requested(runs.ticket(), f"00-{'c' * 32}-{'d' * 16}-01")
    telemetry.run_requested(runs.ticket(), "nonsense")
    assert [event.caller for event in exporter.events if isinstance(event, RunRequested)] == [
        (int("c" * 32, 16), int("d" * 16, 16))
    ]


def test_a_job_without_traces_has_none_for_its_callers() -> None:
    exporter = RecordingExporter()
    telemetry = Telemetry([exporter], reporting=Reporting(spans="none"))
    telemetry.run_requested(runs.ticket(), f"00-{'c' * 32}-{'d' * 16}-01")
    assert exporter.events == []
