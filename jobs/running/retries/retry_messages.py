"""Messages about retries that were not made. Pure; called by jobs.running.execution.

A check writes the messages of its errors; only the runner knows these.
"""

from __future__ import annotations

from jobs.checks.messages.timeouts import host_and_endpoint
from jobs.formats.durations import describe_seconds as seconds


def describe_no_time_left(wait_s: float, retry_after_s: float | None, left_s: float) -> str:
    """Explain that the wait exceeds the rest of the run's time."""
    left = f"only {seconds(left_s)} of the run's time are left"
    if retry_after_s is not None and retry_after_s >= wait_s:
        return f"Not retried: the target requested a wait of {seconds(retry_after_s)}, {left}."
    return f"Not retried: the next attempt would start in {seconds(wait_s)}, {left}."


def describe_exhausted_budget(endpoint: str, per_minute: float) -> str:
    """Explain that the retry budget is exhausted."""
    host = host_with_port(endpoint)
    return f"Not retried: the retry budget of {host} is exhausted ({per_minute:g} a minute for all jobs)."


def host_with_port(endpoint: str) -> str:
    """Return the endpoint's host with its port."""
    return host_and_endpoint(endpoint)[1]
