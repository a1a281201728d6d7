"""PromQL about the series of `/api/metrics`. Used by the dashboard and the rules of this package. Pure.

Each instance of the scheduler computes the same series from the store. So the instances are joined by `max`, before
anything is summed: two scraped instances do not count twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

RATE_RANGE = "$__rate_interval"
"""Grafana's variable: at least four scrapes."""
WHOLE_RANGE = "$__range"
"""Grafana's variable: the time range of the dashboard."""

BAD_OUTCOMES = "failed|timed_out|rejected"
"""Outcomes of a run whose target is down."""
JUDGED_OUTCOMES = f"succeeded|{BAD_OUTCOMES}"
"""Outcomes that count for the success rate: skipped and cancelled runs do not."""


def per_job(series: str, selector: str = "", *labels: str) -> str:
    """Return a gauge by job, and by more labels. `selector`: matchers such as `kind="http"`, separated by commas."""
    return f"max by ({', '.join(('job_name', *labels))}) ({series}{_braces(selector)})"


def rate_per_job(counter: str, time_range: str, selector: str = "", *labels: str) -> str:
    """Return the rate of a counter by job, per second."""
    return f"max by ({', '.join(('job_name', *labels))}) (rate({counter}{_braces(selector)}[{time_range}]))"


def increase_per_job(counter: str, time_range: str, selector: str = "", *labels: str) -> str:
    """Return the increase of a counter by job."""
    return f"max by ({', '.join(('job_name', *labels))}) (increase({counter}{_braces(selector)}[{time_range}]))"


def quantile(share: float, histogram: str, time_range: str, selector: str = "", by: str = "") -> str:
    """Return a quantile of a histogram in seconds, of all jobs together or by a label."""
    buckets = rate_per_job(f"{histogram}_bucket", time_range, selector, "le")
    labels = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({share:g}, sum by ({labels}) ({buckets}))"


def success_ratio(time_range: str, selector: str = "", by: str = "") -> str:
    """Return the share of good runs, from 0 to 1; none where nothing was judged."""
    counter, labels = "scheduler_job_runs_total", f" by ({by})" if by else ""
    good = rate_per_job(counter, time_range, _join(selector, 'outcome="succeeded"'), "outcome")
    judged = rate_per_job(counter, time_range, _join(selector, f'outcome=~"{JUDGED_OUTCOMES}"'), "outcome")
    return f"sum{labels} ({good}) / (sum{labels} ({judged}) > 0)"


def silent_jobs(selector: str = "") -> str:
    """Return by job the seconds since its last run, of jobs without a run for twice their interval.

    Only while the watchdog finds a silent job: it knows calendars, and a job of office hours is not silent on Sunday.
    """
    age = f"time() - {per_job('scheduler_job_last_run_timestamp_seconds', selector)}"
    late = f"({age}) > 2 * {per_job('scheduler_job_interval_seconds', selector)}"
    active = f"({late}) unless on (job_name) ({per_job('scheduler_job_paused', selector)} == 1)"
    return f"({active}) and on () (max(scheduler_watchdog_silent_jobs) > 0)"


def names_selector(names: Iterable[str]) -> str:
    """Return the matcher of these jobs."""
    # In a string of PromQL a backslash has to be written twice.
    pattern = "|".join(re.escape(name).replace("\\-", "-") for name in sorted(names))
    escaped = pattern.replace("\\", "\\\\")
    return f'job_name=~"{escaped}"'


def _braces(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""


def _join(*selectors: str) -> str:
    return ", ".join(filter(None, selectors))
