"""Runs of a running scheduler, by its API: see scheduler.features.delivery.room. Models are read back as runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

from jobs.runs import Attempt, Failure, Phases, Run, Ticket
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    TlsDetail,
)
from jobs.runs.waits import StartWait
from scheduler.errors import NotFound
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.runs.models import AttemptModel, HealthDocumentModel, RunList, RunModel, StepModel, TlsModel
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.principal import Caller
from scheduler.stores.runs.repository import RunPage, RunRecord

MAX_WAIT: Final = 60
"""Seconds that one request waits for the end of a run: proxies end longer ones."""
_POLL_INTERVAL: Final = 1.0
_RESPONSE_MARGIN: Final = 30.0
OnRead = Callable[[RunRecord], None]


def _ignore(record: RunRecord) -> None:
    """Read it for the result alone."""


class RemoteRunQueries(RemoteRoom):
    """Reads runs, and waits for their end."""

    async def find_run(self, run_id: str) -> RunRecord | None:
        try:
            return read_run(await self.read(RunModel, ("runs", run_id)))
        except NotFound:
            return None

    async def list_runs(
        self,
        *,
        job: str | None = None,
        outcome: str | None = None,
        due: TimeRange = ANY_TIME,
        limit: int = 50,
        continuation: str | None = None,
    ) -> RunPage:
        page = await self.read(
            RunList,
            ("runs",),
            job=job,
            outcome=outcome,
            since=due.since,
            until=due.until,
            limit=limit,
            after=continuation,
        )
        return RunPage(tuple(map(read_run, page.runs)), page.continuation)

    async def start(self, job: str, wait_s: int = MAX_WAIT) -> RunRecord:
        """Queue a run, and wait until it has finished, at most `wait_s` seconds."""
        words, wait = ("jobs", job, "run"), f"{wait_s}s"
        response = await self.send("POST", words, wait=wait, timeout_s=wait_s + _RESPONSE_MARGIN)
        return read_run(self.parse(RunModel, response))

    async def wait_for_ends(self, run_ids: Sequence[str], on_read: OnRead = _ignore) -> list[RunRecord]:
        """Return the runs once all have finished. `on_read` is called with a run at each read."""
        return [record for run_id in run_ids if (record := await self._wait_for_end(run_id, on_read)) is not None]

    async def _wait_for_end(self, run_id: str, on_read: OnRead) -> RunRecord | None:
        while True:
            record = await self.find_run(run_id)
            if record is not None:
                on_read(record)
            if record is None or record.run is not None:
                return record
            await asyncio.sleep(_POLL_INTERVAL)


class RemoteCancellations(RemoteRoom):
    """See RunCanceller."""

    async def cancel(self, run_id: str, *, caller: Caller, wait: float) -> RunRecord:
        words, timeout_s = ("runs", run_id, "cancel"), wait + _RESPONSE_MARGIN
        response = await self.send("POST", words, wait=f"{ceil(wait)}s", timeout_s=timeout_s)
        return read_run(self.parse(RunModel, response))


def read_run(model: RunModel) -> RunRecord:
    """Return the run that a model shows: `view_run` of it is the model again."""
    ticket = Ticket(model.id, model.job, model.trigger, model.due_at, model.generation, model.correlation_id)
    run = None
    if model.outcome is not None and model.started_at is not None and model.finished_at is not None:
        run = Run(
            id=model.id,
            job=model.job,
            trigger=model.trigger,
            outcome=model.outcome,
            due_at=model.due_at,
            started_at=model.started_at,
            finished_at=model.finished_at,
            attempts=tuple(map(_read_attempt, model.attempts)),
            error=model.error,
            message=model.message,
            reason=model.reason,
            endpoint=model.endpoint,
            generation=model.generation,
            correlation_id=model.correlation_id,
            tags=model.tags,
            waits=tuple(StartWait(wait.reason, wait.duration_ms, wait.detail) for wait in model.waits),
        )
    return RunRecord(ticket, model.state, "", None, run, "")


def _read_attempt(model: AttemptModel) -> Attempt:
    has_details = model.steps or model.tls or model.dns or model.health
    details = Details(
        steps=tuple(map(_read_step, model.steps)),
        tls=None if model.tls is None else _read_tls(model.tls),
        dns=None if model.dns is None else DnsDetail(**{**dict(model.dns), "records": tuple(model.dns.records)}),
        health=None if model.health is None else _read_health(model.health),
    )
    return Attempt(
        number=model.number,
        started_at=model.started_at,
        phases=Phases(**dict(model.phases)),
        status=model.status_code,
        error=model.error,
        message=model.message,
        failures=tuple(Failure(**dict(failure)) for failure in model.failures),
        wait_ms=model.wait_ms,
        body=model.body,
        details=details if has_details else None,
        starved=model.starved,
    )


def _read_step(model: StepModel) -> StepDetail:
    error = "" if model.error is None else model.error.value
    return StepDetail(model.name, model.status_code, model.duration_ms, model.outcome, error, model.cleanup)


def _read_tls(model: TlsModel) -> TlsDetail:
    shown = model.certificate
    if shown is None:
        return TlsDetail(model.version)
    names = tuple(shown.names)
    return TlsDetail(
        model.version, CertificateDetail(shown.subject, shown.issuer, names, shown.name_count, shown.expires_at)
    )


def _read_health(model: HealthDocumentModel) -> HealthDetail:
    entries = tuple(
        ReportedEntry(
            each.name, each.status, each.reported_status, each.text, each.duration_ms, each.observed, each.effect
        )
        for each in model.entries
    )
    return HealthDetail(model.reported_status, model.status, entries, model.entry_count)
