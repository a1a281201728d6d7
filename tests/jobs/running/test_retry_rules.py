from __future__ import annotations

import random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policies import RetryPolicy
from jobs.running.retrying import next_wait, should_retry
from jobs.runs import Attempt, ErrorClass, Phases
from tests.jobs.running.running_cases import cases
from tests.jobs.running.virtual_time import START

DEFAULT = RetryPolicy()
CONNECTION = {
    ErrorClass.DNS_FAILURE,
    ErrorClass.CONNECTION_REFUSED,
    ErrorClass.CONNECTION_RESET,
    ErrorClass.CONNECTION_FAILED,
    ErrorClass.TLS_FAILURE,
    ErrorClass.PROTOCOL_ERROR,
}
TIMEOUT = {error for error in ErrorClass if error.value.endswith("_timeout")}


def attempt(error: ErrorClass | None, status: int | None = None) -> Attempt:
    return Attempt(1, START, Phases(), status=status, error=error)


def answered(status: int) -> Attempt:
    return attempt(ErrorClass.UNEXPECTED_STATUS, status)


def on(*conditions: str) -> RetryPolicy:
    return RetryPolicy.model_validate({"on": conditions})


@pytest.mark.parametrize("case", cases("retry_waits"))
def test_a_wait_is_what_other_retry_libraries_make_of_the_same_policy(case: dict[str, Any]) -> None:
    policy, number = RetryPolicy.model_validate(case["retry"]), case["after_attempt"]
    draw = random.Random(7).random
    if "wait" in case:
        assert next_wait(policy, number, None, draw) == case["wait"]
    elif "mean_of_4000" in case:
        mean = fmean(next_wait(policy, number, None, draw) for _ in range(4000))
        assert mean == pytest.approx(case["mean_of_4000"], abs=case["give_or_take"])
    else:
        assert next_wait(policy, number, None, lambda: 0.0) == case["at_least"]
        assert case["below"] * 0.99 < next_wait(policy, number, None, lambda: 1 - 2**-53) < case["below"]


@given(
    st.builds(
        RetryPolicy,
        backoff=st.sampled_from(["constant", "linear", "exponential"]),
        initial=st.floats(0, 100),
        max=st.floats(0, 1000),
        multiplier=st.floats(1, 10),
        jitter=st.sampled_from(["none", "full"]),
    ),
    st.integers(1, 20),
    st.floats(0, 1, exclude_max=True),
)
def test_without_retry_after_a_wait_is_never_negative_nor_more_than_max(
    policy: RetryPolicy, number: int, drawn: float
) -> None:
    assert 0 <= next_wait(policy, number, None, lambda: drawn) <= policy.max


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(None, 0.25), (0.0, 0.25), (0.125, 0.25), (7.0, 7.0), (120.0, 120.0)],
)
def test_a_retry_after_lengthens_the_wait_beyond_max_and_never_shortens_it(
    retry_after: float | None, wait: float
) -> None:
    assert next_wait(DEFAULT, 1, retry_after, lambda: 0.5) == wait


@pytest.mark.parametrize("error", list(ErrorClass))
def test_by_default_connection_errors_and_time_outs_are_repeated_and_no_other_error(error: ErrorClass) -> None:
    assert should_retry(DEFAULT, True, attempt(error)) is (error in CONNECTION | TIMEOUT)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_by_default_answers_that_may_mend_themselves_are_repeated(status: int) -> None:
    assert should_retry(DEFAULT, True, answered(status))


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 409, 422])
def test_by_default_other_answers_are_not_repeated(status: int) -> None:
    assert not should_retry(DEFAULT, True, answered(status))


def test_an_answer_that_is_as_expected_is_not_repeated_whatever_its_status() -> None:
    assert not should_retry(DEFAULT, True, attempt(None, 503))


@pytest.mark.parametrize("failed", [attempt(ErrorClass.CONNECTION_REFUSED), answered(503)])
def test_what_is_not_idempotent_is_repeated_only_if_the_job_says_so(failed: Attempt) -> None:
    assert not should_retry(DEFAULT, False, failed)
    assert should_retry(RetryPolicy(non_idempotent=True), False, failed)


@pytest.mark.parametrize(
    ("condition", "repeated"),
    [
        ("connection", attempt(ErrorClass.CONNECTION_RESET)),
        ("timeout", attempt(ErrorClass.DNS_TIMEOUT)),
        ("expectation", attempt(ErrorClass.EXPECTATION_FAILED, 200)),
        ("404", answered(404)),
        ("4xx", answered(404)),
    ],
)
def test_a_condition_repeats_what_it_names_and_nothing_else(condition: str, repeated: Attempt) -> None:
    assert should_retry(on(condition), True, repeated)
    others = {"connection", "timeout", "expectation", "403", "3xx"} - {condition}
    assert not should_retry(on(*others), True, repeated)


def test_a_status_as_expected_with_a_wrong_body_is_no_matter_of_its_status() -> None:
    assert not should_retry(on("503"), True, attempt(ErrorClass.EXPECTATION_FAILED, 503))
