"""Recording and alerting rules of Prometheus, and the PromQL of rules and dashboards. Pure.

The rules are for teams that alert by Prometheus and its Alertmanager. The scheduler's own alerts need none of them,
except that its absence has to be noticed from outside.

Each instance of the scheduler computes the same series from the store. So the instances are joined by `max`, before
anything is summed: two scraped instances do not count twice.

Burn alerts have the same conditions as those of jobs.alerting.conditions.burn_rate, with equal numbers: the increase of
a window is the difference of a counter now and at its beginning. `increase()` extrapolates, so that 2 bad runs are 2.03
(docs/decisions/0040-burn-alerts-subtract-counters.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.formats import format_duration
from jobs.objectives import BurnPair, error_ratio_of, list_possible_pairs
from jobs.policies.execution import label_of_tag
from observability.generation.document import GeneratedDocument
from observability.generation.portfolio import OWNER_TAGS, Portfolio
from observability.names import series

RATE_RANGE = "$__rate_interval"
"""Grafana's variable: at least four scrapes."""
WHOLE_RANGE = "$__range"
"""Grafana's variable: the time range of the dashboard."""

_MAX_UNKNOWN = "1d"
"""For which an alert that fires waits for the next known state."""

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


def down_jobs() -> str:
    """Return the jobs that are down, also while their state is unknown after that."""
    before = f"{per_job(f'last_over_time(scheduler_job_up[{_MAX_UNKNOWN}])')} == 0"
    unknown = f"{per_job('scheduler_job_unknown')} == 1"
    return f"({per_job('scheduler_job_up')} == 0) or (({before}) and ({unknown}))"


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


BURN_ALERT = "SchedulerErrorBudgetBurns"
RULE_GROUP = "scheduler-slo-burn"
_BY = "max by (slo, job_name)"
"""Instances export the same counters; of several, one alert fires."""


@dataclass(frozen=True, slots=True)
class BurnObjective:
    """An objective that counts runs. `name`: the label `slo` of its series. `target`: percent."""

    name: str
    target: float
    minimum_bad_runs: int = 2


def make_burn_rules(objectives: Iterable[BurnObjective]) -> list[dict[str, Any]]:
    """Return a rule for each objective and pair of windows that can be exceeded."""
    return [_make_rule(each, pair) for each in objectives for pair in list_possible_pairs(each.target)]


def make_burn_group(objectives: Sequence[BurnObjective]) -> dict[str, Any]:
    """Return the group of a rule file. Prometheus refuses one without rules: see `make_burn_rules`."""
    return {"name": RULE_GROUP, "rules": make_burn_rules(objectives)}


def _make_rule(objective: BurnObjective, pair: BurnPair) -> dict[str, Any]:
    long, short = (format_duration(each.total_seconds()) for each in (pair.long, pair.short))
    return {
        "alert": BURN_ALERT,
        "expr": make_burn_expression(objective, pair),
        "labels": {
            "slo": objective.name,
            "severity": "page" if pair.is_page else "ticket",
            "long_window": long,
        },
        "annotations": {
            "summary": f"{objective.name} consumes its error budget {{{{ $value | humanize }}}} times too fast",
            "description": (
                f"The burn rate is above {pair.factor:g} in the last {long} and in the last {short}, for the target "
                f"{objective.target:g}%. The command `slo show {objective.name}` has the budget that is left."
            ),
        },
    }


def make_burn_expression(objective: BurnObjective, pair: BurnPair) -> str:
    """Return an expression whose value is the burn rate of the long window while the alert fires."""
    long, short = (format_duration(each.total_seconds()) for each in (pair.long, pair.short))
    return (
        f"{_burn_rate(objective, long)} > {pair.factor:g}\n"
        f"and {_burn_rate(objective, short)} > {pair.factor:g}\n"
        f"and {_increase(series.SLO_BAD_RUNS.name, objective.name, long)} >= {objective.minimum_bad_runs}"
    )


def _burn_rate(objective: BurnObjective, window: str) -> str:
    bad = _increase(series.SLO_BAD_RUNS.name, objective.name, window)
    valid = _increase(series.SLO_VALID_RUNS.name, objective.name, window)
    return f"({bad} / {valid}) / {error_ratio_of(objective.target)!r}"


def _increase(metric: str, slo: str, window: str) -> str:
    """Return the increase of a counter in a window.

    Without a value at its begin, or after a reset, it is that since the first value in the window.
    """
    selector = f'{metric}{{slo="{slo}"}}'
    now, before = f"{_BY} ({selector})", f"{_BY} ({selector} offset {window})"
    first = f"{_BY} (min_over_time({selector}[{window}]))"
    return f"({now} - ({before} <= {now} or {first}))"


Rule = dict[str, Any]

_STOPPED_TICK_S = 180
_CERTIFICATE_S = 14 * 86_400
_BAD_GROUP_RATIO = 0.9
"""Share of good runs of a group, below which people are notified."""


def make_prometheus_rules(portfolio: Portfolio) -> GeneratedDocument:
    """Return the file of rules, which `promtool check rules` accepts."""
    groups = [
        {"name": "scheduler-records", "rules": _recording_rules()},
        {"name": "scheduler-program", "rules": _program_alerts()},
        {"name": "scheduler-jobs", "rules": _job_alerts(portfolio)},
    ]
    objectives = [
        BurnObjective(each.name, each.objective.target)
        for each in portfolio.objectives
        if each.objective.counts == "runs"
    ]
    if objectives:
        groups.append(make_burn_group(objectives))
    if portfolio.groups:
        groups.append({"name": "scheduler-groups", "rules": _group_alerts(portfolio)})
    return GeneratedDocument("prometheus/rules.yaml", {"groups": groups})


def _recording_rules() -> list[Rule]:
    p95 = quantile(0.95, "scheduler_job_duration_seconds", "1h", "", "job_name")
    return [
        {"record": "scheduler:job_success:ratio_rate1h", "expr": success_ratio("1h")},
        {"record": "job_name:scheduler_job_success:ratio_rate1h", "expr": success_ratio("1h", "", "job_name")},
        {"record": "job_name:scheduler_job_duration_seconds:p95_1h", "expr": p95},
    ]


def _alert(name: str, expression: str, severity: str, pending: str, summary: str, description: str = "") -> Rule:
    annotations = {"summary": summary, **({"description": description} if description else {})}
    labels = {"severity": severity}
    return {"alert": name, "expr": expression, "for": pending, "labels": labels, "annotations": annotations}


def _program_alerts() -> list[Rule]:
    return [
        _alert(
            "SchedulerAbsent",
            "absent(scheduler_build_info)",
            "critical",
            "5m",
            "No instance of the scheduler is scraped",
            "Jobs do not run, or Prometheus cannot read /api/metrics: no other alert about jobs can fire.",
        ),
        _alert(
            "SchedulerTicksStopped",
            f"max(scheduler_watchdog_tick_gap_seconds) > {_STOPPED_TICK_S}",
            "critical",
            "2m",
            "The scheduler plans no runs since {{ $value | humanizeDuration }}",
        ),
        _alert(
            "SchedulerNotificationsUndelivered",
            "max(scheduler_notifications_undelivered) > 0",
            "critical",
            "1m",
            "{{ $value }} notifications could not be delivered",
            "`channels undelivered` lists them with the reason.",
        ),
    ]


def _job_alerts(portfolio: Portfolio) -> list[Rule]:
    def with_owner(expression: str) -> str:
        return _add_owner(expression, portfolio)

    return [
        _alert(
            "SchedulerJobDown",
            with_owner(down_jobs()),
            "critical",
            "5m",
            "{{ $labels.job_name }} is down",
        ),
        _alert(
            "SchedulerJobDegraded",
            with_owner(f"{per_job('scheduler_job_degraded')} == 1"),
            "warning",
            "15m",
            "{{ $labels.job_name }} is degraded",
        ),
        _alert(
            "SchedulerJobSilent",
            with_owner(silent_jobs()),
            "critical",
            "5m",
            "{{ $labels.job_name }} has not run since {{ $value | humanizeDuration }}",
            "That is longer than twice its interval.",
        ),
        *(_alert(name, with_owner(expression), *texts) for name, expression, *texts in _TICKETS),
    ]


_TICKETS = (
    (
        "SchedulerCircuitOpen",
        f"{per_job('scheduler_job_circuit_open')} == 1",
        "warning",
        "15m",
        "The circuit of {{ $labels.job_name }} is open",
    ),
    (
        "SchedulerDeadLetters",
        f"{per_job('scheduler_job_dead_letters')} > 0",
        "warning",
        "5m",
        "{{ $labels.job_name }} has {{ $value }} dead letters",
        "`dead-letters list` shows them; replay or discard them.",
    ),
    (
        "SchedulerCertificateExpires",
        f"{per_job('scheduler_job_certificate_expiry_timestamp_seconds')} - time() < {_CERTIFICATE_S}",
        "warning",
        "1h",
        "The certificate of {{ $labels.job_name }} expires in {{ $value | humanizeDuration }}",
    ),
)
"""Alerts about jobs that need no one at night: name, expression, severity, duration, summary, description."""


def _add_owner(expression: str, portfolio: Portfolio) -> str:
    """Add the tags that name an owner as labels, for routes of Alertmanager."""
    labels = [label_of_tag(key) for key in OWNER_TAGS if key in portfolio.exported_tags]
    if not labels:
        return expression
    info = f"max by ({', '.join(('job_name', *labels))}) (scheduler_job_info)"
    return f"({expression}) * on (job_name) group_left ({', '.join(labels)}) {info}"


def _group_alerts(portfolio: Portfolio) -> list[Rule]:
    rules = []
    for name, jobs in portfolio.groups.items():
        ratio = success_ratio("15m", names_selector(job.name for job in jobs))
        summary = f"Of the runs of the group {name}, {{{{ $value | humanizePercentage }}}} are good"
        rule = _alert("SchedulerGroupFailing", f"{ratio} < {_BAD_GROUP_RATIO}", "critical", "5m", summary)
        rules.append({**rule, "labels": {**rule["labels"], "group": name}})
    return rules
