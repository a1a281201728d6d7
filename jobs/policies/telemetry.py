"""How much of a job's runs is reported, and its tags as labels of Prometheus.

The settings define it for all jobs; a job file may override it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from jobs.model_base import FrozenModel

RowSelection = Literal["all", "failures", "none"]
"""The runs with separate rows in a signal: all; failures, degraded runs and a sample of the others; none."""

MetricDetail = Literal["all", "job", "total", "none"]
"""The metrics with a dimension for the job: all; only runs and duration; none of them. `none`: no metrics of runs."""


class Reporting(FrozenModel):
    """How much is reported, by signal."""

    events: RowSelection = "failures"
    availability: RowSelection = "failures"
    spans: RowSelection = "failures"
    metrics: MetricDetail = "job"


class TelemetryPolicy(FrozenModel):
    """A job's override of the settings; None: no override."""

    events: RowSelection | None = None
    availability: RowSelection | None = None
    spans: RowSelection | None = None
    metrics: MetricDetail | None = None
    trace_context: bool = Field(
        default=True,
        description="whether requests to the target carry traceparent, unless targets.traceparent is false",
    )


def resolve_reporting(policy: TelemetryPolicy | None, usual: Reporting) -> Reporting:
    """Return the effective levels of a job: its own, otherwise those of the settings."""
    said = {} if policy is None else policy.model_dump(exclude_none=True, exclude={"trace_context"})
    return usual.model_copy(update=said) if said else usual


NO_TRACE_CONTEXT = TelemetryPolicy(trace_context=False)
"""For requests that belong to no run."""

REPORT_EVERYTHING = Reporting(events="all", availability="all", spans="all", metrics="all")


_PREFIX = "tag_"
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]")


def label_of_tag(tag: str) -> str:
    """Return the label of a tag: `tag_` and its name, with `_` for what a label cannot contain: cost-center is
    tag_cost_center."""
    return _PREFIX + _NOT_IN_LABELS.sub("_", tag)


def find_label_collision(tags: Iterable[str]) -> tuple[str, str] | None:
    """Return two tags that have the same label; None if each has its own."""
    found: dict[str, str] = {}
    for tag in tags:
        other = found.setdefault(label_of_tag(tag), tag)
        if other != tag:
            return other, tag
    return None
