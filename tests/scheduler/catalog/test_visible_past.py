"""What queries read of a job's past ends where its present tags begin; what lasts begins there, without its cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.alerting.alert import Alert, AlertStatus
from jobs.heartbeat import HeartbeatState, Ping, PingSignal
from jobs.running.circuit_state import (
    CircuitCondition,
    CircuitState,
    CircuitWindow,
    ManualOverride,
    WindowBucket,
    dump_state,
    load_state,
)
from jobs.runs.details import EntryStatus, ReportedEntry
from jobs.runs.health_history import EntryChange, EntryHistory, HealthHistory
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.visible_past import cut_state, limit_past
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.repositories import Repositories
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryData, MemoryStore

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = BEGIN - timedelta(minutes=1), BEGIN + timedelta(minutes=1)
JOB = "checkout"
CIRCUIT = {"failure_rate": 0.5, "window": "1h"}


class CutCatalog(Catalog):
    def begin_of(self, job: str) -> datetime:
        return BEGIN


CATALOG = CutCatalog([entry(circuit=CIRCUIT)])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryData())


@pytest.fixture
def stored(store: MemoryStore) -> Repositories:
    return Repositories(store)


async def test_an_open_circuit_has_no_reason_and_no_runs_of_before(stored: Repositories) -> None:
    buckets = (WindowBucket(BEFORE, 20, 20), WindowBucket(AFTER, 1))
    held = ManualOverride(True, BEFORE, None, "a secret project", "over the API")
    state = CircuitState(
        CircuitCondition.OPEN, 1, BEFORE, BEFORE, "20 failures", window=CircuitWindow(buckets=buckets), override=held
    )
    await stored.circuits.replace(JOB, dump_state(state), None)

    text, _ = await limit_past(stored.circuits, CATALOG).load(JOB)  # type: ignore[attr-defined]
    found = load_state(text)

    assert (found.condition, found.since, found.opened_reason) == (CircuitCondition.OPEN, BEGIN, "")
    assert found.override == replace(held, since=BEGIN, reason="", source="")
    assert found.window.buckets == buckets[1:]


@pytest.mark.parametrize(("at", "expected"), [(BEFORE, HeartbeatState.NEW), (AFTER, HeartbeatState.DOWN)])
async def test_a_heartbeat_is_new_until_a_ping_of_the_present(
    stored: Repositories, at: datetime, expected: HeartbeatState
) -> None:
    for each in (BEFORE, at):
        await stored.heartbeats.add(JOB, lambda _, each=each: Ping(each, PingSignal.FAIL, body="text"))  # type: ignore[misc]

    limited = limit_past(stored.heartbeats, CATALOG)
    beat, pings = await limited.beat(JOB), await limited.list_pings(JOB)  # type: ignore[attr-defined]

    assert beat.state is expected
    assert (beat.last_fail, beat.body, len(pings)) == ((at, "text", 1) if at == AFTER else (None, "", 0))


async def test_entries_of_health_documents_that_have_not_changed_since_are_missing(stored: Repositories) -> None:
    up, down = EntryChange(AFTER, EntryStatus.UP), EntryChange(BEFORE, EntryStatus.DOWN)
    entries = [
        EntryHistory(ReportedEntry(name, changes[0].status, "word"), "run", changes)
        for name, changes in (("db", (up, down)), ("cache", (down,)))
    ]
    await stored.health_histories.write(HealthHistory(JOB, tuple(entries), AFTER, "run"), "")

    found = await limit_past(stored.health_histories, CATALOG).read(JOB)  # type: ignore[attr-defined]

    assert [(each.entry.name, each.changes) for each in found.history.entries] == [("db", (up,))]


@pytest.mark.parametrize(("since", "count"), [(BEFORE, 0), (AFTER, 1)])
async def test_an_alert_about_failures_of_before_is_missing(stored: Repositories, since: datetime, count: int) -> None:
    alert = Alert(JOB, "failed", AlertStatus.FIRING, 1, AFTER, AFTER, since, "3 runs failed")
    await stored.alert_rows.write(alert, "")

    limited = limit_past(stored.alert_rows, CATALOG)

    assert len(await limited.list_all()) == len(await limited.list_of(JOB)) == count  # type: ignore[attr-defined]


async def test_a_pause_of_before_lasts_without_its_reason(store: MemoryStore) -> None:
    pauses = Pauses(store)
    await pauses.set_pause(Pause(JOB, BEFORE, None, "a secret project"))

    found = await limit_past(pauses, CATALOG).list_active(AFTER)  # type: ignore[attr-defined]

    assert found == {JOB: Pause(JOB, BEGIN, None, "")}


def test_a_state_of_before_begins_with_the_tags() -> None:
    state = StateChange(JOB, 7, JobStatus.DOWN, BEFORE, Cause("timeout", "a secret project"), "run", latest_run="run")

    found = cut_state(state, CATALOG)

    assert (found.state, found.at, found.cause.code, found.run) == (JobStatus.DOWN, BEGIN, "tags_changed", "")
    assert found.latest_run == ""


def test_the_first_state_of_the_present_has_no_previous_one() -> None:
    state = StateChange(JOB, 8, JobStatus.UP, AFTER, Cause("succeeded"), "run", JobStatus.DOWN, BEFORE)

    assert cut_state(state, CATALOG) == replace(state, previous=None, previous_since=None)


def test_a_catalog_without_a_limit_shows_everything() -> None:
    state = StateChange(JOB, 8, JobStatus.UP, AFTER, Cause("succeeded"), "run", JobStatus.DOWN, BEFORE)

    assert cut_state(state, Catalog([entry()])) is state
