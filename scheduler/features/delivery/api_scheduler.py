"""A running scheduler over its API. Implements SchedulerReader and GateScheduler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from jobs.formats import format_iso_instant
from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.features.delivery.port import (
    AlertMessage,
    AlertReplay,
    AlertRequest,
    ListedRun,
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
MAX_READ_SINGLY: Final = 30
"""Jobs whose runs are read one by one. Of more jobs, all runs are read: a key has 600 reads a minute."""
MAX_STARTED_TOGETHER: Final = 500


class ApiScheduler:
    """Every method raises RemoteError. The docstrings of the protocols say what each returns."""

    def __init__(self, api: RemoteApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def read_jobs(self) -> Sequence[RunningJob]:
        exported = (await self._api.get("/api/exports/jobs", {"format": "json"}))["jobs"]
        if any("preset" in written for written in exported.values()):  # whose presets this machine can lack
            exported = (await self._api.get("/api/exports/jobs", {"format": "json", "expanded": True}))["jobs"]
        running: list[RunningJob] = []
        async for declared in self._api.iterate("/api/jobs", "jobs", {"view": "full"}):
            name = declared["name"]
            if not declared["in_force"] or name not in exported:  # it is deleted between the requests
                continue
            owner = None if declared["version"] is None else declared["owner"]
            running.append(RunningJob(define_job(name, exported[name]), declared["source"], owner))
        return running

    async def plan_set(
        self, owner: str, document: Mapping[str, Any], *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        params = _set_parameters(adopt, allow_literal)
        return read_plan(await self._api.post(f"/api/sets/{owner}/plan", document, params))

    async def apply_set(
        self, owner: str, document: Mapping[str, Any], plan_id: str, *, adopt: bool, allow_literal: bool = False
    ) -> SetPlan:
        """Apply a planned set."""
        params = _set_parameters(adopt, allow_literal) | {"plan_id": plan_id}
        return read_plan(await self._api.post(f"/api/sets/{owner}/apply", document, params))

    async def review(self, jobs: Sequence[JobDefinition]) -> SetReview:
        denied: dict[str, str] = {}
        secrets: list[Problem] = []
        for document in list_review_documents(jobs):
            review = await self._api.post("/api/definitions/validate", json.loads(document))
            denied |= {each["job"]: each["reason"] for each in review["denied_targets"]}
            secrets += map(_read_problem, review["unavailable_secrets"])
        return SetReview(denied, secrets)

    async def read_durations(self, names: Sequence[str]) -> Mapping[str, RunDuration]:
        chosen, durations = set(names), dict[str, RunDuration]()
        for row in await self._api.get_lines("/api/exports/stats", {"window": "7d"}):
            value = row.get("duration_p95_ms")
            if row.get("job") in chosen and value is not None:
                durations[row["job"]] = RunDuration(value, True)
        return durations

    async def find_change(self, job: str) -> RecordedChange | None:
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
                replayed = await self._api.post("/api/dashboard/drafts/backtest", document, {"days": days})
            except RemoteError as error:
                notes.append(f"the alerts of {name} were not replayed: {error}")
                continue
            sent, would_be = sent + replayed["sent"], would_be + replayed["would_be_sent"]
            messages += (_read_message(name, each) for each in replayed["messages"])
            notes += (each for each in replayed["notes"] if each not in notes)
        messages.sort(key=lambda each: each.at)
        return AlertReplay(frozenset(chosen), since, sent, would_be, messages, notes)

    async def read_now(self) -> datetime:
        """Return the time of the scheduler; that of this machine if it does not send it."""
        return await self._api.read_now() or self._clock.now()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        await self._api.post("/api/markers", {"text": text, "tags": dict(tags), "at": at.isoformat()})

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        reasons: list[str] = []
        for start in range(0, len(names), MAX_STARTED_TOGETHER):
            some = [*names[start : start + MAX_STARTED_TOGETHER]]
            report = await self._api.post("/api/jobs/run", {"names": some, "limit": MAX_STARTED_TOGETHER})
            reasons += (f"{each['job']}: {each['message']}" for each in report["jobs"] if each["result"] != "done")
        return reasons

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ListedRun]:
        params: dict[str, Any] = {"from": format_iso_instant(since, precise=True)}
        if until is not None:
            params["to"] = format_iso_instant(until - timedelta(milliseconds=1), precise=True)
        chosen, rows = frozenset(names), list[Mapping[str, Any]]()
        if len(names) > MAX_READ_SINGLY:
            rows += await self._api.get_lines("/api/exports/runs", params)
        else:
            for name in names:
                rows += await self._api.get_lines("/api/exports/runs", {**params, "job": name})
        return [
            ListedRun(row["job"], row["trigger"], row["outcome"], row["duration_ms"], row["reason"] or "")
            for row in rows
            if row["job"] in chosen
        ]


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


def define_job(name: str, written: Any) -> JobDefinition:
    """Raises RemoteError: the scheduler is newer, and its definition has what this version does not know."""
    from config.stored_jobs import LocatedStoredJob, StoredJobDefiner

    defined = StoredJobDefiner(None).define(name, written)
    if isinstance(defined, LocatedStoredJob):
        return defined.job
    raise RemoteError(f"the job {name} of the scheduler cannot be read by this version: {defined[0]}")
