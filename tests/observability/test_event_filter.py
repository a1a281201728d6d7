"""Which events of the scheduler itself an exporter gets, by its setting."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from config.settings.exporter_settings import DatadogSettings, ServiceEventName
from observability import names
from observability.events import DeadLettered, LogLine, ProgramEvent
from observability.exporters.background import select_events
from observability.sampling import RunReport
from observability.telemetry import Telemetry
from tests.observability import runs
from tests.observability.fakes import RecordingExporter


def test_every_event_that_is_not_of_a_run_can_be_selected() -> None:
    of_runs = {"JOB_STARTED", "JOB_PERFORMANCE", "JOB_RETRY", "JOB_FAILED", "JOB_DEAD_LETTERED"}
    assert set(get_args(ServiceEventName)) == {each.name for each in names.LOG_EVENTS} - of_runs


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("all", "all"),
        ("none", "none"),
        ("", ()),
        ("deployment, INCIDENT_OPENED", ("DEPLOYMENT", "INCIDENT_OPENED")),
        (["WATCHDOG"], ("WATCHDOG",)),
    ],
)
def test_how_events_are_written(written: object, expected: str | tuple[str, ...]) -> None:
    assert DatadogSettings.model_validate({"events": written}).events == expected


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(ValidationError, match="INCIDENT_OPENED"):
        DatadogSettings.model_validate({"events": "INCIDENT_OPEN"})


def test_an_exporter_gets_the_selected_events_and_everything_about_runs() -> None:
    inner, other = RecordingExporter("selective"), RecordingExporter("other")
    exporter = select_events(inner, ["DEPLOYMENT"])
    telemetry = Telemetry([exporter, select_events(other, "all")], version="2")
    telemetry.service_started(host="embedded", jobs=3)
    telemetry.events.deployed("1")
    telemetry.events.job_set_changed("ab", 0, 3, None)
    telemetry.run_finished(runs.finished())
    telemetry.dead_lettered(runs.ticket(), "delivered 5 times")

    assert [type(event) for event in inner.events] == [ProgramEvent, RunReport, DeadLettered]
    assert [type(event) for event in other.events] == [LogLine, ProgramEvent, ProgramEvent, RunReport, DeadLettered]
    assert (exporter.name, exporter.health().sent) == ("selective", 3)
