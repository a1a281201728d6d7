"""Queries about the metrics that Datadog gets. Used by the documents of this package. Pure.

A metric has the tags of its declaration, `env` and `service`; the tag `job` and the tags of a job only where
`telemetry.metrics` splits it by job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from observability import names
from observability.exporters.measurements import is_split_by_job
from observability.generation.core.portfolio import Portfolio, PortfolioJob

BAD_OUTCOMES = ("failed", "timed_out", "rejected")
"""Outcomes of a run whose target is down."""
JUDGED_OUTCOMES = ("succeeded", *BAD_OUTCOMES)
"""Outcomes that count for the success rate: skipped and cancelled runs do not."""

WATCHDOG = "scheduler.watchdog"

_NOT_IN_TAGS = re.compile(r"[^\w./:-]")


def tag_value(text: str) -> str:
    """Return a value as Datadog stores it: in lower case, with `_` for characters that tags cannot have."""
    return _NOT_IN_TAGS.sub("_", text.lower())[:200]


def scope_tags(portfolio: Portfolio) -> tuple[str, str]:
    """Return the tags of everything that this deployment sends."""
    return (
        f"{names.TAG_ENV}:{tag_value(portfolio.datadog_env)}",
        f"{names.TAG_SERVICE}:{tag_value(portfolio.datadog_service)}",
    )


def make_scope(portfolio: Portfolio, *conditions: str) -> str:
    """Return the filter of a monitor's query, in braces: these conditions within the deployment."""
    return f"{{{' AND '.join((*scope_tags(portfolio), *conditions))}}}"


def is_in(tag: str, values: Iterable[str]) -> str:
    """Return the condition that a tag has one of the values."""
    found = sorted({tag_value(value) for value in values})
    return f"{tag}:{found[0]}" if len(found) == 1 else f"{tag} IN ({', '.join(found)})"


def is_split(metric: names.Metric, job: PortfolioJob) -> bool:
    """Whether the metric of a job has the tag `job`."""
    return is_split_by_job(metric, job.reporting.metrics)


def split_jobs(metric: names.Metric, jobs: Iterable[PortfolioJob]) -> tuple[PortfolioJob, ...]:
    """Return the jobs for which the metric has the tag `job`."""
    return tuple(job for job in jobs if is_split(metric, job))
