"""The check of a metric of Azure Monitor: the newest complete bucket of each series. No row means no data, not 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from jobs.checks.azure.client import AzureCheck, AzureRequest, build_url
from jobs.checks.azure.rows import UnexpectedShape, age_of, metric_rows, observe_rows
from jobs.checks.azure.verdicts import refuse_stale, unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.formats import format_iso_instant, parse_instant
from jobs.runs import Observation
from jobs.targets import AzureMetricTarget
from jobs.targets.azure import METRIC_INTERVALS

_VERSION = "2018-01-01"
MAX_SERIES = 1000
"""Values of dimensions: Azure returns no more than are requested."""
_SHORTEST_WINDOW = 900.0


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureMetricCheck:
    """Build the check. Called by jobs.checks."""
    return AzureMetricCheck(dependencies.make_azure_client(checks))


class AzureMetricCheck(AzureCheck):
    """Observes metrics; the body is `{"rows": [{"resource": ..., "value": 12.0, "at": ...}]}`."""

    async def read(self, target: AzureMetricTarget, call: AttemptContext) -> Observation:
        """Request the metric once. Raises Concluded."""
        now = self.client.now()
        page = await self.client.send(target, _build_request(target, now), call)
        bucket_s = METRIC_INTERVALS[target.interval]
        try:
            rows = metric_rows(page.document, target.resource, target.aggregation, bucket_s, now)
        except UnexpectedShape as error:
            raise unknown(page.seen, f"{target.host} answered with an unexpected document: {error}.") from None
        if len(rows) >= MAX_SERIES:
            raise unknown(page.seen, f"The metric has {MAX_SERIES:,} series or more: narrow filter.")
        ends = [parse_instant(row["at"]) + timedelta(seconds=bucket_s) for row in rows]
        age = age_of(max(ends, default=None), now)
        refuse_stale(page.seen, age, target.max_data_age)
        return observe_rows(page.seen, rows, "rows", {"pages": 1, "data_age": age})


def _build_request(target: AzureMetricTarget, now: datetime) -> AzureRequest:
    bucket_s = METRIC_INTERVALS[target.interval]
    window = target.window or max(_SHORTEST_WINDOW, 2 * bucket_s)
    # Buckets start at multiples of their length; the one that is still filled is not of interest.
    end = int(now.timestamp() // bucket_s * bucket_s)
    start = end - window // bucket_s * bucket_s
    span = "/".join(format_iso_instant(datetime.fromtimestamp(at, UTC)) for at in (start, end))
    query = {
        "api-version": _VERSION,
        "metricnames": target.metric,
        "aggregation": target.aggregation,
        "timespan": span,
        "interval": "P1D" if target.interval == "1d" else f"PT{target.interval.upper()}",
    }
    if target.namespace:
        query["metricnamespace"] = target.namespace
    if target.filter:
        query |= {"$filter": target.filter, "top": str(MAX_SERIES)}
    return AzureRequest(build_url(target, query))
