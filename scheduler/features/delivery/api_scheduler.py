"""What a running scheduler runs, over its API. Implements SchedulerReader."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.features.delivery.port import (
    AlertMessage,
    AlertReplay,
    AlertRequest,
    RecordedChange,
    RunningJob,
    list_review_documents,
    read_change,
)
from scheduler.features.delivery.remote import RemoteApi, RemoteError
from scheduler.features.forecast.load import RunDuration
from scheduler.features.jobs.definitions import minimal_definition
from scheduler.features.stored_jobs.queries import FieldChange
from scheduler.features.stored_jobs.sets import JobDifference, SetPlan, SetReview

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

MAX_REPLAYED: Final = 20
"""Jobs whose alerts are replayed: a server does it next to its runs."""
MAX_DAYS: Final = 30
"""Days that a server replays."""
_MAX_LISTED_ENTRIES: Final = 500
"""Entries of the audit trail that are read for the change of a job."""


class ApiScheduler:
    """See SchedulerReader. Every method raises RemoteError."""

    def __init__(self, api: RemoteApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See SchedulerReader.read_jobs."""
        exported = (await self._api.get("/api/exports/jobs", {"format": "json"}))["jobs"]
        found: list[RunningJob] = []
        async for declared in self._api.iterate("/api/jobs", "jobs", {"view": "full"}):
            name = declared["name"]
            if not declared["in_force"] or name not in exported:  # it is deleted between the requests
                continue
            owner = None if declared["version"] is None else declared["owner"]
            found.append(RunningJob(_define(name, exported[name]), declared["source"], owner))
        return found

    async def plan_set(
        self, owner: str, document: Mapping[str, Any], *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        """See SchedulerReader.plan_set."""
        params = _set_parameters(adopt, allow_literal)
        return read_plan(await self._api.post(f"/api/sets/{owner}/plan", document, params))

    async def apply_set(
        self, owner: str, document: Mapping[str, Any], plan_id: str, *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        """Apply a planned set."""
        params = _set_parameters(adopt, allow_literal) | {"plan_id": plan_id}
        return read_plan(await self._api.post(f"/api/sets/{owner}/apply", document, params))

    async def review(self, jobs: Sequence[JobDefinition]) -> SetReview:
        """See SchedulerReader.review."""
        denied: dict[str, str] = {}
        secrets: list[Problem] = []
        for document in list_review_documents(jobs):
            found = await self._api.post("/api/definitions/validate", json.loads(document))
            denied |= {each["job"]: each["reason"] for each in found["denied_targets"]}
            secrets += map(_read_problem, found["unavailable_secrets"])
        return SetReview(denied, secrets)

    async def read_durations(self, names: Sequence[str]) -> Mapping[str, RunDuration]:
        """See SchedulerReader.read_durations."""
        chosen, found = set(names), dict[str, RunDuration]()
        for row in await self._api.get_lines("/api/exports/stats", {"window": "7d"}):
            value = row.get("duration_p95_ms")
            if row.get("job") in chosen and value is not None:
                found[row["job"]] = RunDuration(value, True)
        return found

    async def find_change(self, job: str) -> RecordedChange | None:
        """See SchedulerReader.find_change."""
        number = 0
        try:
            async for entry in self._api.iterate("/api/audit", "entries", {"job": job, "limit": 50}):
                number += 1
                if (change := read_change(entry)) is not None:
                    return change
                if number == _MAX_LISTED_ENTRIES:
                    break
        except RemoteError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        return None

    async def replay_alerts(self, request: AlertRequest) -> AlertReplay:
        """See SchedulerReader.replay_alerts."""
        chosen, sent, would_be = sorted(request.jobs)[:MAX_REPLAYED], 0, 0
        messages: list[AlertMessage] = []
        notes: list[str] = []
        if len(request.jobs) > len(chosen):
            notes.append(f"the alerts of {len(request.jobs) - len(chosen)} more jobs were not replayed")
        days = min(MAX_DAYS, max(1, ceil((self._clock.now() - request.since) / timedelta(days=1))))
        since = self._clock.now() - timedelta(days=days)
        for name in chosen:
            document = {"jobs": {name: minimal_definition(request.definitions[name])}}
            try:
                found = await self._api.post("/api/dashboard/drafts/backtest", document, {"days": days})
            except RemoteError as error:
                notes.append(f"the alerts of {name} were not replayed: {error}")
                continue
            sent, would_be = sent + found["sent"], would_be + found["would_be_sent"]
            messages += (_read_message(name, each) for each in found["messages"])
            notes += (each for each in found["notes"] if each not in notes)
        messages.sort(key=lambda each: each.at)
        return AlertReplay(frozenset(chosen), since, sent, would_be, messages, notes)


def _set_parameters(adopt: bool, allow_literal: bool) -> dict[str, Any]:
    """Return the query. Schedulers before 0.2.0 do not know `allow_literal`."""
    return {"adopt": adopt} | ({"allow_literal": True} if allow_literal else {})


def read_plan(fields: Mapping[str, Any]) -> SetPlan:
    """Return the plan of a response."""
    review = SetReview(
        {each["name"]: each["reason"] for each in fields["denied_targets"]},
        [*map(_read_problem, fields["unavailable_secrets"])],
        [*map(_read_problem, fields["warnings"])],
    )
    return SetPlan(
        id=fields["plan_id"],
        owner=fields["owner"],
        added=[*map(_read_difference, fields["added"])],
        changed=[*map(_read_difference, fields["changed"])],
        removed=[*map(_read_difference, fields["removed"])],
        unchanged=fields["unchanged"],
        conflicts={each["name"]: each["reason"] for each in fields["conflicts"]},
        review=review,
        is_applied=fields["applied"],
    )


def _read_difference(fields: Mapping[str, Any]) -> JobDifference:
    changes = [FieldChange(each["path"], each["before"], each["after"]) for each in fields["fields"]]
    before, after = ([*map(datetime.fromisoformat, fields[f"next_{side}"])] for side in ("before", "after"))
    return JobDifference(fields["name"], changes, before, after)


def _read_problem(fields: Mapping[str, Any]) -> Problem:
    return Problem(fields["path"], fields["message"], fields["hint"] or "")


def _read_message(job: str, fields: Mapping[str, Any]) -> AlertMessage:
    at = datetime.fromisoformat(fields["at"])
    return AlertMessage(at, job, fields["rule"], fields["channel"], fields["kind"], fields["difference"])


def _define(name: str, written: Any) -> JobDefinition:
    """Raises RemoteError: the scheduler is newer, and its definition has what this version does not know."""
    from config.stored_jobs import LocatedStoredJob, StoredJobDefiner

    found = StoredJobDefiner(None).define(name, written)
    if isinstance(found, LocatedStoredJob):
        return found.job
    raise RemoteError(f"the job {name} of the scheduler cannot be read by this version: {found[0]}")
