"""Reasons of runs in rows that have no code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.runs import Outcome
from jobs.runs.outcomes import ReasonCode
from jobs.runs.uptime import UptimeSample
from scheduler.stores.port import Row
from scheduler.stores.runs.codec import decode_record, encode_finished
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.old_reasons import reason_of_sentence
from scheduler.stores.runs.rollups.hours import uptime_sample
from tests.scheduler.stores.samples import run_of, ticket

RUN = "checkout@20261127T205400.000Z"
OLD = {
    "the job is disabled": ReasonCode.JOB_DISABLED,
    "the job is paused until it is resumed: deployment": ReasonCode.JOB_PAUSED,
    "the job was changed after this run was planned, and has none then any more": ReasonCode.JOB_CHANGED,
    "there is no job of that name any more": ReasonCode.JOB_REMOVED,
    "it fell due while no scheduler was running, or while it stood still (catch_up: none)": ReasonCode.MISSED,
    "it fell due while no scheduler was running (catch_up: last)": ReasonCode.MISSED,
    f"the run before it ({RUN}) was still going (overlap: skip)": ReasonCode.OVERLAP,
    f"a newer run ({RUN}) took its place": ReasonCode.OVERLAP,
    f"the run {RUN}, on which it depends, failed (condition: succeeded)": ReasonCode.DEPENDENCY,
    "database, on which it depends, has not run yet": ReasonCode.DEPENDENCY,
    "no slot of concurrency group turns (limit: 1) was free within 200ms": ReasonCode.NO_SLOT,
    "no place was free within 30s: all 2 places are taken": ReasonCode.NO_CAPACITY,
    "50 runs of its job wait for a place already: all 9 places are taken": ReasonCode.NO_CAPACITY,
    "the store was away when it fell due, so that it could not be claimed": ReasonCode.STORE_UNAVAILABLE,
    "Not asked: the circuit is open, since 2026-11-27T20:56:52Z.": ReasonCode.CIRCUIT_OPEN,
    "Cancelled before it was over, as was asked over the API.": ReasonCode.CANCELLED,
    "The program stopped before the run was over.": ReasonCode.SHUTDOWN,
    "The process that ran it ended before it could say how the run went.": ReasonCode.INTERRUPTED,
    "Answered 503 Service Unavailable, expected 2xx.": None,
    "": None,
}
SKIPPED = run_of(ticket(), Outcome.SKIPPED)


def row(body: str) -> Row:
    key = RunKey.for_ticket(ticket())
    return Row(key.shard, key.run_key, body, "e1")


@pytest.mark.parametrize(("message", "code"), OLD.items())
def test_a_sentence_of_an_older_version_has_its_reason(message: str, code: ReasonCode | None) -> None:
    assert reason_of_sentence(message) is code


def test_a_row_without_a_reason_is_read_by_its_sentence() -> None:
    old = row(encode_finished(replace(SKIPPED, message="the job is paused until it is resumed")))

    run = decode_record(old).run

    assert run is not None
    assert run.reason is ReasonCode.JOB_PAUSED
    assert uptime_sample(run) == UptimeSample("maintenance")


def test_a_pause_is_maintenance_in_whichever_words() -> None:
    run = replace(SKIPPED, message="paused", reason=ReasonCode.JOB_PAUSED)

    assert uptime_sample(run) == UptimeSample("maintenance")


def test_a_reason_of_a_newer_version_reads_as_none() -> None:
    body = encode_finished(replace(SKIPPED, message="no", reason=ReasonCode.OVERLAP)).replace('"overlap"', '"new"')

    run = decode_record(row(body)).run

    assert run is not None
    assert run.reason is None
