"""The strip of the states of a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.api.dashboard.job_charts import list_state_spans
from scheduler.api.dashboard.rendering.axes import TimeAxis
from scheduler.features.changes.queries import StateHistory

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)


def test_the_latest_state_lasts_until_now_and_not_into_the_future() -> None:
    down = StateChange("checkout", 1, JobStatus.DOWN, NOW - timedelta(minutes=5), Cause("failed"))
    axis = TimeAxis(NOW.replace(minute=0), NOW.replace(hour=13, minute=0), UTC)

    (unknown, latest) = list_state_spans(StateHistory((down,), None, down.at), axis, NOW)

    assert (unknown.state, latest.state) == (None, JobStatus.DOWN)
    assert (latest.begin, latest.end) == (down.at, NOW)
