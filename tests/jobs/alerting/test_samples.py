"""Which runs are samples."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.alerting.facts import sample_of_run
from jobs.runs.outcomes import ErrorClass, Outcome, Trigger
from jobs.runs.run import Run
from tests.jobs.alerting.alert_samples import MINUTE, START


def run(outcome: Outcome = Outcome.SUCCEEDED, trigger: Trigger = Trigger.SCHEDULE, **more: Any) -> Run:
    return Run("job@1", "job", trigger, outcome, START, START + MINUTE, START + 2 * MINUTE, **more)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED])
def test_a_failed_timed_out_or_rejected_run_is_bad(outcome: Outcome) -> None:
    found = sample_of_run(run(outcome, error=ErrorClass.CIRCUIT_OPEN, message="Rejected."))
    assert found is not None
    assert (found.is_failed, found.error, found.lateness_ms) == (True, ErrorClass.CIRCUIT_OPEN, 60_000)


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.CANCELLED])
def test_a_skipped_or_cancelled_run_takes_no_place(outcome: Outcome) -> None:
    assert sample_of_run(run(outcome)) is None


def test_a_replayed_run_takes_no_place() -> None:
    assert sample_of_run(run(trigger=Trigger.REPLAY)) is None


def test_a_dead_letter_takes_the_place_of_its_failed_run_and_its_replay_none() -> None:
    failed = run(Outcome.FAILED, message="The worker process ended 3 times.")
    samples = [sample_of_run(each) for each in (failed, run(trigger=Trigger.REPLAY))]
    assert [each is not None and each.is_failed for each in samples] == [True, False]


def test_a_run_whose_target_is_denied_takes_no_place() -> None:
    assert sample_of_run(run(Outcome.FAILED, error=ErrorClass.TARGET_DENIED)) is None


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.BACKFILL])
def test_a_requested_run_is_a_sample_for_rules_that_name_its_trigger(trigger: Trigger) -> None:
    found = sample_of_run(run(trigger=trigger))
    assert found is not None
    assert found.trigger is trigger
