"""A stored run as a short JSON text and back. Used by runs and run_pages.

What follows from the key (job, due instant, id) is left out, and so is every default: a row takes under half of what a
plain dump takes, at the same cost. Times are microseconds since 1970, durations milliseconds rounded to the
microsecond. Keys that a newer version has added are passed over, and an error class that it has added reads as
`internal_error`, so that a version can be rolled back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from jobs.formats.durations import round_to_microsecond
from jobs.runs import Attempt, ErrorClass, Failure, Outcome, Phases, Run, Severity, Ticket, Trigger
from jobs.runs.reasons import ReasonCode
from jobs.runs.uptime import UptimeSample
from scheduler.stores.port import Row
from scheduler.stores.runs.details_codec import decode_details, encode_details
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.old_reasons import reason_of_sentence


class RunState(StrEnum):
    """How far a run has come."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the store has it. `owner` and `lease_end` while it is running, `run` once it is finished (None if only
    its key was read, see run_there).

    The owner of a queued run is the process that means to perform it; empty if whoever comes first does.

    The ticket's due instant is exact to the millisecond, as run ids are. `etag` is that of the row that was read: of a
    run found by its id it is what a claim has, of one that was listed as open it is its pointer's.
    """

    ticket: Ticket
    state: RunState
    owner: str
    lease_until: datetime | None
    run: Run | None
    etag: str = field(compare=False)


_TRIGGER_TO_STORED = {Trigger.BACKFILL: Trigger.REPLAY.value}
_BACKFILL_SUFFIX = re.compile(r"(\.again\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode_open(ticket: Ticket, state: RunState, owner: str = "", lease_until: datetime | None = None) -> str:
    """The body of a queued or running run."""
    body = _ticket_body(state.value, ticket.trigger, ticket.generation, ticket.correlation_id, ticket.id)
    if owner:
        body["owner"] = owner
    if lease_until is not None:
        body["lease"] = _to_microseconds(lease_until)
    return _dump(body)


def encode_finished(run: Run) -> str:
    body = _ticket_body(run.outcome.value, run.trigger, run.generation, run.correlation_id, run.id)
    body["start"] = _to_microseconds(run.started_at)
    body["end"] = _to_microseconds(run.finished_at)
    if run.endpoint:
        body["endpoint"] = run.endpoint
    if run.error is not None:
        body["error"] = run.error.value
    if run.message:
        body["message"] = run.message
    if run.reason is not None:
        body["reason"] = run.reason.value
    if run.attempts:
        body["attempts"] = [_attempt_body(attempt, run) for attempt in run.attempts]
    if run.tags:
        body["tags"] = dict(run.tags)
    return _dump(body)


def finished_record(key: RunKey) -> RunRecord:
    """The record of a finished run of which only the key is known: `run` is None."""
    ticket = Ticket(key.run_id, key.job, Trigger.SCHEDULE, key.due_at)
    return RunRecord(ticket, RunState.FINISHED, "", None, None, "")


def encode_unacknowledged(run: Run) -> str:
    """The body of the pointer to a finished run that is not settled."""
    return f'{{"is":"{run.outcome.value}"}}'


def read_status(row: Row) -> str:
    """The state of an unfinished run, the outcome of a finished one; cheaper than the whole record."""
    return str(_load(row.body)["is"])


def read_uptime_sample(row: Row) -> tuple[datetime, UptimeSample] | None:
    """When a finished run began, and what it says of its target; None if it says nothing. Cheaper than the record.

    The one that tells of a pause says that from then on nothing is known, which is no downtime. A backfill says how
    the target was when it was asked, which is not the instant that it stands at.
    """
    body = _load(row.body)
    status = body["is"]
    if status in (RunState.QUEUED, RunState.RUNNING) or _is_backfill(body, row):
        return None
    if Outcome(status).down:
        return _from_microseconds(body["start"]), UptimeSample("down")
    if status == Outcome.SKIPPED and _reason(body) is ReasonCode.JOB_PAUSED:
        return _from_microseconds(body["start"]), UptimeSample("maintenance")
    if status != Outcome.SUCCEEDED:
        return None
    attempts = body.get("attempts")
    return _from_microseconds(body["start"]), UptimeSample("up", attempts[-1]["ms"][4] if attempts else None)


def can_be_latest(row: Row) -> bool:
    """Whether a run's row can be the newest one of its job: it is finished, and no backfill."""
    body = _load(row.body)
    return body["is"] not in (RunState.QUEUED, RunState.RUNNING) and not _is_backfill(body, row)


def decode_record(row: Row) -> RunRecord:
    """The record in a run's row, or in the pointer to one that is queued or running."""
    body = _load(row.body)
    place = RunKey.from_row_key(row.key)
    run_id = place.run_id
    ticket = Ticket(
        run_id,
        place.job,
        Trigger.BACKFILL if _is_backfill(body, row) else Trigger(body["trigger"]),
        place.due_at,
        body.get("generation", ""),
        body.get("correlation", run_id),
    )
    status = body["is"]
    if status in (RunState.QUEUED, RunState.RUNNING):
        lease = body.get("lease")
        lease_until = None if lease is None else _from_microseconds(lease)
        return RunRecord(ticket, RunState(status), body.get("owner", ""), lease_until, None, row.etag)
    return RunRecord(ticket, RunState.FINISHED, "", None, _read_run(ticket, Outcome(status), body), row.etag)


def _is_backfill(body: Mapping[str, Any], row: Row) -> bool:
    """By its id, which is that of the scheduled run or ends in `.again1`; every other replay has a suffix of its own.

    Versions that did not tell them apart stored backfills as replays, and read them as such after a rollback.
    """
    return (
        body["trigger"] == Trigger.REPLAY
        and _BACKFILL_SUFFIX.fullmatch(RunKey.from_row_key(row.key).suffix) is not None
    )


def _ticket_body(status: str, trigger: Trigger, generation: str, correlation_id: str, run_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"is": status, "trigger": _TRIGGER_TO_STORED.get(trigger, trigger.value)}
    if generation:
        body["generation"] = generation
    if correlation_id != run_id:
        body["correlation"] = correlation_id
    return body


def _attempt_body(attempt: Attempt, run: Run) -> dict[str, Any]:
    """What it has in common with its run or the last attempt is stored there alone: most attempts fail alike."""
    phases, last = attempt.phases, run.attempts[-1]
    body: dict[str, Any] = {
        "at": _to_microseconds(attempt.started_at),
        "ms": [
            _round_ms(phases.dns_ms),
            _round_ms(phases.connect_ms),
            _round_ms(phases.tls_ms),
            _round_ms(phases.first_byte_ms),
            round_to_microsecond(phases.total_ms),
        ],
    }
    if attempt.status is not None:
        body["status"] = attempt.status
    if attempt.error is not None:
        body["error"] = attempt.error.value
    if attempt.message and run.message.startswith(attempt.message):
        body["said"] = len(attempt.message)
    elif attempt.message:
        body["message"] = attempt.message
    if attempt is not last and attempt.failures and _have_same_failure(attempt, last):
        body["like_last"] = 1
    elif attempt.failures:
        body["failures"] = [_failure_parts(failure) for failure in attempt.failures]
    if attempt.wait_ms is not None:
        body["wait"] = round_to_microsecond(attempt.wait_ms)
    if attempt.body and "like_last" not in body:
        body["body"] = attempt.body
    if attempt.details is not None:
        body |= encode_details(attempt.details)
    return body


def _have_same_failure(one: Attempt, other: Attempt) -> bool:
    return (one.failures, one.body) == (other.failures, other.body)


def _failure_parts(failure: Failure) -> list[str]:
    parts = [failure.expectation, failure.expected, failure.observed]
    return parts if failure.severity is Severity.FAIL else [*parts, failure.severity.value]


def _read_failure(parts: Sequence[str]) -> Failure:
    expectation, expected, observed, *rest = parts
    return Failure(expectation, expected, observed, Severity.DEGRADED if rest[:1] == ["degraded"] else Severity.FAIL)


def _read_run(ticket: Ticket, outcome: Outcome, body: Mapping[str, Any]) -> Run:
    attempts, message = body.get("attempts", ()), body.get("message", "")
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=ticket.trigger,
        outcome=outcome,
        due_at=ticket.due_at,
        started_at=_from_microseconds(body["start"]),
        finished_at=_from_microseconds(body["end"]),
        attempts=tuple(
            _read_attempt(number, read, attempts[-1], message) for number, read in enumerate(attempts, start=1)
        ),
        error=_read_error(body.get("error")),
        message=message,
        reason=_reason(body),
        endpoint=body.get("endpoint", ""),
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        tags=body.get("tags", {}),
    )


def _read_attempt(number: int, body: Mapping[str, Any], last: Mapping[str, Any], message: str) -> Attempt:
    """`message`: the run's."""
    failed = last if body.get("like_last") else body
    return Attempt(
        number=number,
        started_at=_from_microseconds(body["at"]),
        phases=Phases(*body["ms"][:5]),
        status=body.get("status"),
        error=_read_error(body.get("error")),
        message=message[: body["said"]] if "said" in body else body.get("message", ""),
        failures=tuple(map(_read_failure, failed.get("failures", ()))),
        wait_ms=body.get("wait"),
        body=failed.get("body", ""),
        details=decode_details(body),
    )


def _read_error(name: str | None) -> ErrorClass | None:
    if name is None:
        return None
    try:
        return ErrorClass(name)
    except ValueError:
        return ErrorClass.INTERNAL_ERROR


def _reason(body: Mapping[str, Any]) -> ReasonCode | None:
    """A row of version 0.1.0 has its sentence alone. A reason that a newer version has added reads as none."""
    code, message = body.get("reason"), body.get("message")
    if code is None:
        return reason_of_sentence(message) if message else None
    try:
        return ReasonCode(code)
    except ValueError:
        return None


def _round_ms(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round_to_microsecond(milliseconds)


def _to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _from_microseconds(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def _dump(body: Mapping[str, Any]) -> str:
    try:
        return to_json(body).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair in a message from outside: no store takes it.
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def _load(text: str) -> dict[str, Any]:
    body: dict[str, Any] = from_json(text)
    return body
