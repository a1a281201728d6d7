"""How much is reported of a job's runs. The settings have it for all jobs, a job file for its own ones."""

from __future__ import annotations

from typing import Literal

from jobs.model_base import FrozenModel

RowSelection = Literal["all", "failures", "none"]
"""Of which runs a signal has rows of its own: of all; of those worth a look, and a sample of the others; of none."""

MetricDetail = Literal["all", "job", "total", "none"]
"""Which metrics are split by job: all; runs and duration; none of them. `none`: no metrics of runs."""


class Reporting(FrozenModel):
    """How much is reported, for each signal."""

    events: RowSelection = "failures"
    availability: RowSelection = "failures"
    spans: RowSelection = "failures"
    metrics: MetricDetail = "job"


class TelemetryPolicy(FrozenModel):
    """What a job says about it; None: as in the settings."""

    events: RowSelection | None = None
    availability: RowSelection | None = None
    spans: RowSelection | None = None
    metrics: MetricDetail | None = None


def resolve_reporting(policy: TelemetryPolicy | None, usual: Reporting) -> Reporting:
    """Return what applies to a job: what it says itself, else what the settings say."""
    said = {} if policy is None else policy.model_dump(exclude_none=True)
    return usual.model_copy(update=said) if said else usual


REPORT_EVERYTHING = Reporting(events="all", availability="all", spans="all", metrics="all")
