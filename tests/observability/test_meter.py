"""observability/program_events.py: measurements are added up and sent together, exactly."""

from __future__ import annotations

import asyncio

from jobs.runs.outcomes import ReasonCode
from observability import names
from observability.events import Measurement, Measurements
from observability.exporters.background import ExporterHealth
from observability.program_events import FLUSH_INTERVAL, MAX_VALUES, Meter, ProgramMetrics
from observability.telemetry import Telemetry
from tests.jobs.running.virtual_time import virtual_time
from tests.observability import runs
from tests.observability.fakes import RecordingExporter


def found(sent: list[Measurements]) -> dict[tuple[str, ...], tuple[float, ...]]:
    return {(each.metric.name, *each.tags.values()): each.values for event in sent for each in event.measured}


@virtual_time
async def test_what_is_measured_within_an_interval_is_one_event() -> None:
    sent: list[Measurements] = []
    metrics = ProgramMetrics(Meter(sent.append), by_circuit=True)

    for seconds in (1.0, 2.0):
        metrics.circuit_changed("checkout", "open")
        metrics.run_waited(ReasonCode.NO_CAPACITY, seconds)
    metrics.open_incidents({"page": 3})
    metrics.open_incidents({"page": 1})
    await asyncio.sleep(FLUSH_INTERVAL - 1)
    assert sent == []
    await asyncio.sleep(1)

    assert len(sent) == 1
    assert found(sent) == {
        ("scheduler.circuit.changes", "checkout", "open"): (2.0,),
        ("scheduler.gate.wait", "place"): (1000.0, 2000.0),
        ("scheduler.incident.open", "page"): (1,),
    }


@virtual_time
async def test_nothing_is_sent_without_a_measurement() -> None:
    sent: list[Measurements] = []
    meter = Meter(sent.append)
    meter.wake()
    await asyncio.sleep(10 * FLUSH_INTERVAL)
    assert sent == []


@virtual_time
async def test_so_many_values_wait_at_most() -> None:
    sent: list[Measurements] = []
    meter = Meter(sent.append)
    for _ in range(2 * MAX_VALUES + 1):
        meter.record(names.GATE_WAITS, 1.0)
    assert [len(event.measured[0].values) for event in sent] == [MAX_VALUES, MAX_VALUES]
    meter.flush()
    assert len(sent[2].measured[0].values) == 1


def test_without_an_event_loop_it_is_sent_at_once() -> None:
    sent: list[Measurements] = []
    Meter(sent.append).count(names.DENIED_RETRIES)
    assert sent == [Measurements((Measurement(names.DENIED_RETRIES, (1.0,)),))]


def test_changes_of_circuits_are_not_split_where_metrics_are_totals() -> None:
    sent: list[Measurements] = []
    ProgramMetrics(Meter(sent.append), by_circuit=False).circuit_changed("checkout", "open")
    assert found(sent) == {("scheduler.circuit.changes", "open"): (1.0,)}


class LosingExporter(RecordingExporter):
    lost = 0

    def health(self) -> ExporterHealth:
        return ExporterHealth(self.name, "degraded", "full", 0, self.lost)


@virtual_time
async def test_what_an_exporter_loses_is_counted_once_by_all() -> None:
    losing, good = LosingExporter("losing"), RecordingExporter("good")
    telemetry = Telemetry([losing, good])
    for losing.lost in (5, 7, 7):
        telemetry.run_finished(runs.finished())
        await asyncio.sleep(FLUSH_INTERVAL)
    measured = [event for event in good.events if isinstance(event, Measurements)]
    assert [each.measured for each in measured] == [
        (Measurement(names.DROPPED_TELEMETRY, (number,), {names.TAG_EXPORTER: "losing"}),) for number in (5, 2)
    ]


@virtual_time
async def test_nothing_is_measured_for_no_exporter() -> None:
    telemetry = Telemetry([])
    telemetry.metrics.run_waited(ReasonCode.NO_CAPACITY, 1.0)
    telemetry.metrics.retry_denied()
    telemetry.metrics.open_incidents({"page": 3})
    meter = telemetry._meter
    assert [*meter._values, *meter._counts, *meter._gauges] == []


def test_a_gauge_that_does_not_change_is_published_each_five_minutes() -> None:
    sent: list[Measurements] = []
    minute = 0
    metrics = ProgramMetrics(Meter(sent.append), by_circuit=True, monotonic=lambda: minute * 60.0)
    for minute, incidents in enumerate([0, 0, 0, 0, 0, 0, 2, 2, 0]):
        before = len(sent)
        metrics.open_incidents({"down": incidents})
        assert len(sent) - before == (minute in (0, 5, 6, 8)), minute
