"""Response models of uptime by time."""

from __future__ import annotations

from datetime import datetime

from pydantic import AliasChoices, Field

from jobs.incidents.downtime import DowntimeSpan, ExcludedTime, ExclusionReason
from scheduler.api.model_base import ResponseModel, example_values
from scheduler.queries.alerting.downtime import JobDowntime


class _SpanModel(ResponseModel):
    model_config = {"serialize_by_alias": True}

    since: datetime = Field(validation_alias=AliasChoices("from", "since"), serialization_alias="from")
    until: datetime = Field(validation_alias=AliasChoices("to", "until"), serialization_alias="to")


class DowntimeSpanModel(_SpanModel):
    """A time in which the target was down. `incidents`: ids of those that the caller sees. `open`: it is down still."""

    model_config = example_values(seconds=540.0, rules=["failed"], incidents=["1795856400000-5f2c1d9b"], open=False)

    seconds: float
    incidents: list[str]
    rules: list[str]
    open: bool

    @classmethod
    def from_span(cls, span: DowntimeSpan) -> DowntimeSpanModel:
        return cls(
            since=span.begin,
            until=span.end,
            seconds=span.seconds,
            incidents=list(span.incidents),
            rules=list(span.rules),
            open=span.is_open,
        )


class ExclusionModel(_SpanModel):
    """A time that is neither uptime nor downtime. `name`: of the window. Exclusions can overlap."""

    model_config = example_values(reason="window", name="patching", text="Operating system updates")

    reason: ExclusionReason
    name: str
    text: str

    @classmethod
    def from_exclusion(cls, each: ExcludedTime) -> ExclusionModel:
        return cls(since=each.begin, until=each.end, reason=each.reason, name=each.name, text=each.text)


class DowntimeModel(_SpanModel):
    """The uptime of a job by time, from `from` (inclusive) to `to` (exclusive), which is now at the latest.

    `uptime` (0 to 1): the share of `measured_seconds` without downtime; null if nothing was measured, such as for a job
    without a rule that counts as downtime. `rules`: those of the job that count. `complete`: all incidents, changes and
    windows of the period were stored and read.
    """

    model_config = example_values(
        uptime=0.999792, down_seconds=540.0, excluded_seconds=10800.0, measured_seconds=2581200.0, rules=["failed"]
    )

    job: str
    uptime: float | None
    down_seconds: float
    measured_seconds: float
    excluded_seconds: float
    complete: bool
    rules: list[str]
    spans: list[DowntimeSpanModel]
    excluded: list[ExclusionModel]

    @classmethod
    def from_downtime(cls, found: JobDowntime) -> DowntimeModel:
        downtime, uptime = found.downtime, found.uptime
        return cls(
            since=downtime.since,
            until=downtime.until,
            job=found.job,
            uptime=None if uptime is None else round(uptime, 6),
            down_seconds=downtime.down_seconds,
            measured_seconds=downtime.measured_seconds,
            excluded_seconds=downtime.excluded_seconds,
            complete=found.is_complete,
            rules=list(found.rules),
            spans=[DowntimeSpanModel.from_span(span) for span in downtime.spans],
            excluded=[ExclusionModel.from_exclusion(each) for each in downtime.exclusions],
        )
