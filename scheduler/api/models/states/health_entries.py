"""Response models of the entries of a job's health documents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from jobs.runs.details import EntryEffect
from jobs.runs.health_history import EntryChange, EntryHistory, HealthHistory
from scheduler.api.models.base import ResponseModel, example_values
from scheduler.features.runs.models import run_path

RECENT = timedelta(days=7)
"""The period of `recent_failures`."""

EntryStatusName = Literal["up", "degraded", "down", "unknown", "missing"]


class EntryChangeModel(ResponseModel):
    """An entry entered a status."""

    at: datetime
    status: EntryStatusName


class HealthEntryModel(ResponseModel):
    """An entry of the health documents of a job, and its present status. `missing`: the documents do not have it any
    more; the other fields are then those of the last one that had it.

    `reported_status`: as the target wrote it. `effect`: what the entry counts for the job: none, degraded or down.
    `text` and `run_id`: of the run at `since`. `recent_failures`: how often it became degraded or down in the last
    seven days. `changes`: at most 20, newest first.
    """

    model_config = example_values(
        name="cosmosdb",
        status="down",
        reported_status="Unhealthy",
        effect="down",
        text="timeout",
        observed="",
        since="2026-11-28T03:01:00.120Z",
        recent_failures=3,
        run_id="checkout-api@20261128T030100.000Z",
        run_url="/api/runs/checkout-api@20261128T030100.000Z",
        changes=[
            {"at": "2026-11-28T03:01:00.120Z", "status": "down"},
            {"at": "2026-11-27T09:00:00.120Z", "status": "up"},
        ],
    )

    name: str
    status: EntryStatusName
    reported_status: str
    effect: EntryEffect
    text: str
    observed: str
    since: datetime
    recent_failures: int
    run_id: str
    run_url: str
    changes: list[EntryChangeModel]

    @classmethod
    def from_history(cls, history: EntryHistory, now: datetime) -> HealthEntryModel:
        entry = history.entry
        return cls(
            name=entry.name,
            status=_status_name(history.present),
            reported_status=entry.word,
            effect=entry.effect,
            text=entry.text,
            observed=entry.observed,
            since=history.present.at,
            recent_failures=history.count_failures(now - RECENT),
            run_id=history.run,
            run_url=run_path(history.run),
            changes=[EntryChangeModel(at=change.at, status=_status_name(change)) for change in history.changes],
        )


class HealthEntryListModel(ResponseModel):
    """The entries of the health documents of a job: those of the last one in its order, then missing ones.

    Empty if no expectation `health` has read a document so far.
    """

    entries: list[HealthEntryModel]

    @classmethod
    def from_health_history(cls, history: HealthHistory | None, now: datetime) -> HealthEntryListModel:
        entries = () if history is None else history.entries
        return cls(entries=[HealthEntryModel.from_history(each, now) for each in entries])


def _status_name(change: EntryChange) -> EntryStatusName:
    return "missing" if change.status is None else change.status.value
