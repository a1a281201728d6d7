"""The rule about jobs that ask an API of Azure more often than it is meant for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.definition import JobDefinition
from jobs.formats import describe_span, format_duration
from jobs.problems import Finding
from jobs.targets import AzureTarget

_MONDAY_MS = 1_767_571_200_000
_COMPARED = 12
"""Due instants after a Monday whose gaps are compared."""


def find_short_azure_intervals(job: JobDefinition) -> Iterator[Finding]:
    """Refuse a schedule whose runs are closer together than the API is meant for."""
    if not isinstance(job.check, AzureTarget) or job.schedule is None:
        return
    least, at, shortest = job.check.least_interval, _MONDAY_MS, None
    for number in range(_COMPARED):
        due = job.schedule.next_after_ms(at)
        if due is None:
            break
        if number:
            shortest = min(shortest or due - at, due - at)
        at = due
    if shortest is not None and shortest < least.seconds * 1000:
        yield Finding(
            ("schedule",),
            f"requests {least.api} every {describe_span(shortest / 1000)}; the shortest interval is "
            f"{describe_span(least.seconds)}: {least.reason}",
            f"write a longer one, such as every: {format_duration(least.seconds)}",
        )
