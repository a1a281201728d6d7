"""Incidents, deployments and other jobs as events: in the log, in Application Insights and in Datadog."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.model.event_create_request import EventCreateRequest

from jobs.redaction import Redactor
from observability import names
from observability.events import ProgramEvent
from observability.exporters.application_insights import make_program_event
from observability.exporters.background import Pace
from observability.exporters.datadog_payloads import DatadogSource, build_payloads
from observability.telemetry import Telemetry
from scheduler.alerting.engine_runner import EngineRunner
from tests.jobs.incidents.world import World
from tests.observability.fakes import RecordingExporter
from tests.scheduler.alerting.engine_world import EngineWorld

SOURCE = DatadogSource("prod", "scheduler", "1.2.3", "machine-1")


def telemetry() -> tuple[Telemetry, RecordingExporter]:
    exporter = RecordingExporter()
    return Telemetry([exporter], environment="prod", version="1.2.3"), exporter


def published(exporter: RecordingExporter) -> list[ProgramEvent]:
    return [event for event in exporter.events if isinstance(event, ProgramEvent)]


async def test_an_incident_is_published_once_although_several_processes_run_passes() -> None:
    engine, exporters = EngineWorld(World(), processes=3), list[RecordingExporter]()
    for runner in engine.runners:
        exporters.append(publish_incidents(runner))
    await engine.judge("checkout", True)
    for _ in range(5):
        engine.clock.move(10)
        await asyncio.gather(*(runner.tick() for runner in engine.runners))
    await engine.judge("checkout", False)
    await engine.wait(timedelta(minutes=1))

    events = [event for exporter in exporters for event in published(exporter)]
    assert sorted(event.name for event in events) == ["INCIDENT_OPENED", "INCIDENT_RESOLVED"]
    assert len({event.key for event in events}) == 1
    assert {event.name: (event.status, event.level) for event in events} == {
        "INCIDENT_OPENED": ("error", logging.WARNING),
        "INCIDENT_RESOLVED": ("success", logging.INFO),
    }
    opened = next(event for event in events if event.name == names.INCIDENT_OPENED)
    assert {key: opened.values[key] for key in ("Subject", "Severity", "Alerts", "Environment")} == {
        "Subject": "checkout",
        "Severity": "down",
        "Alerts": 1,
        "Environment": "prod",
    }
    assert opened.values["Incident"] == opened.key


def publish_incidents(runner: EngineRunner) -> RecordingExporter:
    heard, exporter = telemetry()
    runner.on_written = heard.events.incidents_changed
    return exporter


def test_a_deployment_names_the_version_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heard, exporter = telemetry()
    heard.events.deployed("1.2.2")
    heard.events.deployed("")
    assert [str(event) for event in published(exporter)] == [
        "version 1.2.3 of the scheduler was deployed: it replaces 1.2.2",
        "version 1.2.3 of the scheduler was deployed",
    ]
    assert published(exporter)[0].fields() == {
        "PreviousVersion": "1.2.2",
        "Environment": "prod",
        "Version": "1.2.3",
    }
    assert [record.getMessage() for record in caplog.records] == [str(event) for event in published(exporter)]


def test_a_changed_job_set_has_its_counts_if_this_process_saw_the_change() -> None:
    heard, exporter = telemetry()
    heard.events.job_set_changed("ab12", 7, 40, (2, 1, 0))
    heard.events.job_set_changed("ab13", 7, 41, None)
    seen, unseen = published(exporter)
    assert str(seen) == "other jobs are in force (40): 2 added, 1 changed, 0 removed"
    assert {
        key: seen.values[key] for key in ("Jobs", "JobSet", "StoredJobsVersion", "Added", "Changed", "Removed")
    } == {
        "Jobs": 40,
        "JobSet": "ab12",
        "StoredJobsVersion": 7,
        "Added": 2,
        "Changed": 1,
        "Removed": 0,
    }
    assert "Added" not in unseen.values


def undelivered(reason: str = "status 401 with canary-secret") -> ProgramEvent:
    heard, exporter = telemetry()
    heard.events.notifications_given_up("team", "slack", 2, reason)
    (event,) = published(exporter)
    return event


def test_datadog_gets_each_event_in_a_request_of_its_own_as_its_client_models_it() -> None:
    redactor = Redactor()
    redactor.add_permanent("canary-secret")
    payloads = build_payloads([undelivered(), undelivered("x" * 9000)], SOURCE, 1_925_035_300, redactor, Pace())
    assert [(payload.kind, len(payload.entries)) for payload in payloads] == [("events", 1)] * 2
    entry = payloads[0].entries[0]
    assert entry["text"] == "status 401 with ***"
    assert len(payloads[1].entries[0]["text"]) <= 4000
    assert (entry["alert_type"], entry["aggregation_key"]) == ("error", "channel team")
    assert entry["tags"][3:] == ["event:NOTIFICATION_UNDELIVERED", "channel_kind:slack"]
    client = ApiClient(Configuration())
    read = client.deserialize(json.dumps(entry), (EventCreateRequest,), check_type=True)
    assert read.title == entry["title"]
    assert set(read.to_dict()) == set(entry)


def test_application_insights_gets_a_custom_event_of_the_same_name_without_secrets() -> None:
    redactor = Redactor()
    redactor.add_permanent("canary-secret")
    record = make_program_event(undelivered(), redactor)
    assert record["microsoft.custom_event.name"] == "NOTIFICATION_UNDELIVERED"
    assert (record["Channel"], record["Notifications"], record["Environment"]) == ("team", 2, "prod")
    assert "canary" not in str(record)
