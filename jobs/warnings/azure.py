"""The rule about jobs that ask an API of Azure more often than it is meant for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.definition import JobDefinition
from jobs.formats import describe_span, format_duration
from jobs.problems import Finding
from jobs.schedules import find_shortest_gap
from jobs.targets import AzureTarget


def find_short_azure_intervals(job: JobDefinition) -> Iterator[Finding]:
    """Refuse a schedule whose runs are closer together than the API is meant for."""
    if not isinstance(job.check, AzureTarget) or job.schedule is None:
        return
    least, shortest = job.check.least_interval, find_shortest_gap(job.schedule)
    if shortest is not None and shortest < least.seconds:
        yield Finding(
            ("schedule",),
            f"requests {least.api} every {describe_span(shortest)}; the shortest interval is "
            f"{describe_span(least.seconds)}: {least.reason}",
            f"write a longer one, such as every: {format_duration(least.seconds)}",
        )
