"""The row of numbers at the top of the dashboard for Prometheus. Pure. Called by
observability.generation.grafana.prometheus_dashboard.
"""

from __future__ import annotations

from observability.generation.grafana.panels import PanelDescription
from observability.generation.grafana.prometheus_panels import SELECTED_JOBS, count_jobs, make_stat
from observability.generation.grafana.promql import WHOLE_RANGE, per_job, silent_jobs, success_ratio

_LATE_TICK_S, _STOPPED_TICK_S = 90.0, 180.0


def make_now_panels() -> tuple[PanelDescription, ...]:
    """Return the panels."""
    shares: tuple[tuple[float, str], ...] = ((0.99, "yellow"), (0.999, "green"))
    return (
        make_stat("jobs", "Jobs", f"count({per_job('scheduler_job_info', SELECTED_JOBS)})", thresholds=()),
        make_stat("down", "Down", count_jobs("scheduler_job_up", 0), "Jobs whose target is down."),
        make_stat(
            "degraded",
            "Degraded",
            count_jobs("scheduler_job_degraded"),
            "Jobs that succeed although an expectation of severity degraded fails.",
            thresholds=((1.0, "yellow"),),
        ),
        make_stat(
            "success",
            "Success rate",
            success_ratio(WHOLE_RANGE, SELECTED_JOBS),
            "Good runs of all judged ones in the time range; skipped and cancelled runs do not count.",
            unit="percentunit",
            first_colour="red",
            thresholds=shares,
        ),
        make_stat("incidents", "Open incidents", "sum(max by (severity) (scheduler_incidents_open)) or vector(0)"),
        make_stat(
            "silent", "Silent jobs", f"count({silent_jobs(SELECTED_JOBS)}) or vector(0)", "No run for two intervals."
        ),
        make_stat("blind", "Blind", count_jobs("scheduler_job_blind"), "Jobs that the scheduler cannot check."),
        make_stat("paused", "Paused", count_jobs("scheduler_job_paused"), thresholds=((1.0, "yellow"),)),
        make_stat("circuits", "Open circuits", count_jobs("scheduler_job_circuit_open"), thresholds=((1.0, "yellow"),)),
        make_stat(
            "letters", "Dead letters", f"sum({per_job('scheduler_job_dead_letters', SELECTED_JOBS)}) or vector(0)"
        ),
        make_stat("undelivered", "Undelivered notifications", "max(scheduler_notifications_undelivered)"),
        make_stat(
            "tick",
            "Tick lag",
            "max(scheduler_watchdog_tick_gap_seconds)",
            "Time since the last planning round.",
            unit="s",
            thresholds=((_LATE_TICK_S, "yellow"), (_STOPPED_TICK_S, "red")),
        ),
    )
