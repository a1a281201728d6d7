"""The stored JSON text of a run, and the changes of its rows.

Values that follow from the key (job, due instant, id) and defaults are omitted: a row takes under half of a plain dump,
at the same cost. Instants are microseconds since 1970, durations milliseconds rounded to the microsecond. Keys of a
newer version are ignored, and an error class of a newer version reads as `internal_error`, so that a version can be
rolled back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.runs import Outcome, Run, StartWait, Ticket, Trigger, WaitReason
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.port import Change, Insert, Replace, Row, Store, StoreError, Upsert
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.runs.attempt_codec import (
    decode_attempt,
    encode_attempt,
    from_microseconds,
    read_error,
    to_microseconds,
)
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey
from scheduler.stores.runs.old_reasons import reason_of_sentence
from scheduler.stores.runs.size_limits import shrink_run_to_fit

_log = logging.getLogger("scheduler.stores")


class RunState(StrEnum):
    """The progress of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the store has it. `owner` and `lease_until` while it is running, `run` once it is finished (None if only
    its key was read, see runs.claiming).

    The owner of a queued run is the process that intends to perform it; empty if any process may.

    The ticket's due instant is exact to the millisecond, as run ids are. `etag` is that of the row that was read: of a
    run found by its id it is what a claim has, of one that was listed as open it is its pointer's.
    """

    ticket: Ticket
    state: RunState
    owner: str
    lease_until: datetime | None
    run: Run | None
    etag: str = field(compare=False)

    def is_unowned(self, now: datetime) -> bool:
        """Return whether it is open, and no process performs it: it is queued, or its owner's lease has ended."""
        if self.state is RunState.RUNNING:
            return self.lease_until is None or self.lease_until <= now
        return self.state is RunState.QUEUED


COUNTED = "sum"
"""The key in the row of a finished run that its hour's rollup counts. Rows of older versions do not have it."""
_TRIGGER_TO_STORED = {Trigger.BACKFILL: Trigger.REPLAY.value}
_WAIT_REASONS = frozenset(WaitReason)
_BACKFILL_SUFFIX = re.compile(r"(\.again\d+)?")


def encode_open(ticket: Ticket, state: RunState, owner: str = "", lease_until: datetime | None = None) -> str:
    """Return the body of a queued or running run."""
    body = _ticket_body(state.value, ticket.trigger, ticket.generation, ticket.correlation_id, ticket.id)
    if owner:
        body["owner"] = owner
    if lease_until is not None:
        body["lease"] = to_microseconds(lease_until)
    return encode_json(body)


def encode_finished(run: Run) -> str:
    """Return the body of a finished run's row."""
    body = _ticket_body(str(run.outcome), run.trigger, run.generation, run.correlation_id, run.id)
    body[COUNTED] = 1
    body["start"] = to_microseconds(run.started_at)
    body["end"] = to_microseconds(run.finished_at)
    if run.endpoint:
        body["endpoint"] = run.endpoint
    if run.error is not None:
        body["error"] = run.error.value
    if run.message:
        body["message"] = run.message
    if run.reason is not None:
        body["reason"] = run.reason.value
    if run.attempts:
        body["attempts"] = [encode_attempt(attempt, run.attempts[-1], run.message) for attempt in run.attempts]
    if run.tags:
        body["tags"] = dict(run.tags)
    if run.waits:
        body["waits"] = [_encode_wait(wait) for wait in run.waits]
    return encode_json(body)


def mark_counted(body: str) -> str:
    """Return the body of a finished run's row with the mark that its hour's rollup counts it."""
    return encode_json({**decode_json(body), COUNTED: 1})


def finished_record(key: RunKey) -> RunRecord:
    """Return the record of a finished run of which only the key is known, without a `run`."""
    ticket = Ticket(key.run_id, key.job, Trigger.SCHEDULE, key.due_at)
    return RunRecord(ticket, RunState.FINISHED, "", None, None, "")


def encode_unacknowledged(run: Run) -> str:
    """Return the body of the pointer to a finished run that is not acknowledged."""
    return f'{{"is":"{run.outcome.value}"}}'


def read_status(row: Row) -> str:
    """Return the state of an unfinished run, the outcome of a finished one; cheaper than the whole record."""
    return str(decode_json(row.body)["is"])


def can_be_latest(row: Row) -> bool:
    """Return whether a run's row can be the newest one of its job: it is finished, and not a backfill."""
    body = decode_json(row.body)
    return body["is"] not in (RunState.QUEUED, RunState.RUNNING) and not _is_backfill(body, row)


def decode_record(row: Row) -> RunRecord:
    """Read the record in a run's row, or in the pointer to one that is queued or running."""
    body = decode_json(row.body)
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
        lease_until = None if lease is None else from_microseconds(lease)
        return RunRecord(ticket, RunState(status), body.get("owner", ""), lease_until, None, row.etag)
    return RunRecord(ticket, RunState.FINISHED, "", None, _read_run(ticket, Outcome(status), body), row.etag)


def _is_backfill(body: Mapping[str, Any], row: Row) -> bool:
    """Decide by its id, which is that of the scheduled run or ends in `.again1`; every other replay has another suffix.

    Earlier versions stored backfills as replays, and read them as such after a rollback.
    """
    return (
        body["trigger"] == Trigger.REPLAY
        and _BACKFILL_SUFFIX.fullmatch(RunKey.from_row_key(row.key).suffix) is not None
    )


def _ticket_body(status: str, trigger: Trigger, generation: str, correlation_id: str, run_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"is": status, "trigger": _TRIGGER_TO_STORED.get(trigger, str(trigger))}
    if generation:
        body["generation"] = generation
    if correlation_id != run_id:
        body["correlation"] = correlation_id
    return body


def _read_run(ticket: Ticket, outcome: Outcome, body: Mapping[str, Any]) -> Run:
    attempts, message = body.get("attempts", ()), body.get("message", "")
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=ticket.trigger,
        outcome=outcome,
        due_at=ticket.due_at,
        started_at=from_microseconds(body["start"]),
        finished_at=from_microseconds(body["end"]),
        attempts=tuple(
            decode_attempt(number, read, attempts[-1], message) for number, read in enumerate(attempts, start=1)
        ),
        error=read_error(body.get("error")),
        message=message,
        reason=_read_reason(body),
        endpoint=body.get("endpoint", ""),
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        tags=body.get("tags", {}),
        waits=_read_waits(body["waits"]) if "waits" in body else (),
    )


def _encode_wait(wait: StartWait) -> list[object]:
    stored: list[object] = [wait.reason.value, wait.milliseconds]
    return [*stored, wait.detail] if wait.detail else stored


def _read_waits(stored: Sequence[Sequence[Any]]) -> tuple[StartWait, ...]:
    """Read the waits. One whose reason a newer version has added is omitted: the rest then reads as unexplained."""
    return tuple(
        StartWait(WaitReason(reason), milliseconds, *detail[:1])
        for reason, milliseconds, *detail in stored
        if reason in _WAIT_REASONS
    )


def _read_reason(body: Mapping[str, Any]) -> ReasonCode | None:
    """Read the reason. A row of version 0.1.0 has its sentence alone; a reason of a newer version reads as None."""
    code, message = body.get("reason"), body.get("message")
    if code is None:
        return reason_of_sentence(message) if message else None
    try:
        return ReasonCode(code)
    except ValueError:
        return None


def insert_open_changes(key: RunKey, body: str) -> Sequence[Change]:
    """Return the changes for a new run that is not finished."""
    shard = key.shard
    return [Insert(HISTORY_TABLE, shard, key.run_key, body), Upsert(HISTORY_TABLE, shard, key.open_key, body)]


def encode_to_fit(run: Run) -> str:
    """Return the body of a finished run's row. A run that is too large is stored in part, which its message reports."""
    text, cut = shrink_run_to_fit(run, encode_finished)
    if cut:
        _log.warning("could not store run %s completely: it is too large for a row; %s", run.id, cut)
    return text


def done_pointer(key: RunKey, run: Run) -> Change:
    """Return the pointer that lists a finished run among those of all jobs."""
    return Upsert(HISTORY_TABLE, key.shard, key.done_key, f'"{run.outcome}"')


def replace_open_changes(key: RunKey, body: str, etag: str) -> Sequence[Change]:
    """Return the changes for an open run that still has this etag."""
    return [
        Replace(HISTORY_TABLE, key.shard, key.run_key, body, etag),
        Upsert(HISTORY_TABLE, key.shard, key.open_key, body),
    ]


async def read_run_row(store: Store, key: RunKey) -> Row | StoreError | None:
    """Return the run's row, None if it does not exist, or the error."""
    try:
        return await store.get_row(HISTORY_TABLE, key.shard, key.run_key)
    except StoreError as error:
        return error
