"""The states of the entries of health documents, from run to run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import Attempt, Outcome, Phases, Run, Ticket, Trigger
from jobs.runs.details import Details, EntryEffect, EntryStatus, HealthDetail, ReportedEntry, split_entries
from jobs.runs.health_history import (
    MAX_CHANGES,
    MAX_ENTRY_CHANGES,
    MAX_TRACKED_ENTRIES,
    HealthHistory,
    health_of_run,
    update_history,
)

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)
UP, DEGRADED, DOWN = EntryStatus.UP, EntryStatus.DEGRADED, EntryStatus.DOWN


def ended(minute: float, count: int | None = None, **statuses: EntryStatus) -> Run:
    """A run due at a minute with these entries; `count`: of the document, if history stores fewer."""
    due_at = NOON + timedelta(minutes=minute)
    entries = tuple(
        ReportedEntry(name, status, status.value, effect=EntryEffect.NONE if status is UP else EntryEffect.DOWN)
        for name, status in statuses.items()
    )
    health = HealthDetail("", UP, entries, len(entries) if count is None else count)
    attempt = Attempt(1, due_at, Phases(), details=Details(health=health))
    ticket = Ticket.scheduled("checkout", due_at, "abc")
    return Run(ticket.id, "checkout", Trigger.SCHEDULE, Outcome.FAILED, due_at, due_at, due_at, (attempt,))


def after(*runs: Run) -> HealthHistory:
    history: HealthHistory | None = None
    for run in runs:
        history = update_history(history, run) or history
    assert history is not None
    return history


def present(history: HealthHistory) -> dict[str, tuple[EntryStatus | None, float]]:
    """Status, and the minute since which the entry has it."""
    return {
        each.entry.name: (each.present.status, (each.present.at - NOON) / timedelta(minutes=1))
        for each in history.entries
    }


def test_an_entry_has_its_status_since_the_run_that_changed_it() -> None:
    history = after(ended(0, db=UP, mq=UP), ended(1, db=DOWN, mq=UP), ended(2, db=DOWN, mq=UP))
    assert present(history) == {"db": (DOWN, 1), "mq": (UP, 0)}
    assert history.entries[0].run == ended(1).id


def test_a_run_that_changes_nothing_changes_no_history() -> None:
    history = after(ended(0, db=UP))
    assert update_history(history, ended(1, db=UP)) is None


def test_a_repetition_and_an_older_run_change_nothing() -> None:
    history = after(ended(1, db=DOWN))
    assert update_history(history, ended(1, db=DOWN)) is None
    assert update_history(history, ended(0, db=UP)) is None


def test_a_run_without_a_document_changes_nothing() -> None:
    run = ended(1)
    bare = replace(run, attempts=(replace(run.attempts[0], details=None),))
    assert update_history(after(ended(0, db=UP)), bare) is None
    assert update_history(None, replace(run, attempts=())) is None


def test_a_backfill_changes_nothing() -> None:
    assert update_history(after(ended(0, db=UP)), replace(ended(1, db=DOWN), trigger=Trigger.BACKFILL)) is None


def test_an_entry_that_disappears_is_missing_and_can_return() -> None:
    gone = after(ended(0, db=UP, mq=UP), ended(1, db=UP))
    assert present(gone) == {"db": (UP, 0), "mq": (None, 1)}
    assert present(after(ended(0, mq=UP), ended(1, db=UP), ended(2, db=UP, mq=DOWN)))["mq"] == (DOWN, 2)


def test_a_shortened_document_does_not_make_entries_missing() -> None:
    history = after(ended(0, db=UP, mq=UP), ended(1, 2, db=DOWN))
    assert present(history) == {"db": (DOWN, 1), "mq": (UP, 0)}


def test_failures_are_counted_since_an_instant_and_not_twice_for_one_outage() -> None:
    states = [UP, DOWN, UP, DEGRADED, DOWN, UP, DOWN]
    (entry,) = after(*(ended(minute, db=status) for minute, status in enumerate(states))).entries
    assert entry.count_failures(NOON) == 3
    assert entry.count_failures(NOON + timedelta(minutes=2)) == 2
    assert entry.count_failures(NOON + timedelta(minutes=7)) == 0


def test_a_change_of_its_effect_alone_is_stored_without_a_change_of_status() -> None:
    run = ended(1, db=DOWN)
    health = HealthDetail("", DOWN, (ReportedEntry("db", DOWN, "down"),), 1)  # the job ignores it now
    ignored = replace(run, attempts=(replace(run.attempts[0], details=Details(health=health)),))
    history = after(ended(0, db=DOWN), ignored)
    assert present(history) == {"db": (DOWN, 0)}
    assert history.entries[0].entry.effect is EntryEffect.NONE


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(EntryStatus)), min_size=1, max_size=12))
def test_the_history_equals_that_of_all_documents(documents: list[dict[str, EntryStatus]]) -> None:
    """The present state of each entry, by the simplest means; and a row stays small."""
    runs = [ended(minute, **statuses) for minute, statuses in enumerate(documents)]
    history: HealthHistory | None = None
    for run in runs:
        history = update_history(history, run) or history
    expected: dict[str, tuple[EntryStatus | None, float]] = {}
    for minute, statuses in enumerate(documents):
        for name in {*expected, *statuses}:
            status = statuses.get(name)
            if name not in expected or expected[name][0] is not status:
                expected[name] = status, float(minute)
    assert (present(history) if history is not None else {}) == expected


def test_a_row_stays_small() -> None:
    many = after(*(ended(minute, **{f"e{minute}-{number}": UP for number in range(500)}) for minute in range(3)))
    assert len(many.entries) == MAX_TRACKED_ENTRIES
    (flapping,) = after(*(ended(minute, db=[UP, DOWN][minute % 2]) for minute in range(50))).entries
    assert len(flapping.changes) == MAX_ENTRY_CHANGES


def test_the_changes_of_many_entries_together_are_limited() -> None:
    names = [f"e{number}" for number in range(MAX_TRACKED_ENTRIES)]
    history = after(*(ended(minute, **dict.fromkeys(names, [UP, DOWN][minute % 2])) for minute in range(10)))
    assert sum(len(each.changes) for each in history.entries) <= MAX_CHANGES
    assert {each.present.at for each in history.entries} == {NOON + timedelta(minutes=9)}


def test_entries_beyond_those_of_the_row_of_a_run_have_a_state() -> None:
    run = ended(1, **{f"e{number}": UP for number in range(200)})
    health = health_of_run(run)
    assert health is not None
    first, rest = split_entries(health.entries)
    split = replace(run.attempts[0], details=Details(health=replace(health, entries=first, rest=rest)))
    history = after(replace(run, attempts=(split,)))
    assert len(history.entries) == 200
    assert present(after(run)) == present(history)


def test_an_entry_is_missing_since_the_run_that_lacks_it() -> None:
    run = replace(ended(1), finished_at=NOON + timedelta(minutes=1, microseconds=1999))
    (tracked,) = after(ended(0, db=UP), run, ended(2)).entries
    assert tracked.is_missing_since(run.finished_at)
    assert not tracked.is_missing_since(run.finished_at + timedelta(milliseconds=1))
    (tracked,) = after(ended(0, db=UP), ended(1), ended(2, db=UP)).entries
    assert not tracked.is_missing_since(NOON)
