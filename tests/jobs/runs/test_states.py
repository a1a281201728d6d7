"""The states of a job: which run, pause or definition changes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import ErrorClass, Outcome, Run, Trigger
from jobs.runs.outcomes import ReasonCode
from jobs.runs.run import Attempt, Failure, Phases
from jobs.runs.states import Cause, JobStatus, StateChange, change_by_run, enter_state, state_of_run

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PAUSE = Cause("job_paused", "deployment")


def run(
    minute: float, outcome: Outcome = Outcome.SUCCEEDED, trigger: Trigger = Trigger.SCHEDULE, **more: object
) -> Run:
    due = NOON + timedelta(minutes=minute)
    fields = {"id": f"checkout@{due:%H%M%S}", "started_at": due, "finished_at": due + timedelta(seconds=1)} | more
    return Run(job="checkout", trigger=trigger, outcome=outcome, due_at=due, **fields)  # type: ignore[arg-type]


def degraded(minute: float) -> Run:
    failure = Failure("response_time", "at most 500 ms", "800 ms")
    attempt = Attempt(1, NOON, Phases(None, None, None, None, 1.0), 200, failures=(failure,))
    return run(minute, attempts=(attempt,), message=str(failure))


OUTCOMES = st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.SKIPPED, Outcome.CANCELLED])


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        (run(0), JobStatus.UP),
        (degraded(0), JobStatus.DEGRADED),
        (run(0, Outcome.FAILED, error=ErrorClass.UNEXPECTED_STATUS), JobStatus.DOWN),
        (run(0, Outcome.TIMED_OUT), JobStatus.DOWN),
        (run(0, Outcome.REJECTED, reason=ReasonCode.CIRCUIT_OPEN), JobStatus.DOWN),
        (run(0, Outcome.FAILED, error=ErrorClass.HEARTBEAT_MISSING), JobStatus.SILENT),
        (run(0, Outcome.FAILED, error=ErrorClass.HEARTBEAT_FAILED), JobStatus.DOWN),
        (run(0, Outcome.SKIPPED), None),
        (run(0, Outcome.SKIPPED, reason=ReasonCode.OVERLAP), None),
        (run(0, Outcome.SKIPPED, reason=ReasonCode.DEPENDENCY), JobStatus.WAITING),
        (run(0, Outcome.SKIPPED, reason=ReasonCode.UNKNOWN), JobStatus.UNKNOWN),
        (run(0, Outcome.SKIPPED, Trigger.BACKFILL, reason=ReasonCode.UNKNOWN), None),
        (run(0, Outcome.CANCELLED), None),
        (run(0, Outcome.FAILED, Trigger.BACKFILL), None),
        (run(0, Outcome.SUCCEEDED, Trigger.MANUAL), JobStatus.UP),
    ],
    ids=lambda value: "" if isinstance(value, Run) else str(value),
)
def test_the_outcome_of_a_run_shows_a_state(ended: Run, state: JobStatus | None) -> None:
    assert state_of_run(ended) is state


def test_a_change_has_its_cause_its_run_and_the_state_before() -> None:
    up = change_by_run(None, run(0))
    down = change_by_run(up, run(1, Outcome.FAILED, error=ErrorClass.UNEXPECTED_STATUS, message="Got 503."))

    assert up is not None
    assert (up.number, up.previous, up.cause) == (1, None, Cause("succeeded"))
    assert down is not None
    assert (down.number, down.state, down.run) == (2, JobStatus.DOWN, "checkout@120100")
    assert (down.previous, down.previous_since) == (JobStatus.UP, up.at)
    assert down.cause == Cause("unexpected_status", "Got 503.")


UNKNOWN = {"outcome": Outcome.SKIPPED, "reason": ReasonCode.UNKNOWN, "message": "403: grant Reader."}


def test_a_job_enters_and_leaves_unknown_with_what_was_known_before() -> None:
    down = change_by_run(None, run(0, Outcome.FAILED))
    lost = change_by_run(down, run(1, **UNKNOWN))  # type: ignore[arg-type]
    assert lost is not None
    assert (lost.state, lost.is_unknown, lost.previous, lost.cause) == (
        JobStatus.UNKNOWN,
        True,
        JobStatus.DOWN,
        Cause("unknown", "403: grant Reader."),
    )
    assert change_by_run(lost, run(2, **UNKNOWN)) is None  # type: ignore[arg-type]
    found = change_by_run(lost, run(3))
    assert found is not None
    assert (found.state, found.previous, found.previous_since) == (JobStatus.UP, JobStatus.UNKNOWN, lost.at)


def test_a_job_without_a_run_becomes_unknown_because_of_a_run() -> None:
    resumed = enter_state(None, "checkout", JobStatus.UNKNOWN, NOON, Cause("job_resumed"))
    assert resumed is not None
    assert not resumed.is_unknown
    assert not resumed.shows(JobStatus.UNKNOWN)
    lost = change_by_run(resumed, run(1, **UNKNOWN))  # type: ignore[arg-type]
    assert lost is not None
    assert lost.is_unknown
    assert lost.shows(JobStatus.UNKNOWN)


def test_a_reason_precedes_the_error_class() -> None:
    rejected = run(0, Outcome.REJECTED, error=ErrorClass.CIRCUIT_OPEN, reason=ReasonCode.TARGET_DENIED)

    change = change_by_run(None, rejected)

    assert change is not None
    assert change.cause.code == "target_denied"


@pytest.mark.parametrize("minute", [0, -1])
def test_a_run_that_is_not_newer_changes_nothing(minute: int) -> None:
    down = change_by_run(None, run(0, Outcome.FAILED))

    assert change_by_run(down, run(minute)) is None


def test_a_run_that_precedes_an_unchanged_state_changes_nothing() -> None:
    up = change_by_run(None, run(0))
    assert up is not None

    assert change_by_run(up.considering(run(5)), run(4, Outcome.FAILED)) is None


@pytest.mark.parametrize(
    ("ended", "changes"),
    [
        (run(30, trigger=Trigger.MANUAL), False),
        (run(-1), False),
        (run(0.1), False),  # planned before its process knew of the pause
        (run(30), True),  # a scheduled run: the pause has ended
        (run(30, trigger=Trigger.DEPENDENCY), True),
    ],
)
@pytest.mark.parametrize("state", [JobStatus.PAUSED, JobStatus.DISABLED, JobStatus.REMOVED])
def test_while_suspended_only_a_later_planned_run_changes_the_state(
    state: JobStatus, ended: Run, changes: bool
) -> None:
    suspended = enter_state(None, "checkout", state, NOON, PAUSE)

    assert (change_by_run(suspended, ended) is not None) is changes


def test_after_a_resume_only_runs_that_are_due_later_count() -> None:
    paused = enter_state(None, "checkout", JobStatus.PAUSED, NOON, PAUSE)
    resumed = enter_state(paused, "checkout", JobStatus.UNKNOWN, NOON + timedelta(minutes=5), Cause("job_resumed"))

    assert change_by_run(resumed, run(4, Outcome.FAILED)) is None
    later = change_by_run(resumed, run(5, Outcome.FAILED))
    assert later is not None
    assert (later.previous, later.state) == (JobStatus.UNKNOWN, JobStatus.DOWN)


def skipped(minute: float) -> Run:
    return run(minute, Outcome.SKIPPED, reason=ReasonCode.DEPENDENCY, message="dependency database has not run yet")


@pytest.mark.parametrize("before", [None, run(0), skipped(0)])
def test_a_job_waits_while_a_dependency_skips_its_runs_and_the_next_run_shows_its_state(before: Run | None) -> None:
    current = None if before is None else change_by_run(None, before)
    waits = change_by_run(current, skipped(1)) or current
    assert waits is not None
    assert (waits.state, waits.cause) == (
        JobStatus.WAITING,
        Cause("dependency", "dependency database has not run yet"),
    )
    assert change_by_run(waits, skipped(2)) is None
    up = change_by_run(waits.considering(skipped(2)), run(3))
    assert up is not None
    assert (up.state, up.previous) == (JobStatus.UP, JobStatus.WAITING)
    assert change_by_run(waits.considering(skipped(2)), run(1.5)) is None


@pytest.mark.parametrize("bad", [degraded(0), run(0, Outcome.FAILED), run(0, error=ErrorClass.HEARTBEAT_MISSING)])
def test_a_job_that_is_known_to_be_bad_stays_so_while_it_cannot_run(bad: Run) -> None:
    bad = replace(bad, outcome=Outcome.FAILED) if bad.error else bad
    known = change_by_run(None, bad)
    assert known is not None
    assert change_by_run(known, skipped(2)) is None
    assert known.considering(skipped(2)) == known, "a run in progress may still show that it is well"


@given(st.lists(st.builds(run, st.integers(0, 60), OUTCOMES) | st.builds(skipped, st.integers(0, 60)), max_size=30))
def test_a_job_is_up_only_if_its_newest_run_was_not_skipped_by_a_dependency(runs: list[Run]) -> None:
    ordered = sorted({ended.due_at: ended for ended in runs}.values(), key=lambda ended: ended.due_at)
    shown = [ended for ended in ordered if state_of_run(ended)]
    changes = history(ordered)
    if changes and changes[-1].state is JobStatus.UP:
        assert state_of_run(shown[-1]) is JobStatus.UP
    if shown and state_of_run(shown[-1]) is JobStatus.WAITING:
        assert changes[-1].state in (JobStatus.WAITING, JobStatus.DOWN)


def test_entering_the_same_state_is_no_change() -> None:
    paused = enter_state(None, "checkout", JobStatus.PAUSED, NOON, PAUSE)

    assert enter_state(paused, "checkout", JobStatus.PAUSED, NOON + timedelta(hours=1), PAUSE) is None


RUNS = st.lists(st.builds(run, st.integers(0, 60), OUTCOMES), max_size=30)


def history(runs: list[Run]) -> list[StateChange]:
    """The changes that these runs cause, in this order."""
    current: StateChange | None = None
    changes = []
    for ended in runs:
        change = change_by_run(current, ended)
        if change is not None:
            changes.append(change)
            current = change
        elif current is not None and state_of_run(ended) is not None:
            current = current.considering(ended)
    return changes


@given(RUNS)
def test_changes_form_a_chain(runs: list[Run]) -> None:
    changes = history(runs)

    assert [change.number for change in changes] == [*range(1, len(changes) + 1)]
    for before, change in pairwise(changes):
        assert (change.previous, change.previous_since) == (before.state, before.at)
        assert change.state is not before.state
        assert change.at >= before.at


@given(RUNS, st.data())
def test_repeated_runs_change_nothing(runs: list[Run], data: st.DataObject) -> None:
    """A crash repeats the step that records the state, as often as it likes."""
    repeated = [again for ended in runs for again in [ended] * data.draw(st.integers(1, 3))]

    assert history(repeated) == history(runs)


@given(RUNS, st.randoms())
def test_the_newest_run_determines_the_state_in_any_order(runs: list[Run], random: object) -> None:
    unique = list({ended.id: ended for ended in runs}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    newest = max((ended for ended in unique if state_of_run(ended)), key=lambda ended: ended.due_at, default=None)

    changes = history(shuffled)

    assert (changes[-1].state if changes else None) == (None if newest is None else state_of_run(newest))


def test_the_message_of_a_cause_is_bounded() -> None:
    change = change_by_run(None, replace(run(0, Outcome.FAILED), message="x" * 5000))

    assert change is not None
    assert len(change.cause.message) == 1000
