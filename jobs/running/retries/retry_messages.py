"""What the runner says about an attempt that went wrong: one sentence an operator understands. Pure.

Called by execution.py, verdicts.py and budget.py. A check words its own errors; here is what only the runner knows.
"""

from __future__ import annotations

from jobs.checks.messages.timeouts import host_and_endpoint
from jobs.formats.durations import describe_seconds as seconds


def describe_no_time_left(wait_s: float, retry_after_s: float | None, left_s: float) -> str:
    """Why there is no further attempt although the policy allows one."""
    left = f"only {seconds(left_s)} of the run are left"
    if retry_after_s is not None and retry_after_s >= wait_s:
        return f"Not tried again: the target asked to wait {seconds(retry_after_s)}, {left}."
    return f"Not tried again: the next attempt was due in {seconds(wait_s)}, {left}."


def describe_exhausted_budget(endpoint: str, per_minute: float) -> str:
    """Why there is no further attempt although policy and time allow one."""
    host = host_with_port(endpoint)
    return f"Not tried again: the retry budget of {host} is used up ({per_minute:g} a minute for all jobs together)."


def host_with_port(endpoint: str) -> str:
    """An endpoint's host with the port."""
    return host_and_endpoint(endpoint)[1]
