"""Events to the points of Datadog's series and distributions. Pure; used by datadog.payloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from jobs.runs import Run
from observability import names
from observability.events import DeadLettered, Measurement, Measurements, TelemetryEvent
from observability.exporters.datadog.intakes import DatadogSource, IntakeEntry
from observability.exporters.measurements import count_run, find_tag_values, is_split_by_job, measure_run
from observability.exporters.pacing import Pace
from observability.sampling import RunReport

_MAX_TAG_LENGTH = 200
_COUNT_INTERVAL_S = 10
"""Seconds that a count covers, as with the Datadog agent."""
_COUNT, _GAUGE = 1, 3

_Point = tuple[names.Metric, tuple[str, ...]]
"""A metric and its tags."""


def make_series(events: Sequence[TelemetryEvent], source: DatadogSource, at: int, pace: Pace) -> Iterator[IntakeEntry]:
    """Yield the sum of each count, and the newest value of each gauge."""
    counts = _sum_counts(events, pace)
    gauges = {_find_point(each): each.values[-1] for each in _list_measurements(events, "gauge")}
    for (metric, tags), value in (*counts.items(), *gauges.items()):
        kind = {"type": _GAUGE} if metric.kind == "gauge" else {"type": _COUNT, "interval": _COUNT_INTERVAL_S}
        yield {
            "metric": metric.name,
            **kind,
            "points": [{"timestamp": at, "value": float(value)}],
            "tags": [*source.metric_tags, *tags],
            "resources": [{"type": "host", "name": source.host}],
        }


def make_distributions(
    events: Sequence[TelemetryEvent], source: DatadogSource, at: int, pace: Pace
) -> Iterator[IntakeEntry]:
    """Yield all values of each distribution."""
    values: dict[_Point, list[float]] = defaultdict(list)
    for report in pace.spread(_list_measured_reports(events)):
        for metric, value in measure_run(report.run):
            values[metric, _make_metric_tags(metric, report)].append(value)
    for each in _list_measurements(events, "distribution"):
        values[_find_point(each)] += each.values
    for (metric, tags), points in values.items():
        yield {"metric": metric.name, "points": [[at, points]], "tags": [*source.metric_tags, *tags]}


def make_job_tags(run: Run) -> tuple[str, ...]:
    """Return the job's own tags."""
    return tuple(format_tag(key, value) for key, value in run.tags.items())


def format_tag(name: str, value: str) -> str:
    """Return a tag, cut to the length that Datadog keeps."""
    return f"{name}:{value}"[:_MAX_TAG_LENGTH]


def _sum_counts(events: Sequence[TelemetryEvent], pace: Pace) -> Mapping[_Point, float]:
    counts: dict[_Point, float] = defaultdict(float)
    for report in pace.spread(_list_measured_reports(events)):
        for metric, number in count_run(report.run):
            counts[metric, _make_metric_tags(metric, report)] += number
    for event in events:
        if isinstance(event, DeadLettered):
            counts[names.DEAD_LETTERS, (format_tag(names.TAG_JOB, event.ticket.job),)] += 1
    for each in _list_measurements(events, "count"):
        counts[_find_point(each)] += sum(each.values)
    return counts


def _list_measured_reports(events: Sequence[TelemetryEvent]) -> Iterator[RunReport]:
    return (event for event in events if isinstance(event, RunReport) and event.metrics != "none")


def _list_measurements(events: Sequence[TelemetryEvent], kind: str) -> Iterator[Measurement]:
    for event in events:
        if isinstance(event, Measurements):
            yield from (each for each in event.measured if each.metric.kind == kind)


def _find_point(measurement: Measurement) -> _Point:
    return measurement.metric, tuple(format_tag(name, value) for name, value in measurement.tags.items())


def _make_metric_tags(metric: names.Metric, report: RunReport) -> tuple[str, ...]:
    run, detail = report.run, report.metrics
    tags = tuple(format_tag(name, value) for name, value in find_tag_values(metric, run, detail).items())
    return tags + make_job_tags(run) if is_split_by_job(metric, detail) else tags
